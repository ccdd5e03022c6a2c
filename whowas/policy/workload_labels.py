"""Labels that select exactly one workload: stable over all that was seen of it, and of no other of its namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from detect.policy.selectors import Selector, read_selector
from whowas.policy.seen_flows import Party

Labels = frozenset[tuple[str, str]]
# What controllers write anew for each revision, run or pod.
CHANGING = frozenset((
    "pod-template-hash", "pod-template-generation", "controller-revision-hash", "controller-uid", "job-name",
    "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
))  # fmt: skip
CHANGING_GROUPS = ("batch.kubernetes.io/",)
# What people select by, best first; and what the next release changes, worst last.
LIKED = (
    "app.kubernetes.io/name", "app", "k8s-app", "app.kubernetes.io/instance", "app.kubernetes.io/component", "name",
    "component", "tier", "role",
)  # fmt: skip
DISLIKED = (
    "app.kubernetes.io/managed-by", "heritage", "release", "chart", "helm.sh/chart", "version",
    "app.kubernetes.io/version",
)  # fmt: skip
MOST_TOGETHER = 3
MOST_TRIED = 12


def stable(several: Iterable[Labels]) -> dict[str, str]:
    """Return what all sets of labels have, but for what controllers change, what people select by first."""
    sets = list(several)
    shared = frozenset.intersection(*sets) if sets else frozenset()
    kept = {key: value for key, value in shared if not _changes(key)}
    return dict(sorted(kept.items(), key=lambda pair: _rank(pair[0])))


def _changes(key: str) -> bool:
    return key in CHANGING or key.startswith(CHANGING_GROUPS)


def _rank(key: str) -> tuple[int, str]:
    if key in LIKED:
        return LIKED.index(key) - len(LIKED), key
    return (1 + DISLIKED.index(key) if key in DISLIKED else 0), key


class WorkloadLabels:
    """Selectors of workloads. labels: of each workload every set that a pod of it ever had."""

    def __init__(self, labels: Mapping[Party, set[Labels]]) -> None:
        self._labels = labels
        self._by_space: dict[str, list[Party]] = {}
        for one in labels:
            self._by_space.setdefault(one.namespace, []).append(one)
        self._found: dict[Party, dict[str, Any] | str] = {}

    def of(self, party: Party) -> dict[str, Any] | str:
        """Return a LabelSelector as the API has it, or in words why there is none."""
        if party not in self._found:
            self._found[party] = self._select(party)
        return self._found[party]

    def _select(self, party: Party) -> dict[str, Any] | str:
        mine = stable(self._labels[party])
        others = {
            labels: one for one in self._by_space[party.namespace] if one != party for labels in self._labels[one]
        }  # fmt: skip
        for selector in _tried(mine, self._never(party, others)):
            read = read_selector(selector, "")
            if not any(_selects(read, labels) for labels in others):
                return selector
        alike = sorted({str(one) for labels, one in others.items() if mine.items() <= dict(labels).items()})
        return f"{party} has no labels that last and tell it from {', '.join(alike[:3]) or 'others'}"

    def _never(self, party: Party, others: Iterable[Labels]) -> list[str]:
        """Return keys that no pod of a workload ever had, and others have."""
        own = {key for labels in self._labels[party] for key, _ in labels}
        return sorted({key for labels in others for key, _ in labels if key not in own and not _changes(key)})


def _tried(mine: dict[str, str], never: list[str]) -> Iterable[dict[str, Any]]:
    """Yield selectors, the simplest first. One without any label would select whoever comes next."""
    keys = list(mine)[:MOST_TRIED]
    for count in range(1, min(MOST_TOGETHER, len(keys)) + 1):
        for some in combinations(keys, count):
            yield {"matchLabels": {key: mine[key] for key in some}}
    if mine:
        yield {"matchLabels": mine}
        absent = [{"key": key, "operator": "DoesNotExist"} for key in never[:MOST_TRIED]]
        for count in (1, len(absent)):
            for expressions in combinations(absent, count):
                yield {"matchLabels": mine, "matchExpressions": list(expressions)}


def _selects(selector: Selector, labels: Labels) -> bool:
    return selector.selects(dict(labels))

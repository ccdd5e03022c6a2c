"""Counts how often the names that records bring agree with ours, of ends that both name with certainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

# Only what both could mean is compared: an end of which we are not sure is no witness against anybody.
SURE = ("exact", "likely")
OURS = ("confidence", "namespace", "pod", "workload", "service", "node")
THEIRS = ("told_namespace", "told_name")
BOTH = ("same_pod", "same_workload", "same_service_or_node", "differ")
KINDS = (*BOTH, "only_theirs", "only_ours")
DIFFERENCES_KEPT = 10_000
DIFFERENCES_SHOWN = 10

Words = Sequence[str | None]


class ToldNames:
    """Grows batch by batch. counts: ends by one of KINDS. told: whether any record brought a name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.told = False
        self._differ: Counter[tuple[str, str]] = Counter()

    def add(self, named: Any) -> None:
        """Count the ends of a batch whose records bring names; of other batches nothing is to be said."""
        told = [side for side in ("src", "dst") if named[f"{side}_told_name"].null_count < named.num_rows]
        for side in ("src", "dst") if told else ():
            self.told = True
            self._add(named, side)

    def _add(self, named: Any, side: str) -> None:
        """Each distinct pair of names is compared once."""
        columns = [named[f"{side}_{name}"] for name in (*OURS, *THEIRS)]
        words: list[Words] = [[*one.dictionary.to_pylist(), None] for one in columns]
        codes = np.stack([pc.fill_null(one.indices, -1).to_numpy() for one in columns], axis=1)
        rows, counts = np.unique(codes, axis=0, return_counts=True)
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
            told = [words[place][code] for place, code in enumerate(row)]
            kind = compared(told[: len(OURS)], told[len(OURS) :])
            if kind:
                self.counts[kind] += count
            if kind == "differ":
                self._differ[_shown(told[1], told[2]), _shown(told[6], told[7])] += count
        if len(self._differ) > DIFFERENCES_KEPT:
            self._differ = Counter(dict(self._differ.most_common(DIFFERENCES_KEPT // 2)))

    def differences(self, count: int = DIFFERENCES_SHOWN) -> list[dict[str, Any]]:
        """Return the pairs of names that differ most often; of very many pairs the rare ones are forgotten."""
        order = sorted(self._differ.items(), key=lambda one: (-one[1], one[0]))
        return [{"ours": ours, "theirs": theirs, "ends": number} for (ours, theirs), number in order[:count]]

    def both(self) -> int:
        """Ends that the record names and that we name for certain or likely."""
        return sum(self.counts[kind] for kind in BOTH)

    def to_json(self) -> dict[str, Any] | None:
        """Return counts and the most frequent differences; None where no record brought a name."""
        if not self.told:
            return None
        return {kind: self.counts[kind] for kind in KINDS} | {"differences": self.differences()}


def compared(ours: Words, theirs: Words) -> str | None:
    """Return one of KINDS for an end; None where neither names it.

    Args: ours: the columns OURS. theirs: namespace and name as told, which may be those of a pod, its owner, a Service
    or a node.
    """
    confidence, namespace, pod, workload, service, node = ours
    their_namespace, name = theirs
    sure = confidence in SURE and bool(pod)
    if not sure or name is None:
        return "only_ours" if sure else "only_theirs" if name is not None else None
    if their_namespace is None:
        # Nodes have none; and whoever leaves it out of a pod's name has named it all the same.
        return "same_service_or_node" if name == node else "same_pod" if name == pod else "differ"
    if their_namespace != namespace:
        return "differ"
    if name == pod:
        return "same_pod"
    if workload and (name == workload or name.startswith(f"{workload}-")):
        return "same_workload"
    return "same_service_or_node" if service and name in service.split(",") else "differ"


def _shown(namespace: str | None, name: str | None) -> str:
    return f"{namespace}/{name}" if namespace else str(name)

"""What a person calls pods, workloads, Services and nodes: `shop/web`, `deploy/shop/web`, `svc/web`, `no/worker-1`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from enrich.history.entities import KIND_WORDS, Entity
from enrich.history.history import ClusterHistory
from whowas.errors import ConfigError
from whowas.safe_text import clean

# As kubectl has them, and their plurals.
KINDS = {
    "po": "pod", "deploy": "deployment", "svc": "service", "sts": "statefulset", "ds": "daemonset",
    "rs": "replicaset", "cj": "cronjob", "no": "node", "ns": "namespace",
}  # fmt: skip
LONG = {*KINDS.values(), "job"}
# What stands between a pod and the workload by which it is named, and how the pod's name is made of its name.
BETWEEN = {"replicaset": "Deployment", "job": "CronJob"}
FORMS = "write namespace/pod, kind/namespace/name or kind/name, such as deploy/shop/web or node/worker-1"
SHOWN = 5


def kind_of(word: str) -> str:
    """Return the kind that a word of kubectl means, "" for any other word."""
    plain = word.lower()
    for one in (plain, plain.removesuffix("s"), plain.removesuffix("es")):
        if one in KINDS or one in LONG:
            return KINDS.get(one, one)
    return ""


def entities_called(history: ClusterHistory, what: str) -> set[int]:
    """Return the rows of entities that a person calls so.

    namespace/pod comes first, then kind/namespace/name and kind/name, then namespace/workload where one kind of
    workload is called so, then the beginning of a pod's name.
    Raises: ConfigError where several are called so and one alone can be meant.
    """
    every = list(enumerate(history.entities))
    exact = {row for row, one in every if one.workload and one.full_name() == what}
    if exact:
        return exact
    first, _, rest = what.partition("/")
    kind = kind_of(first)
    found = _of_kind(every, kind, rest) if kind and rest else set()
    return found or _workload(every, what) or _beginning(every, what)


def _workload(every: list[tuple[int, Entity]], what: str) -> set[int]:
    """Return the pods of the one workload that is called so: `shop/web`, as rules and flows say it."""
    found = {row: one.workload_kind for row, one in every if one.workload and f"{one.namespace}/{one.workload}" == what}
    return set(found) if len(set(found.values())) == 1 else set()


def _of_kind(every: list[tuple[int, Entity]], kind: str, rest: str) -> set[int]:
    namespace, slash, name = rest.partition("/")
    if kind == "namespace":
        return {row for row, one in every if one.namespace == rest}
    if slash and kind != "node":
        return {row for row, one in every if one.namespace == namespace and _is(one, kind, name)}
    found = {row: one for row, one in every if _is(one, kind, rest)}
    places = sorted({one.namespace for one in found.values()})
    if len(places) > 1:
        several = _listed([f"{kind}/{one}/{rest}" for one in places])
        raise ConfigError(f"cannot tell which {kind} '{rest}' is: {several}; write one of these")
    return set(found)


def _is(one: Entity, kind: str, name: str) -> bool:
    """Say whether an entity is what is called so, or a pod of it."""
    if kind == KIND_WORDS[one.kind]:
        return one.name == name
    if kind in BETWEEN and one.workload_kind == BETWEEN[kind]:
        # Of a ReplicaSet's or a Job's pod the history keeps the workload above; its name is told by the pod's.
        made, _, tail = one.name.rpartition("-")
        return made == name and bool(tail)
    return bool(one.workload) and kind == one.workload_kind.lower() and one.workload == name


def _beginning(every: list[tuple[int, Entity]], what: str) -> set[int]:
    begins = {row: one.full_name() for row, one in every if one.workload and one.full_name().startswith(what)}
    names = sorted(set(begins.values()))
    if len(names) > 1:
        raise ConfigError(f"cannot tell which pod '{what}' is: {_listed(names)}; write more of the name")
    return set(begins)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(map(clean, names[:SHOWN]))}{more}"


def nothing_called(several: list[ClusterHistory], what: str) -> str:
    """Say that nothing is called so, with near matches."""
    names: dict[str, None] = {}
    for history in several:
        for one in history.entities:
            if one.workload:
                names[one.full_name()] = None
                names[f"{one.workload_kind.lower()}/{one.namespace}/{one.workload}"] = None
            else:
                names[f"{KIND_WORDS[one.kind]}/{one.full_name()}"] = None
    near = difflib.get_close_matches(what, names, n=3, cutoff=0.4)
    hint = f"near: {', '.join(map(clean, near))}" if near else FORMS
    return f"cannot find '{what}': the history names nothing so called that held an address; {hint}"

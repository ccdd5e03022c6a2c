"""Flows, rules and a plain Python judge for tests: one sorted pass over everything, without state or batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from detect.judge.findings import uid
from detect.judge.flow_text import text_of
from detect.model import Correlation, Finding, FirstSeen, FlowRule, RuleInfo, RuleSet
from whowas.schema import LABELS, NUMBER, TIME, WORD

Flow = dict[str, Any]
COLUMNS = {
    "flow_id": pa.string(),
    "start_time": TIME,
    "src_namespace": WORD,
    "src_workload": WORD,
    "dst_workload": WORD,
    "dst_ip": WORD,
    "dst_port": NUMBER,
    "src_labels": LABELS,
}


def batch(flows: Sequence[Flow]) -> Any:
    """Flows as a record batch of some columns."""
    arrays = [pa.array([_value(one.get(name)) for one in flows], kind) for name, kind in COLUMNS.items()]
    return pa.record_batch(arrays, names=list(COLUMNS))


def _value(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else value


class Predicates:
    """A matcher of Python predicates, one a rule, in their order."""

    def __init__(self, ruleset: RuleSet, *predicates: Callable[[Flow], bool]) -> None:
        self.predicates = dict(zip((one.info.name for one in ruleset.rules), predicates, strict=False))

    def match(self, flows: Any) -> Mapping[str, Any]:
        rows = flows.to_pylist()
        found = {
            name: np.array([row for row, one in enumerate(rows) if holds(one)], np.int64)
            for name, holds in self.predicates.items()
        }
        return {name: hits for name, hits in found.items() if len(hits)}


def info(name: str, **told: Any) -> RuleInfo:
    """What is known of a rule of a test."""
    return RuleInfo(id=f"id-{name}", name=name, title=name, level=told.pop("level", "medium"), **told)


def rule(
    name: str, silent: bool = False, first_seen: FirstSeen | None = None, sql: str = "true", **told: Any
) -> FlowRule:
    """A flow rule of a test."""
    return FlowRule(info(name, **told), sql, frozenset(), first_seen, silent)


def correlation(name: str, kind: str, rules: tuple[str, ...], timespan_us: int, **told: Any) -> Correlation:
    """A correlation of a test."""
    made = info(name, window_us=told.pop("window_us", 3_600_000_000))
    return Correlation(made, kind, rules, timespan_us, **told)


Plain = dict[str, tuple[int, int, int, tuple[str, ...], int | None]]


def plainly(ruleset: RuleSet, predicates: Sequence[Callable[[Flow], bool]], flows: Iterable[Flow]) -> Plain:
    """Judge everything at once. Returns: uid -> (count, first, last, evidence, values)."""
    flows = sorted(flows, key=lambda one: (one["start_time"], one["flow_id"]))
    matched = [[one for one in flows if holds(one)] for holds in predicates]
    found: Plain = {}
    for told, hits in zip(ruleset.rules, matched, strict=True):
        if told.first_seen is not None:
            since = flows[0]["start_time"] if flows else 0
            hits = _firsts(told.first_seen, hits, since)
        if not told.silent:
            found |= _grouped(told.info, [(one, _key(one, told.info.group_by), None) for one in hits])
    places = {one.info.name: place for place, one in enumerate(ruleset.rules)}
    for one in ruleset.correlations:
        found |= _grouped(one.info, _correlated(one, [matched[places[name]] for name in one.rules]))
    return found


def _key(flow: Flow, columns: Iterable[str]) -> tuple[str | None, ...]:
    return tuple(text_of(flow, one) for one in columns)


def _grouped(told: RuleInfo, hits: list[tuple[Flow, tuple[str | None, ...], Any]]) -> Plain:
    groups: dict[Any, list[tuple[Flow, Any]]] = defaultdict(list)
    for flow, key, value in hits:
        groups[key, flow["start_time"] // told.window_us * told.window_us].append((flow, value))
    found = {}
    for (key, window), many in groups.items():
        many.sort(key=lambda one: (one[0]["start_time"], one[0]["flow_id"]))
        times, values = [one["start_time"] for one, _ in many], {value for _, value in many}
        name = uid(told.id, tuple(("", one) for one in key), window)
        evidence = tuple(one["flow_id"] for one, _ in many[:10])
        found[name] = (len(many), times[0], times[-1], evidence, None if None in values else len(values))
    return found


def _firsts(told: FirstSeen, hits: list[Flow], since: int) -> list[Flow]:
    last: dict[Any, int] = {}
    found = []
    for one in hits:
        key, at = _key(one, told.by), one["start_time"]
        if (key not in last or at - last[key] > told.within_us) and at - since >= told.learn_us:
            found.append(one)
        last[key] = at
    return found


def _correlated(told: Correlation, matched: list[list[Flow]]) -> list[tuple[Flow, tuple[str | None, ...], Any]]:
    groups: dict[Any, dict[str, tuple[Flow, set[int]]]] = defaultdict(dict)
    for place, (name, hits) in enumerate(zip(told.rules, matched, strict=True)):
        columns = [told.aliases[one][name] if one in told.aliases else one for one in told.group_by]
        for one in hits:
            if told.type != "value_count" or None not in _key(one, told.fields):
                groups[_key(one, columns)].setdefault(one["flow_id"], (one, set()))[1].add(place)
    found = []
    for key, events in groups.items():
        for one in _counted(told, list(events.values())):
            found.append((one, key, _key(one, told.fields) if told.type == "value_count" else None))
    return found


def _counted(told: Correlation, events: list[tuple[Flow, set[int]]]) -> list[Flow]:
    counted: dict[str, Flow] = {}
    for start in {one["start_time"] for one, _ in events}:
        inside = [one for one in events if start <= one[0]["start_time"] <= start + told.timespan_us]
        if _satisfied(told, inside):
            counted |= {one["flow_id"]: one for one, _ in inside}
    return list(counted.values())


def _satisfied(told: Correlation, inside: list[tuple[Flow, set[int]]]) -> bool:
    if told.type == "temporal":
        return set().union(*(places for _, places in inside)) == set(range(len(told.rules)))
    if told.type == "temporal_ordered":
        after: float = float("-inf")
        for place in range(len(told.rules)):
            after = min(
                (one["start_time"] for one, places in inside if place in places and one["start_time"] >= after),
                default=float("inf"),
            )
        return after != float("inf")
    measure = len(inside) if told.type == "event_count" else len({_key(one, told.fields) for one, _ in inside})
    return {
        "lt": measure < told.count,
        "lte": measure <= told.count,
        "gt": measure > told.count,
        "gte": measure >= told.count,
        "eq": measure == told.count,
        "neq": measure != told.count,
    }[told.operator]


def as_plain(finding: Finding) -> tuple[int, int, int, tuple[str, ...], int | None]:
    """What `plainly` says of a finding."""
    evidence = tuple(one["flow_id"] for one in finding.flows)
    return finding.count, finding.first_us, finding.last_us, evidence, finding.values

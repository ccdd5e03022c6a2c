"""Answers who held an address, and where a pod, a workload or a label was; and when nobody was looking."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from enrich.history.entities import KIND_WORDS, Entity
from enrich.naming.networks import plain
from enrich.naming.verdicts import NamingOptions
from enrich.naming.who import HoldView, view, who_at
from whowas.addresses import address16, is_address
from whowas.errors import ConfigError
from whowas.timestamps import AFTER_ALL, BEFORE_ALL, moment_us
from whowas.workbench import policy_events, traffic
from whowas.workbench.api.common import About, Question, TimeRange
from whowas.workbench.api.who import Gap, Gaps, Judged, Lane, LaneEvent, Who, WhoAsk
from whowas.workbench.commands import of_who
from whowas.workbench.edges import Asking, bounds

if TYPE_CHECKING:
    from detect.policy.timeline import Timeline
    from enrich.history.history import ClusterHistory, History

MOST_EVENTS = 2000
CHANGES: tuple[Literal["labels", "services", "images"], ...] = ("labels", "services", "images")
BOUNDS = ("start_min", "start_max", "end_min", "end_max")
LOOKED_AT = 200_000
"""So many objects of a cluster are looked at for a label; labels of more are not searched."""


def clusters(known: History, name: str | None) -> list[ClusterHistory]:
    """One cluster or all. Raises: ConfigError."""
    return [known.cluster(name)] if name else list(known.clusters.values())


def found(asking: Asking, known: History, asked: WhoAsk) -> tuple[list[Lane], int]:
    """The lanes of a question, oldest first, and how many are beyond its limit. Raises: ConfigError."""
    shown, left = _found(asking, known, asked)
    return [lane(one, row) for one, row in shown], left


def _found(asking: Asking, known: History, asked: WhoAsk) -> tuple[list[tuple[ClusterHistory, int]], int]:
    what = asked.what.strip()
    every = [(one, row) for one in clusters(known, asked.cluster) for row in _rows(asking, one, what)]
    held = [(one, row) for one, row in every if _meets(one, row, asked.range)]
    if not every and not is_address(what):
        raise ConfigError(
            f"cannot find '{what[:100]}': the history names nothing so called that held an address; "
            "write an address, namespace/pod, kind/namespace/name, node/name or label=value"
        )
    held.sort(key=lambda one: (int(one[0].bounds[one[1], 0]), one[0].name, one[1]))
    return held[: asked.limit], max(0, len(held) - asked.limit)


def who(asking: Asking, known: History, asked: WhoAsk, policies: Mapping[str, Timeline] | None = None) -> Who:
    """Lanes, and what is beside them. policies: by cluster; None: not read."""
    what = asked.what.strip()
    shown, left = _found(asking, known, asked)
    lanes = [lane(one, row) for one, row in shown]
    about = About("history")
    uids = sorted({one.uid for one in lanes if one.kind == "pod" and one.uid})
    address = str(plain(address16(what) or b"")) if is_address(what) else ""
    flows = traffic.beside(asking, address, uids, asked.range, asked.filter, about)
    told, more = policy_events.events(shown, policies or {}, asked.range, asking.call)
    about.partial = about.partial or _lacks(policies is None, more)
    return Who(
        about=asking.done(about),
        what=what,
        is_address=is_address(what),
        lanes=lanes,
        left_out=left,
        events=[*itertools.islice(_events(shown, lanes, asked.range), MOST_EVENTS), *told],
        judged=judged(known, what, asked) if asked.at is not None and is_address(what) else None,
        gaps=[gap for one in clusters(known, asked.cluster) for gap in gaps_of(one, asked.range)],
        bucket=flows.bucket,
        flows_time=flows.time,
        flows_confidence=flows.confidence,
        flows_count=flows.flows,
        flows_bytes=flows.bytes,
        command=of_who(what, asked.at, asking.places),
    )


def _lacks(unread: bool, more: bool) -> str:
    if unread:
        return "changes of NetworkPolicies are not here: they are being read still, or could not be"
    return "more NetworkPolicies changed than are shown; shorten the range" if more else ""


def _rows(asking: Asking, one: ClusterHistory, what: str) -> Iterable[int]:
    """Holds that something asks for."""
    packed = address16(what)
    if packed is not None:
        return one.rows_on(packed)
    entities = set(_with_label(asking, one, what) if "=" in what else _named(one, what))
    if not entities:
        return []
    wanted = np.fromiter(entities, dtype=np.int64)
    return [int(row) for row in np.flatnonzero(np.isin(one.entity_of, wanted))]


def _named(one: ClusterHistory, what: str) -> Iterator[int]:
    parts = what.split("/")
    for row, entity in enumerate(one.entities):
        if _is(entity, parts):
            yield row


def _is(entity: Entity, parts: list[str]) -> bool:
    """namespace/name of a pod, Service or workload, kind/namespace/name, or node/name."""
    kind = KIND_WORDS[entity.kind]
    if len(parts) == 2:
        if parts[0].lower() == "node":
            return kind == "node" and entity.name == parts[1]
        return bool(entity.namespace) and entity.namespace == parts[0] and parts[1] in (entity.name, entity.workload)
    if len(parts) != 3:
        return False
    if parts[0].lower() == kind and [entity.namespace, entity.name] == parts[1:]:
        return True
    return parts[0].lower() == entity.workload_kind.lower() and [entity.namespace, entity.workload] == parts[1:]


def _with_label(asking: Asking, one: ClusterHistory, what: str) -> Iterator[int]:
    """Everything that had the label at some time."""
    key, _, value = what.removeprefix("label=").partition("=")
    if len(one.entities) > LOOKED_AT:
        raise ConfigError("cannot search so many objects for a label; name a pod or a workload")
    for row in range(len(one.entities)):
        if row % 1024 == 0:
            asking.call.check()
        if any(dict(version.labels).get(key) == value for version in one.states.line(row)):
            yield row


def _meets(one: ClusterHistory, row: int, span: TimeRange | None) -> bool:
    since, until = bounds(span)
    return bool(one.bounds[row, 0] < until and one.bounds[row, 3] >= since)


def lane(one: ClusterHistory, row: int) -> Lane:
    """A hold in words, with what its holder was when the hold began."""
    return _of_view(view(one, row))


def judged(known: History, what: str, asked: WhoAsk) -> Judged:
    """Who an address was at a moment, as `whowas who` says it."""
    assert asked.at is not None
    said = who_at(known, what, asked.at, NamingOptions(asked.cluster))
    return Judged(
        asked.at, said.confidence, said.reason, said.network, None if said.holder is None else _of_view(said.holder),
        list(map(_of_view, said.candidates)), list(said.candidate_reasons),
    )  # fmt: skip


def _of_view(one: HoldView) -> Lane:
    told = {name: getattr(one, name) for name in Lane.__struct_fields__}
    for name in BOUNDS:
        told[name] = None if told[name] is None else moment_us(told[name])
    return Lane(**told | {"images": list(one.images), "labels": dict(one.labels)})


def _events(shown: list[tuple[ClusterHistory, int]], lanes: list[Lane], span: TimeRange | None) -> Iterator[LaneEvent]:
    """What happened in each lane, in its order: its begin, what changed while it was possible, its end."""
    since, until = bounds(span)
    for place, (one, row) in enumerate(shown):
        told = lanes[place]
        for event in (
            _edge(place, "started", told.start_min, told.start_max),
            *_changes(place, one, row),
            _edge(place, "ended", told.end_min, told.end_max),
        ):
            if event is not None and event.until >= since and event.time < until:
                yield event


def _edge(place: int, word: Literal["started", "ended"], low: int | None, high: int | None) -> LaneEvent | None:
    """A begin or an end. Where one of its bounds is open nobody saw it."""
    return None if low is None or high is None else LaneEvent(place, low, high, word, "", "")


def _changes(place: int, one: ClusterHistory, row: int) -> Iterator[LaneEvent]:
    low, high = int(one.bounds[row, 0]), int(one.bounds[row, 3])
    for before, after in itertools.pairwise(one.states.line(int(one.entity_of[row]))):
        if not low <= after.since <= high:
            continue
        first = min(max(low, after.possible), after.since)
        for word in CHANGES:
            old, new = (_text(getattr(version, word)) for version in (before, after))
            if old != new:
                yield LaneEvent(place, first, after.since, word, old, new)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return " ".join(f"{one[0]}={one[1]}" if isinstance(one, tuple) else str(one) for one in value)


def gaps(asking: Asking, known: History, asked: Question) -> Gaps:
    """When nobody was looking."""
    listed = [gap for one in known.clusters.values() for gap in gaps_of(one, asked.range)]
    until = {one.name: one.known_until for one in known.clusters.values() if one.known_until > BEFORE_ALL}
    return Gaps(asking.done(About("history")), listed, until)


def gaps_of(one: ClusterHistory, span: TimeRange | None) -> Iterator[Gap]:
    """The times of a range that no recording covers."""
    since, until = bounds(span)
    covered = sorted(one.covered)
    place = since
    for low, high in [*covered, (AFTER_ALL, AFTER_ALL)]:
        if low > place and place < until:
            first, last = place, min(low, until)
            yield Gap(one.name, "pods", _open(first), _open(last), _why(covered, first, last))
        place = max(place, high)


def _why(covered: list[tuple[int, int]], first: int, last: int) -> str:
    if not covered:
        return "nothing tells when this cluster was watched"
    if last <= covered[0][0]:
        return "before the recording begins"
    return "after what has been told" if first >= max(high for _, high in covered) else "a gap in the recording"


def _open(us: int) -> int | None:
    return None if us in (BEFORE_ALL, AFTER_ALL) else us

"""Which NetworkPolicies that were about a pod came, changed or went, and when."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from detect.policy.model import Policy
from detect.policy.timeline import Timeline
from enrich.holds.pod_tables import POD
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench.api.common import TimeRange
from whowas.workbench.api.who import LaneEvent
from whowas.workbench.database import Call
from whowas.workbench.edges import bounds

if TYPE_CHECKING:
    from enrich.history.history import ClusterHistory

KIND = "NetworkPolicy"
MOST_EVENTS = 1000
LEAST_EVENTS = 5
MOST_LOOKED = 300_000
"""So many times a policy is held against the labels of a pod for one answer."""
LONGEST = 2000
"""So much of a policy is told, in letters."""
Word = Literal["policy_created", "policy_changed", "policy_deleted"]
Labels = tuple[tuple[str, str], ...]


class Change(NamedTuple):
    """A change that came from `low` to `high` (us). before, after: None where the policy was not there."""

    high: int
    low: int
    before: Policy | None
    after: Policy | None

    def about(self, labels: Mapping[str, str]) -> bool:
        """Was it about pods of these labels, before or after? One that cannot be read may be."""
        return any(
            one is not None and (one.pods is None or one.pods.selects(labels)) for one in (self.before, self.after)
        )


class Finder:
    """Finds changes for the pods of one cluster; what is alike for several pods is looked for once."""

    def __init__(self, timeline: Timeline, call: Call) -> None:
        self._timeline, self._call = timeline, call
        self._of: dict[str, tuple[list[Change], frozenset[str]]] = {}
        self._chosen: dict[tuple[str, Labels], list[Change]] = {}
        self.looked = 0

    def found(self, namespace: str, labels: Labels, since: int, until: int) -> Iterator[Change]:
        """Yield what was about pods of these labels and may have come from since to before until, us."""
        mine = self._about(namespace, labels)
        for one in mine[bisect_left(mine, since, key=lambda change: change.high) :]:
            if one.low < until:
                yield one

    def _about(self, namespace: str, labels: Labels) -> list[Change]:
        every, asked = self._changes(namespace)
        # Pods of one workload differ in labels that no selector asks about.
        mine = tuple(one for one in labels if one[0] in asked)
        found = self._chosen.get((namespace, mine))
        if found is None:
            self._call.check()
            self.looked += len(every)
            told = dict(mine)
            found = self._chosen[namespace, mine] = [one for one in every if one.about(told)]
        return found

    def _changes(self, namespace: str) -> tuple[list[Change], frozenset[str]]:
        """Changes in a namespace, and the labels that their selectors ask about."""
        if namespace not in self._of:
            every = sorted(_changes(self._timeline, namespace), key=lambda one: one[:2])
            selectors = {policy.pods for one in every for policy in one[2:] if policy and policy.pods}
            self._of[namespace] = (every, frozenset().union(*(one.keys() for one in selectors)))
        return self._of[namespace]


def _changes(timeline: Timeline, namespace: str) -> Iterator[Change]:
    """All changes of the policies of a namespace. Of what stood when it was seen first nobody saw it come."""
    for line in timeline.policies_of([namespace]):
        first = next((one for one in line.values if one is not None), None)
        if first is None or first.kind != KIND or first.namespace != namespace:
            continue
        for place, after in enumerate(line.values):
            before = line.values[place - 1] if place else None
            if line.low[place] > BEFORE_ALL and before is not after:
                yield Change(line.high[place], line.low[place], before, after)


def events(
    shown: Sequence[tuple[ClusterHistory, int]],
    timelines: Mapping[str, Timeline],
    span: TimeRange | None,
    call: Call,
) -> tuple[list[LaneEvent], bool]:
    """Events of each lane, by time, and whether there may be more than were looked for."""
    finders = {name: Finder(one, call) for name, one in timelines.items() if one.policies}
    found: list[LaneEvent] = []
    # Each lane has some, however many the first has.
    each, more = max(LEAST_EVENTS, MOST_EVENTS // max(1, len(shown))), False
    for place, (one, row) in enumerate(shown):
        finder = finders.get(one.name)
        if finder is None or one.entities[int(one.entity_of[row])].kind != POD:
            # A pod on its node's network is none to policies.
            continue
        if finder.looked > MOST_LOOKED or len(found) >= MOST_EVENTS:
            return found[:MOST_EVENTS], True
        mine = _of_lane(finder, one, row, span)
        found += [_event(place, change) for change in mine[:each]]
        more = more or len(mine) > each
    return found[:MOST_EVENTS], more or len(found) > MOST_EVENTS


def _of_lane(finder: Finder, one: ClusterHistory, row: int, span: TimeRange | None) -> list[Change]:
    """Changes within a hold, by the labels that its pod may have had then."""
    since, until = bounds(span)
    low, high = max(since, int(one.bounds[row, 0])), min(until, int(one.bounds[row, 3]))
    entity = int(one.entity_of[row])
    found: dict[Change, None] = {}
    versions = [*one.states.line(entity), None]
    for place, (version, after) in enumerate(pairwise(versions)):
        if version is None:
            continue
        begins = BEFORE_ALL if not place else min(version.possible, version.since)
        ends = AFTER_ALL if after is None else after.since + 1
        labels = tuple((key, value) for key, value in version.labels)
        told = finder.found(one.entities[entity].namespace, labels, max(low, begins), min(high, ends))
        found |= dict.fromkeys(told)
    return sorted(found, key=lambda change: change[:2])


def _event(place: int, change: Change) -> LaneEvent:
    before, after = change.before, change.after
    word: Word = "policy_created" if before is None else "policy_deleted" if after is None else "policy_changed"
    return LaneEvent(place, change.low, change.high, word, _spell(before, after), _spell(after, before))


def _spell(one: Policy | None, other: Policy | None) -> str:
    """A policy as it was written; of one that changed what is not as in the other."""
    if one is None:
        return ""
    mine, theirs = (told.spec if told and isinstance(told.spec, dict) else {} for told in (one, other))
    parts = {name: value for name, value in mine.items() if other is None or theirs.get(name) != value}
    fault = f" cannot be read: {one.fault}" if one.fault else ""
    text = f"{one}{fault} {msgspec.json.encode(parts).decode()}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

"""Keeps the events of many groups over a sliding window."""

from __future__ import annotations

import numpy as np

from detect.judge import group_kernels, window_kernels
from detect.judge.event_columns import WIDTH
from detect.judge.key_numbers import Numbering, power_of_two
from detect.model import Correlation
from whowas.arrays import Words

KINDS = {
    "event_count": window_kernels.EVENT_COUNT,
    "value_count": window_kernels.VALUE_COUNT,
    "temporal": window_kernels.TEMPORAL,
    "temporal_ordered": window_kernels.TEMPORAL_ORDERED,
}
OPERATORS = {
    "lt": window_kernels.LT,
    "lte": window_kernels.LTE,
    "gt": window_kernels.GT,
    "gte": window_kernels.GTE,
    "eq": window_kernels.EQ,
    "neq": window_kernels.NEQ,
}
SMALLEST_ROOM = 4
# Before and after all event time.
LEAST, NEVER = -(2**62), 2**61


class Timeline:
    """The events of one correlation. `rooms` are doubled when they are full, as lists are.

    Args: rule: its kind, operator and timespan. groups: how many it may have. events: how many it may hold.
    """

    def __init__(self, rule: Correlation, groups: int, events: int) -> None:
        kind = KINDS[rule.type]
        self.final = kind in (window_kernels.EVENT_COUNT, window_kernels.VALUE_COUNT) and rule.operator not in (
            "gt",
            "gte",
        )
        self._rule = np.array(
            [kind, OPERATORS[rule.operator], rule.count, rule.timespan_us, len(rule.rules)], dtype=np.int64
        )
        self._timespan = rule.timespan_us
        self._numbers, self._most_events = Numbering(groups), events
        self._offsets = np.zeros(0, np.int64)
        self._sizes = np.zeros(0, np.int64)
        self._rooms = np.zeros(0, np.int64)
        self._events = np.zeros((1024, WIDTH), np.int64)
        self._used = 0
        self._cut = LEAST
        self._table = np.zeros((0, 3), np.int64)
        self.groups_refused = self.events_refused = 0

    def __len__(self) -> int:
        return int(self._sizes.sum())

    def place(self, keys: Words) -> tuple[Words, Words, Words]:
        """Say where events belong, given the keys of their groups. What is beyond the bounds is left out and counted.

        Returns: their order by group (as they stand within one), the groups, (groups + 1,) begins in that order.
        """
        room = max(self._most_events - len(self), 0)
        self.events_refused += max(len(keys) - room, 0)
        keys = keys[:room]
        found = self._numbered(keys)
        self.groups_refused += int((found < 0).sum())
        order, touched = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
        begins = np.empty(len(keys) + 1, np.int64)
        local = np.zeros(len(self._sizes), np.int64)
        count = int(group_kernels.by_group(found, local, order, touched, begins))
        begins[count] = int((found >= 0).sum())
        return order[: begins[count]], touched[:count], begins[: count + 1]

    def _numbered(self, keys: Words) -> Words:
        found = self._numbers.of(keys)
        if len(self._numbers) > len(self._sizes):
            none = np.zeros(len(self._numbers) - len(self._sizes), np.int64)
            self._offsets, self._sizes, self._rooms = (
                np.concatenate((one, none)) for one in (self._offsets, self._sizes, self._rooms)
            )
        return found

    def add(self, new: Words, groups: Words, begins: Words) -> None:
        """Take events in the order that `place` gave, those of one group by (time, id)."""
        self._make_room(groups, np.diff(begins))
        group_kernels.merge(self._events, self._offsets, self._sizes, groups, begins, new)

    def _make_room(self, groups: Words, lengths: Words) -> None:
        needed = self._sizes[groups] + lengths
        full = needed > self._rooms[groups]
        if not full.any():
            return
        rooms = _doubled(needed[full])
        if self._used + int(rooms.sum()) > len(self._events):
            self._repack(int(rooms.sum() + lengths.sum()))
            full = needed > self._rooms[groups]
            rooms = _doubled(needed[full])
        moved = groups[full]
        places = self._used + np.cumsum(rooms) - rooms
        group_kernels.move(self._events, self._offsets, self._sizes, moved, places)
        self._rooms[moved] = rooms
        self._used += int(rooms.sum())

    def _repack(self, more: int) -> None:
        """Copy everything into an array that has room for as much again, and for `more`."""
        held = len(self)
        # Beside what is used, all groups may need twice their size at once.
        size = max(1024, 4 * held + 2 * more + SMALLEST_ROOM * len(self._sizes))
        into = np.empty((size, WIDTH), np.int64)
        self._used = int(group_kernels.repack(self._events, self._offsets, self._sizes, self._rooms, LEAST, into))
        self._events = into

    def cut(self, before_us: int) -> None:
        """Forget what lies before a time; not at once, but when it is worth the copying."""
        if before_us - self._cut < self._timespan // 4 and self._cut != LEAST:
            return
        self._cut = before_us
        held = int(group_kernels.behind(self._events, self._offsets, self._sizes, before_us))
        if held == len(self):
            return
        into = np.empty((max(1024, 2 * held + SMALLEST_ROOM * len(self._sizes)), WIDTH), np.int64)
        self._used = int(group_kernels.repack(self._events, self._offsets, self._sizes, self._rooms, before_us, into))
        self._events = into
        stay = self._sizes > 0
        self._offsets, self._sizes, self._rooms = (one[stay] for one in (self._offsets, self._sizes, self._rooms))
        self._numbers.keep(stay)

    def look(self, groups: Words, froms: Words, tos: Words) -> Words:
        """Look at the windows that begin within froms..tos in each group. Returns: (n, 8) events counted anew."""
        if not len(groups):
            return np.zeros((0, WIDTH), np.int64)
        largest = int(self._sizes[groups].max())
        scratch = np.empty((2, max(largest, 64)), np.int64)
        table = np.zeros(
            (power_of_two(2 * largest) if self._rule[window_kernels.KIND] == window_kernels.VALUE_COUNT else 0, 3),
            np.int64,
        )
        found = np.empty(int(self._sizes[groups].sum()), np.int64)
        count = window_kernels.evaluate(
            self._events, self._offsets, self._sizes, groups, froms, tos, self._rule, scratch, table, found
        )
        return self._events[found[:count]]

    def all_groups(self) -> Words:
        """Return the numbers of all groups."""
        return np.arange(len(self._sizes))


def _doubled(needed: Words) -> Words:
    """Powers of two with room for as many."""
    return np.maximum(SMALLEST_ROOM, 2 ** np.ceil(np.log2(np.maximum(needed, 1))).astype(np.int64))

"""first_seen: a flow counts when nothing of its combination of columns was seen for so long before it.

Flows are judged in order of their start, behind the horizon, so that the order in which they came plays no part. Most
of them follow another of their combination closely: of these a combination remembers two times, however many they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from detect.judge import event_columns
from detect.judge.evidence import EvidenceRows
from detect.judge.first_seen_kernel import sift
from detect.judge.flow_batch import FlowBatch
from detect.judge.key_numbers import Numbering
from detect.judge.limits import Limits
from detect.judge.open_finding import Texts
from detect.judge.timeline import LEAST, NEVER
from detect.model import FirstSeen, FlowRule
from whowas.arrays import Words

SNAPSHOT_AFTER = 4
# A span of nothing.
NONE = np.array([NEVER, LEAST])


class Firsts:
    """One first_seen rule over all batches.

    Of each combination it knows when it was seen last before the horizon (`_last`); the first of its events that wait
    for the horizon (`_soonest`); and of the flows behind the horizon that cannot be first, because another comes
    shortly before, the earliest and the latest (`_spans`), never further apart than what counts as shortly: between
    the two no flow is the first either.
    """

    def __init__(self, rule: FlowRule, limits: Limits, rows: EvidenceRows) -> None:
        assert rule.first_seen is not None
        self.info = rule.info
        self._told: FirstSeen = rule.first_seen
        self._rows = rows
        self.began_us: int | None = None
        self._numbers = Numbering(limits.combinations)
        self._last = self._soonest = np.zeros(0, np.int64)
        self._spans = np.zeros((0, 2), np.int64)
        self._fresh = np.zeros((0, 2), np.int64)
        self._waiting: list[Words] = []
        self._due_us = NEVER
        self._new: list[Words] = []
        self._logged = 0
        self._horizon = self._swept = LEAST

    def __len__(self) -> int:
        return len(self._numbers)

    def began(self, earliest_us: int) -> None:
        """Flows were seen since then."""
        self.began_us = earliest_us if self.began_us is None else min(self.began_us, earliest_us)

    def judge(self, look: FlowBatch, rows: Words, first: int, horizon_us: int, counts: Counter[str]) -> None:
        """Take the matches of a batch. first: reference of its first row."""
        late = look.starts[rows] < horizon_us
        if late.any():
            counts["late_for_first_seen"] += int(late.sum())
            rows = rows[~late]
        if not len(rows):
            return
        rows = look.in_order(rows)
        values = look.keys(self._told.by, rows).view(np.int64)
        numbers = self._numbered(values)
        counts["first_seen_full"] += int((numbers < 0).sum())
        kept, followed = self._sifted(numbers, look.starts[rows])
        events = self._events(look, rows[kept], values[kept], first)
        if len(events):
            self._rows.want(first, rows[kept], int(events[:, event_columns.TIME].max()) + 1)
            self._wait(events)
        self._new += [one for one in (events, followed) if len(one)]

    def _numbered(self, values: Words) -> Words:
        numbers = self._numbers.of(values)
        more = len(self._numbers) - len(self._last)
        if more:
            self._last = np.concatenate((self._last, np.full(more, LEAST)))
            self._soonest = np.concatenate((self._soonest, np.full(more, NEVER)))
            self._spans, self._fresh = (
                np.concatenate((one, np.tile(NONE, (more, 1)))) for one in (self._spans, self._fresh)
            )
        return numbers

    def _sifted(self, numbers: Words, times: Words) -> tuple[Words, Words]:
        """Places of flows that may be first, and what is to be remembered of the others, (n, 8), one a combination."""
        touched, kept = np.empty(len(numbers), np.int64), np.empty(len(numbers), np.int64)
        within = self._told.within_us
        events, marked = sift(
            numbers, times, within, self._last, self._soonest, self._spans, self._fresh, touched, kept
        )
        touched = touched[:marked]
        followed = np.zeros((marked, event_columns.WIDTH), np.int64)
        followed[:, event_columns.VALUE], followed[:, event_columns.MARK] = self._numbers.keys[touched], 1
        followed[:, event_columns.HIGH], followed[:, event_columns.TIME] = self._fresh[touched].T
        self._fresh[touched] = NONE
        return kept[:events], followed

    def _events(self, look: FlowBatch, rows: Words, values: Words, first: int) -> Words:
        made = np.zeros((len(rows), event_columns.WIDTH), np.int64)
        made[:, event_columns.TIME], made[:, event_columns.VALUE], made[:, event_columns.REF] = (
            look.starts[rows],
            values,
            first + rows,
        )
        made[:, event_columns.KEY] = look.keys(self.info.group_by, rows).view(np.int64)
        made[:, event_columns.HIGH], made[:, event_columns.LOW] = look.ids_of(rows)
        return made

    def _wait(self, events: Words) -> None:
        times = events[:, event_columns.TIME]
        np.minimum.at(self._soonest, self._numbers.of(events[:, event_columns.VALUE]), times)
        self._waiting.append(events)
        self._due_us = min(self._due_us, int(times.min()))

    def advance(self, horizon_us: int) -> Words:
        """No flow that starts before `horizon_us` comes any more. Returns: (n, 8) events that are the first."""
        self._horizon = horizon_us
        found = self._judge(self._due(horizon_us))
        self._sweep()
        return found[
            np.lexsort(
                tuple(
                    found[:, one]
                    for one in (event_columns.LOW, event_columns.HIGH, event_columns.TIME, event_columns.KEY)
                )
            )
        ]

    def _due(self, horizon_us: int) -> Words:
        """Take what waited, ordered by (combination, time, id)."""
        if self._due_us >= horizon_us:
            return np.zeros((0, event_columns.WIDTH), np.int64)
        waiting, self._waiting, self._due_us = np.concatenate(self._waiting), [], NEVER
        over = waiting[:, event_columns.TIME] < horizon_us
        due = waiting[over]
        self._soonest[self._numbers.of(due[:, event_columns.VALUE])] = NEVER
        if not over.all():
            self._wait(waiting[~over])
        ordered: Words = due[
            np.lexsort(
                tuple(
                    due[:, one]
                    for one in (event_columns.LOW, event_columns.HIGH, event_columns.TIME, event_columns.VALUE)
                )
            )
        ]
        return ordered

    def _judge(self, due: Words) -> Words:
        if not len(due):
            return due
        times, (begins, lengths) = due[:, event_columns.TIME], _runs(due[:, event_columns.VALUE])
        numbers = self._numbers.of(due[:, event_columns.VALUE])
        low, high = self._spans[numbers].T
        before = np.empty(len(due), np.int64)
        before[1:] = times[:-1]
        before[begins] = self._last[numbers[begins]]
        before = np.maximum(before, np.where(high < times, high, LEAST))
        between = (low < times) & (times <= high)
        first = ~between & (times - before > self._told.within_us)
        first &= times - (self.began_us or 0) >= self._told.learn_us
        ended = numbers[begins]
        self._last[ended] = np.maximum(self._last[ended], times[begins + lengths - 1])
        found: Words = due[first]
        return found

    def _fold(self) -> None:
        """What no longer lies behind the horizon was seen before it."""
        low, high = self._spans.T
        self._last = np.maximum(
            self._last, np.where(high < self._horizon, high, np.where(low < self._horizon, low, LEAST))
        )
        over = high < self._horizon
        self._spans[over] = NONE
        self._spans[:, 0] = np.where(over, NEVER, np.maximum(self._spans[:, 0], self._horizon))
        self._soonest[self._soonest < self._horizon] = NEVER

    def _sweep(self) -> None:
        """Forget what was not seen for so long that it would be new again."""
        if self._swept != LEAST and self._horizon - self._swept < self._told.within_us // 8:
            return
        self._swept = self._horizon
        self._fold()
        waits = (self._soonest < NEVER) | (self._spans[:, 1] > LEAST)
        stay = waits | (self._last >= self._horizon - self._told.within_us)
        if stay.all():
            return
        self._last, self._soonest, self._spans, self._fresh = (
            one[stay] for one in (self._last, self._soonest, self._spans, self._fresh)
        )
        self._numbers.keep(stay)

    def texts(self, event: Words) -> Texts:
        """Return the group of an event, as people read it."""
        columns = self.info.group_by
        return tuple(zip(columns, self._rows.texts(int(event[event_columns.REF]), columns), strict=True))

    # Remembering.

    def unwritten(self) -> Words | None:
        """Return the events that are not durable."""
        return np.concatenate(self._new) if self._new else None

    def snapshot(self) -> tuple[int, bytes] | None:
        """Return (horizon, what was seen last when) where that is due: when the log of events outgrew it."""
        self._logged += sum(map(len, self._new))
        if self._logged < SNAPSHOT_AFTER * (len(self._numbers) + 256) or self._horizon == LEAST:
            return None
        self._fold()
        self._logged = 0
        return self._horizon, np.stack((self._numbers.keys, self._last)).tobytes()

    def written(self) -> None:
        """They are durable now."""
        self._new.clear()

    def restore(self, kept: tuple[int, bytes] | None, parts: Iterable[Words], horizon_us: int) -> None:
        """Take what was kept, and of what came since what lies behind the horizon, as it lay there."""
        self._horizon, since = horizon_us, LEAST
        if kept is not None:
            since, body = kept
            keys, last = np.frombuffer(body, np.int64).reshape(2, -1)
            numbers = self._numbered(keys)
            self._last[numbers[numbers >= 0]] = last[numbers >= 0]
        for events in parts:
            self._logged += len(events)
            self._restore(events[events[:, event_columns.TIME] >= since])

    def _restore(self, events: Words) -> None:
        numbers = self._numbered(events[:, event_columns.VALUE])
        events, numbers = events[numbers >= 0], numbers[numbers >= 0]
        times, follows = events[:, event_columns.TIME], events[:, event_columns.MARK] == 1
        # Of a span that has begun before the horizon its beginning was.
        before = np.where(follows & (times >= self._horizon), events[:, event_columns.HIGH], times)
        judged = before < self._horizon
        np.maximum.at(self._last, numbers[judged], before[judged])
        spans = follows & (times >= self._horizon)
        np.minimum.at(self._spans[:, 0], numbers[spans], np.maximum(before[spans], self._horizon))
        np.maximum.at(self._spans[:, 1], numbers[spans], times[spans])
        waits = ~follows & ~judged
        if waits.any():
            self._wait(events[waits])


def _runs(values: Words) -> tuple[Words, Words]:
    """Where runs of equal values begin, and how long they are."""
    begins = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return begins, np.diff(np.append(begins, len(values)))

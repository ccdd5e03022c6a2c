"""first_seen: a flow counts when nothing of its combination of columns was seen for so long before it.

Flows are judged in order of their start, behind the horizon, so that the order in which they came plays no part. Of the
many flows of one combination in one batch only the first and the last can matter, unless a gap lies between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from detect import windows
from detect.evidence_rows import EvidenceRows
from detect.growing import Texts
from detect.limits import Limits
from detect.looking import Look
from detect.model import FirstSeen, FlowRule
from detect.timeline import LEAST

Words = npt.NDArray[np.int64]
SNAPSHOT_AFTER = 4


class Firsts:
    """One first_seen rule over all batches."""

    def __init__(self, rule: FlowRule, limits: Limits, rows: EvidenceRows) -> None:
        assert rule.first_seen is not None
        self.info = rule.info
        self._told: FirstSeen = rule.first_seen
        self._most, self._rows = limits.combinations, rows
        self.began_us: int | None = None
        self._numbers: dict[int, int] = {}
        self._last = np.zeros(0, np.int64)
        self._waiting: list[Words] = []
        self._new: list[Words] = []
        self._logged = 0
        self._horizon = self._swept = LEAST

    def __len__(self) -> int:
        return len(self._numbers)

    def began(self, earliest_us: int) -> None:
        """Flows were seen since then."""
        self.began_us = earliest_us if self.began_us is None else min(self.began_us, earliest_us)

    def judge(self, look: Look, rows: Words, first: int, horizon_us: int, counts: Counter[str]) -> None:
        """Take the matches of a batch. first: reference of its first row."""
        late = look.starts[rows] < horizon_us
        if late.any():
            counts["late_for_first_seen"] += int(late.sum())
            rows = rows[~late]
        if not len(rows):
            return
        events = self._events(look, look.in_order(rows), first)
        wanted = events[self._may_be_first(events)]
        self._rows.want(first, wanted[:, windows.REF] - first, int(events[:, windows.TIME].max()) + 1)
        self._waiting.append(events)
        self._new.append(events)

    def _events(self, look: Look, rows: Words, first: int) -> Words:
        """(n, 8), ordered by (combination, time, id), without what cannot matter."""
        high, low = look.ids
        made = np.zeros((len(rows), windows.WIDTH), np.int64)
        made[:, windows.TIME], made[:, windows.REF] = look.starts[rows], first + rows
        made[:, windows.VALUE] = look.keys(self._told.by).view(np.int64)[rows]
        made[:, windows.KEY] = look.keys(self.info.group_by).view(np.int64)[rows]
        made[:, windows.HIGH], made[:, windows.LOW] = high[rows], low[rows]
        made = made[np.argsort(made[:, windows.VALUE], kind="stable")]
        begins, lengths = _runs(made[:, windows.VALUE])
        times = made[:, windows.TIME]
        wide = times[begins + lengths - 1] - times[begins] > self._told.within_us
        stay = np.repeat(wide, lengths)
        stay[begins] = stay[begins + lengths - 1] = True
        kept: Words = made[stay]
        return kept

    def _may_be_first(self, events: Words) -> npt.NDArray[np.bool_]:
        last = self._last_of(events[:, windows.VALUE])
        return events[:, windows.TIME] - last > self._told.within_us

    def _last_of(self, values: Words) -> Words:
        numbers = self._numbers
        places = np.array([numbers.get(one, -1) for one in values.tolist()], np.int64)
        found = np.full(len(values), LEAST)
        known = places >= 0
        found[known] = self._last[places[known]]
        return found

    def advance(self, horizon_us: int, counts: Counter[str]) -> Words:
        """No flow that starts before `horizon_us` comes any more. Returns: (n, 8) events that are the first."""
        self._horizon = horizon_us
        if not self._waiting:
            return np.zeros((0, windows.WIDTH), np.int64)
        waiting = np.concatenate(self._waiting)
        over = waiting[:, windows.TIME] < horizon_us
        self._waiting = [waiting[~over]] if not over.all() else []
        due = waiting[over]
        due = due[np.lexsort(tuple(due[:, one] for one in (windows.LOW, windows.HIGH, windows.TIME, windows.VALUE)))]
        found = self._judge(due, counts)
        self._sweep()
        return found[np.lexsort(tuple(found[:, one] for one in (windows.LOW, windows.HIGH, windows.TIME, windows.KEY)))]

    def _judge(self, due: Words, counts: Counter[str]) -> Words:
        if not len(due):
            return due
        times, (begins, lengths) = due[:, windows.TIME], _runs(due[:, windows.VALUE])
        before = np.empty(len(due), np.int64)
        before[1:] = times[:-1]
        before[begins] = self._last_of(due[begins, windows.VALUE])
        first = times - before > self._told.within_us
        first &= times - (self.began_us or 0) >= self._told.learn_us
        first &= np.repeat(self._remember(due[begins, windows.VALUE], times[begins + lengths - 1], counts), lengths)
        return due[first]

    def _remember(self, values: Words, last: Words, counts: Counter[str]) -> npt.NDArray[np.bool_]:
        """Keep when each was seen last. Returns: for which there is room; of others nothing can be said."""
        numbers, there = self._numbers, np.ones(len(values), np.bool_)
        places = np.empty(len(values), np.int64)
        for row, one in enumerate(values.tolist()):
            number = numbers.get(one, -1)
            if number < 0 and len(numbers) < self._most:
                number = numbers[one] = len(numbers)
            places[row] = number
        there = places >= 0
        counts["first_seen_full"] += int((~there).sum())
        if len(numbers) > len(self._last):
            self._last = np.concatenate((self._last, np.full(len(numbers) - len(self._last), LEAST)))
        self._last[places[there]] = np.maximum(self._last[places[there]], last[there])
        return there

    def _sweep(self) -> None:
        """Forget what was not seen for so long that it would be new again."""
        if self._swept != LEAST and self._horizon - self._swept < self._told.within_us // 8:
            return
        self._swept = self._horizon
        stay = self._last >= self._horizon - self._told.within_us
        if stay.all():
            return
        keys = np.fromiter(self._numbers, np.int64, len(self._numbers))[stay]
        self._last = self._last[stay]
        self._numbers = {one: number for number, one in enumerate(keys.tolist())}

    def texts(self, event: Words) -> Texts:
        """Return the group of an event, as people read it."""
        columns = self.info.group_by
        return tuple(zip(columns, self._rows.texts(int(event[windows.REF]), columns), strict=True))

    # Remembering.

    def unwritten(self) -> Words | None:
        """Return the events that are not durable."""
        return np.concatenate(self._new) if self._new else None

    def snapshot(self) -> tuple[int, bytes] | None:
        """Return (horizon, what was seen last when) where that is due: when the log of events outgrew it."""
        self._logged += sum(map(len, self._new))
        if self._logged < SNAPSHOT_AFTER * (len(self._numbers) + 1024) or self._horizon == LEAST:
            return None
        keys = np.fromiter(self._numbers, np.int64, len(self._numbers))
        self._logged = 0
        return self._horizon, np.stack((keys, self._last[: len(keys)])).tobytes()

    def written(self) -> None:
        """They are durable now."""
        self._new.clear()

    def restore(self, kept: tuple[int, bytes] | None, parts: Iterable[Words], horizon_us: int) -> None:
        """Take what was kept, and judge again, without telling, what was judged since."""
        since = LEAST
        if kept is not None:
            since, body = kept
            keys, last = np.frombuffer(body, np.int64).reshape(2, -1)
            self._numbers = {one: number for number, one in enumerate(keys.tolist())}
            self._last = last.copy()
        for events in parts:
            self._waiting.append(events[events[:, windows.TIME] >= since])
            self._logged += len(events)
        self.advance(horizon_us, Counter())


def _runs(values: Words) -> tuple[Words, Words]:
    """Where runs of equal values begin, and how long they are."""
    begins = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return begins, np.diff(np.append(begins, len(values)))

"""Times of records on their way into flows: which is told, what it means, and what stands in where none is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.records.flow_columns import LAST_US, NONE
from whowas.arrays import Flags, Words
from whowas.flow_times import EXCHANGED, FIRST_US, NO_START, NO_TIME, SECOND_US, TimeBounds
from whowas.schema import TIME_BASES
from whowas.timestamps import BEFORE_ALL

NEVER = BEFORE_ALL
DAY_US = 86_400_000_000


class RecordTimes:
    """One row a record. start, end, received: us since 1970, NEVER where none is told.

    basis: place in TIME_BASES or NONE. before, after: us (whowas.flow_times); before is NONE where naming knows it.
    """

    def __init__(self, size: int) -> None:
        self.start = np.full(size, NEVER, dtype=np.int64)
        self.end = np.full(size, NEVER, dtype=np.int64)
        self.received = np.full(size, NEVER, dtype=np.int64)
        self.basis = np.full(size, NONE, dtype=np.int64)
        self.before = np.zeros(size, dtype=np.int64)
        self.after = np.zeros(size, dtype=np.int64)

    def bound(self, kinds: Sequence[TimeBounds], choice: Words | None = None) -> None:
        """Say what the times mean. choice: (n,) which of the kinds each row is of; without it there is one."""
        places = np.zeros(len(self.start), dtype=np.int64) if choice is None else choice
        self.basis = np.array([_place(one) for one in kinds], dtype=np.int64)[places]
        told = [NONE if one.before_us is None else one.before_us for one in kinds]
        self.before = np.array(told, dtype=np.int64)[places]
        self.after = np.array([one.after_us for one in kinds], dtype=np.int64)[places]

    def ahead(self) -> Flags:
        """Where the start is a day behind the receipt or more: an exporter's uptime that wrapped, which is no time."""
        found: Flags = (self.received != NEVER) & (self.start > self.received + DAY_US)
        return found

    def receive(self, broker: Words | None) -> None:
        """Drop what is no time (zero, 1754, 1970, a year that does not fit), and take the broker's time of receipt."""
        for times in (self.start, self.end):
            times[times < FIRST_US] = NEVER
        if broker is not None:
            self.received = np.where(self.received < FIRST_US, broker, self.received)
        self.received[(self.received < FIRST_US) | (self.received > LAST_US)] = NEVER

    def settle(self) -> dict[str, Flags]:
        """Put other times where the record's own are missing or exchanged. Returns: rows by what was remarked."""
        no_start = (self.start == NEVER) & (self.end != NEVER)
        self.end = np.where(self.end == NEVER, self.start, self.end)
        self.start = np.where(no_start, self.end, self.start)
        by_receipt = (self.start == NEVER) & (self.received != NEVER)
        self.start = np.where(by_receipt, self.received, self.start)
        self.end = np.where(by_receipt, self.received, self.end)
        exchanged = self.end < self.start
        self.start, self.end = np.minimum(self.start, self.end), np.maximum(self.start, self.end)
        for rows, told in ((no_start, NO_START), (by_receipt, NO_TIME), (exchanged, EXCHANGED)):
            self.basis[rows] = _place(told)
        self.before[no_start | by_receipt] = NONE
        self.after[by_receipt] = np.where(self.received[by_receipt] % 1_000_000 == 0, SECOND_US, 0)
        return {
            "no_start_time": no_start,
            "no_time_but_receipt": by_receipt,
            "no_time": self.start == NEVER,
            "ends_before_start": exchanged,
        }


def _place(told: TimeBounds) -> int:
    return TIME_BASES.index(told.basis) if told.basis else NONE

"""What each named flow of a batch asks, as numbers: its ends, port and opener, and between which changes it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detect.policy.distinct import Codes, Numbers, Questions, indices, nothing, number_codes, packed, word_codes
from detect.policy.epochs import Epochs, places
from detect.policy.timeline import Timeline
from whowas.arrays import Words

SIDES = ("src", "dst")
# How long before its start a flow's packets may lie where a record does not tell: as naming takes it.
UNTOLD_US = 120_000_000
SYN, ACK = 0x02, 0x10
OPENED_BY_SOURCE = ("syn", "record")
PORT_MOST = 0xFFFF
Mask = npt.NDArray[np.bool_]


class Asker:
    """Tells the questions of one cluster's flows apart. bare: there are no policies, and who is asked is enough."""

    def __init__(self, timeline: Timeline, *, bare: bool) -> None:
        self._timeline = timeline
        self._bare = bare
        self._epochs = timeline.epochs()
        self._numbers = Numbers()
        self._pods, self._spaces = Epochs(timeline.edges_of), Epochs(timeline.edges_around)

    def stale(self) -> bool:
        """Say whether the timeline has changed since."""
        return self._epochs is not self._timeline.epochs()

    def __len__(self) -> int:
        return len(self._numbers)

    def questions(self, table: Any) -> Questions:
        """Tell rows apart. Args: table: with COLUMNS of flow_verdicts, one chunk each."""
        found = Questions(table.num_rows)
        low, high = bounds(table)
        for side in SIDES:
            self._end(found, table, side, low, high)
        found.by(_flags(table["encapsulated"]))
        found.by(Codes(np.asarray(table["start_time"].is_null()).astype(np.int64), 2))
        found.by(packed(places(self._epochs, low, high)))
        if not self._bare:
            self._connection(found, table)
        return found

    def _words(self, table: Any, name: str) -> Codes:
        return word_codes(table[name].chunk(0), self._numbers)

    def _end(self, found: Questions, table: Any, side: str, low: Words, high: Words) -> None:
        sure, kind, uid = (self._words(table, f"{side}_{name}") for name in ("confidence", "kind", "pod_uid"))
        several = sure.are("ambiguous")
        found.by(sure)
        found.by(kind)
        found.by(self._candidates(table[f"{side}_candidates"].chunk(0), several))
        if self._bare:
            found.by(Codes((uid.rows > 0).astype(np.int64), 2))
            return
        found.by(uid)
        found.by(self._words(table, f"{side}_ip16"))
        service = kind.are("service")
        # Of a pod its UID says the rest.
        for name, mask in (("node", kind.are("node")), ("namespace", service), ("service", service)):
            found.by(self._words(table, f"{side}_{name}").where(mask) if mask.any() else nothing(len(mask)))
        self._pods.tell(found, uid, low, high)
        self._spaces.tell(found, uid, low, high)
        found.by(self._anything(several | service, low, high))

    def _anything(self, rows: Mask, low: Words, high: Words) -> Codes:
        """Ends that may be several, or a Service: whatever changes may be about them."""
        if not rows.any():
            return nothing(len(rows))
        found = np.zeros(len(rows), dtype=np.int64)
        found[rows] = places(self._timeline.edges(), low[rows], high[rows])
        return packed(found)

    def _candidates(self, column: Any, several: Mask) -> Codes:
        """Who an end may have been, where that is not certain."""
        if not several.any():
            return nothing(len(several))
        if pa.types.is_dictionary(column.type):
            rows, lists = indices(column)
            rows = np.where(several, rows, 0)
            used = np.unique(rows)
            used = used[used > 0]
            meaning = np.zeros(len(lists) + 1, dtype=np.int64)
            meaning[used] = self._lists(lists.take(pa.array(used - 1)))
            return Codes(rows, len(meaning), meaning)
        rows = np.zeros(len(several), dtype=np.int64)
        rows[several] = self._lists(column.filter(pa.array(several)))
        return packed(rows)

    def _lists(self, lists: Any) -> list[int]:
        told = (one and tuple(tuple(sorted(each.items())) for each in one) for one in lists.to_pylist())
        return self._numbers.of([one or None for one in told])

    def _connection(self, found: Questions, table: Any) -> None:
        """Port, protocol and direction; where no record says who opened it, the source's port and a lone SYN may."""
        found.by(number_codes(table["dst_port"].chunk(0), PORT_MOST))
        basis = self._words(table, "initiator_basis")
        for one in (self._words(table, "protocol"), self._words(table, "directionality"), basis):
            found.by(one)
        untold = ~basis.are(*OPENED_BY_SOURCE)
        if untold.any():
            flags = table["tcp_flags_out"].chunk(0).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
            found.by(Codes(np.where(untold, flags & (SYN | ACK), 0), (SYN | ACK) + 1))
            found.by(number_codes(table["src_port"].chunk(0), PORT_MOST).where(untold))
        else:
            for _ in range(2):
                found.by(nothing(table.num_rows))


def bounds(table: Any) -> tuple[Words, Words]:
    """Return from when to when each row's start lies (us); where it is not known, some time or other."""
    start, before = table["start_time"].chunk(0).cast(pa.int64()), table["time_before"].chunk(0)
    high = start.fill_null(0).to_numpy(zero_copy_only=False)
    if start.null_count:
        known = np.asarray(start.is_valid())
        high = np.where(known, high, high[known].min() if known.any() else 0)
    return high - before.fill_null(UNTOLD_US).to_numpy(zero_copy_only=False), high


def _flags(column: Any) -> Codes:
    """A column of yes and no; null is no."""
    return Codes(column.chunk(0).fill_null(False).to_numpy(zero_copy_only=False).astype(np.int64), 2)


__all__ = ["ACK", "OPENED_BY_SOURCE", "SIDES", "SYN", "UNTOLD_US", "Asker", "bounds"]

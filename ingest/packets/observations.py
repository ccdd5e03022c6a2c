"""Holds finished rows of a run with several points of observation until what belongs together is known.

Memory is bounded: beyond so many rows they go to temporary files, parted by their keys, and are joined part by part.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from ingest.packets import flow_table as t
from ingest.packets.joining import CLOCKS_APART, HALF, JOIN, PARENT, UNIT, join_points
from ingest.packets.translated import join_translated
from whowas.arrays import Flags, Words

# 448 bytes each.
HELD_MOST = 1 << 19
PARTS = 64
WIDTH = t.ROW + t.MARKED


@dataclass(frozen=True)
class Sights:
    """All that was seen of some conversations. counts (n,): how many points saw each row's, 0 = one.

    rows (m, ROW), cold (m, MARKED): one for each point, the counted one first, those of row 0 first.
    """

    counts: Words
    rows: Words
    cold: Words


# Rows, their cold halves, what was seen of them.
Joined = tuple[Words, Words, Sights]


@dataclass
class Observations:
    """Rows that wait. repeated: packets that were seen again at another point, and not counted.

    files: by observer, times of the first and last packet of its file, us.
    """

    repeated: int = 0
    files: list[tuple[int, int]] = field(default_factory=list)
    _chunks: list[Words] = field(default_factory=list)
    _held: int = 0
    _parts: list[IO[bytes]] = field(default_factory=list)

    def add(self, rows: Words, cold: Words) -> None:
        """Keep a copy of rows (n, ROW) and cold (n, MARKED)."""
        self._chunks.append(np.hstack([rows, cold]))
        self._held += len(rows)
        if self._held > HELD_MOST:
            self._part()

    def release(self, before: int) -> Iterator[Joined]:
        """Yield what no packet from `before` on (us) can be the same as. What went to files waits for `finish`."""
        if not self._held:
            return
        whole = in_key_order(np.concatenate(self._chunks))
        heads = key_heads(whole)
        last = np.maximum.reduceat(whole[:, t.LAST], heads)
        stay = np.repeat(last >= before - CLOCKS_APART, np.diff(np.append(heads, len(whole))))
        self._chunks, self._held = [whole[stay]], int(stay.sum())
        yield from self._join(whole[~stay])

    def finish(self) -> Iterator[Joined]:
        """Yield all that is left; nothing is held then."""
        if self._parts:
            self._part()
        parts, self._parts = self._parts, []
        for part in parts:
            with part:
                part.seek(0)
                yield from self._join(in_key_order(np.frombuffer(part.read(), dtype=np.int64).reshape(-1, WIDTH)))
        chunks, self._chunks, self._held = self._chunks, [], 0
        if chunks:
            yield from self._join(in_key_order(np.concatenate(chunks)))

    def _part(self) -> None:
        """Write what is held to the files of its keys."""
        if not self._parts:
            self._parts = [tempfile.TemporaryFile(prefix="whowas-") for _ in range(PARTS)]
        whole = np.concatenate(self._chunks) if self._chunks else np.zeros((0, WIDTH), dtype=np.int64)
        mixed = whole[:, t.A_LO] ^ (whole[:, t.B_LO] * 31) ^ (whole[:, t.ENDS] >> 24) ^ (whole[:, t.ENDS] >> 40)
        place = (mixed ^ (mixed >> 6) ^ (mixed >> 12)) % PARTS
        for number, part in enumerate(self._parts):
            part.write(whole[place == number].tobytes())
        self._chunks, self._held = [], 0

    def _join(self, whole: Words) -> Iterator[Joined]:
        if not len(whole):
            return
        rows, cold = whole[:, : t.ROW].copy(), whole[:, t.ROW :].copy()
        sums, marks, join = rows.copy(), cold.copy(), np.empty((len(whole), JOIN), dtype=np.int64)
        with np.errstate(over="ignore"):  # sums wrap; compiled code never warns
            join_points(sums, marks, np.array(self.files, dtype=np.int64).reshape(-1, 2), join)
        join_translated(sums, marks, _roots(join), join)
        roots = _roots(join)
        lost = join[join[:, UNIT], PARENT] >= 0
        halves = np.flatnonzero(join[:, HALF])
        _add_halves(rows, cold, sums, halves, join[halves, PARENT])
        again = lost & (join[join[:, UNIT], HALF] == 0)
        self.repeated += int(rows[again][:, t.PACKETS_A : t.PACKETS_A + 2].sum())
        yield rows[~lost], cold[~lost], _sights(roots, ~lost, join, sums, marks)


def in_key_order(whole: Words) -> Words:
    """Sort rows by both ends, then by time."""
    order = np.lexsort([whole[:, one] for one in (t.FIRST, t.ENDS, t.B_LO, t.B_HI, t.A_LO, t.A_HI)])
    ordered: Words = whole[order]
    return ordered


def key_heads(whole: Words) -> Words:
    """First row of each pair of ends, of rows in that order."""
    keys = whole[:, : t.ENDS + 1]
    return np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]).any(axis=1)))


def _roots(join: Words) -> Words:
    """The unit that stands for each row in the end. Each step leads to a better one: there are no rings."""
    roots = join[:, UNIT].copy()
    while True:
        parents = join[roots, PARENT]
        further = parents >= 0
        if not further.any():
            return roots
        roots[further] = parents[further]


def _add_halves(rows: Words, cold: Words, sums: Words, halves: Words, parents: Words) -> None:
    """Give a row the direction that it did not see: numbers, flags, times, who opened, when the end spoke."""
    for half, one in zip(halves.tolist(), parents.tolist(), strict=True):
        rows[one, t.PACKETS_A : t.PACKETS_A + 4] += sums[half, t.PACKETS_A : t.PACKETS_A + 4]
        state, other = int(rows[one, t.STATE]), int(rows[half, t.STATE])
        theirs = other & t.BY_SYN and not state & t.BY_SYN
        if theirs or (not state & t.BY_SYN and rows[half, t.FIRST] < rows[one, t.FIRST]):
            state = state & ~t.SRC_IS_B | other & t.SRC_IS_B
        told = t.ERRORS_MASK if state & t.ERRORS_MASK else 0
        state |= other & ~(t.SRC_IS_B | told)
        rows[one, t.STATE] = state
        rows[one, t.FIRST] = min(rows[one, t.FIRST], sums[half, t.FIRST])
        rows[one, t.LAST] = max(rows[one, t.LAST], sums[half, t.LAST])
        end = 0 if sums[half, t.PACKETS_A] else 1
        cold[one, t.SPOKE_TIME_A + end] = cold[half, t.SPOKE_TIME_A + end]
        cold[one, t.MAC_A + end] = cold[half, t.MAC_A + end]


def _sights(roots: Words, kept: Flags, join: Words, rows: Words, cold: Words) -> Sights:
    """List the units of each kept row; rows that were cut keep theirs with the first of them."""
    units = np.flatnonzero(join[:, UNIT] == np.arange(len(join)))
    number = np.bincount(roots[units], minlength=len(join))
    units = units[number[roots[units]] > 1]
    order = np.lexsort([cold[units, t.SEQUENCE], cold[units, t.PLACE], join[units, PARENT] >= 0, roots[units]])
    units = units[order]
    return Sights(np.where(number > 1, number, 0)[kept], rows[units], cold[units])


def picked(sights: Sights, order: Words) -> Sights:
    """Those of some rows, in their order."""
    starts, counts = (np.cumsum(sights.counts) - sights.counts)[order], sights.counts[order]
    places = np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return Sights(counts, sights.rows[places], sights.cold[places])

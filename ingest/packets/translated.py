"""A Service's address and the pod behind it: a TCP conversation before and after its destination was translated.

Proven by TCP's own numbers: both directions have the same packets without data, the opening ones among them, and the
same bytes, from the same client and port. Which of both addresses the client used, a clock tells: it was seen there
first.
"""

from __future__ import annotations

import numpy as np

from ingest.packets import flow_table as t
from ingest.packets.conversation import SYN
from ingest.packets.joining import CLOCKS_APART, PARENT, UNIT
from ingest.packets.points import BYTES, COUNT, HIGH, LEAST, LOW, SUM
from whowas.arrays import Flags, Words

TCP = 6


def join_translated(rows: Words, cold: Words, roots: Words, join: Words) -> None:
    """Let the row of the address that answered stand for that of the address that was asked.

    Args: rows, cold, join: as joining.join_points left them. roots: the unit that stands for each row in the end.
    """
    units = np.flatnonzero((roots == np.arange(len(rows))) & _whole(rows, cold))
    proofs = _proofs(rows[units], cold[units])
    order = np.lexsort(proofs.T)
    units, proofs = units[order], proofs[order]
    same = np.append(False, (proofs[1:] == proofs[:-1]).all(axis=1)) if len(units) else np.zeros(0, dtype=np.bool_)
    # Two and no more: of three nobody knows which one was translated to which.
    pairs = same & ~np.append(False, same[:-1]) & ~np.append(same[1:], False)
    for place in np.flatnonzero(pairs).tolist():
        _join_pair(int(units[place - 1]), int(units[place]), rows, cold, roots, join)


def _whole(rows: Words, cold: Words) -> Flags:
    """Say which rows are TCP from its opening on, with marks of both directions."""
    told = ((rows[:, t.ENDS] >> 8) & 0xFF == TCP) & (rows[:, t.STATE] & t.BY_SYN != 0)
    for end in range(2):
        told &= (rows[:, t.STATE] >> (t.B_FLAGS * end)) & SYN != 0
        at = t.MARKS + end * t.MARK_WORDS
        told &= (cold[:, at + LEAST] != t.UNMARKED) & (cold[:, at + COUNT] > 0) & (cold[:, at + LOW] >= 0)
    whole: Flags = told
    return whole


def _proofs(rows: Words, cold: Words) -> Words:
    """What must be equal: client, its port, and the marks of both directions, the client's first."""
    is_b = rows[:, t.STATE] & t.SRC_IS_B != 0
    ports = rows[:, t.ENDS]
    columns = [
        np.where(is_b, rows[:, t.B_HI], rows[:, t.A_HI]),
        np.where(is_b, rows[:, t.B_LO], rows[:, t.A_LO]),
        np.where(is_b, (ports >> 24) & 0xFFFF, ports >> 40),
    ]
    for mine in (is_b, ~is_b):
        marks = np.where(
            mine[:, None], cold[:, t.MARKS + t.MARK_WORDS : t.MARKED], cold[:, t.MARKS : t.MARKS + t.MARK_WORDS]
        )
        # Numbers are counted on from the first that came: their low bits, and how far they reach.
        columns += [marks[:, SUM], marks[:, COUNT], marks[:, BYTES], marks[:, LOW] & 0xFFFFFFFF]
        columns += [marks[:, HIGH] - marks[:, LOW]]
    return np.stack(columns, axis=1)


def _join_pair(one: int, other: int, rows: Words, cold: Words, roots: Words, join: Words) -> None:
    networks = rows[[one, other], t.NETWORK] & t.NETWORK_MASK
    if (networks[0] != networks[1] and networks.all()) or abs(rows[one, t.FIRST] - rows[other, t.FIRST]) > CLOCKS_APART:
        return
    first = _seen_first(one, other, rows, cold, roots, join)
    if first >= 0:
        join[first, PARENT] = other if first == one else one


def _seen_first(one: int, other: int, rows: Words, cold: Words, roots: Words, join: Words) -> int:
    """Which of two roots a capture that has both saw first; -1: none has both, or two captures do not agree."""
    seen = [_first_by_place(root, rows, cold, roots, join) for root in (one, other)]
    told = {one if seen[0][place] < seen[1][place] else other for place in seen[0].keys() & seen[1].keys()}
    return told.pop() if len(told) == 1 else -1


def _first_by_place(root: int, rows: Words, cold: Words, roots: Words, join: Words) -> dict[int, tuple[int, int]]:
    """Time and ordinal of the first packet of a root's sights, by observer. Only near rows can be its."""
    found: dict[int, tuple[int, int]] = {}
    start = stop = root
    key = rows[root, : t.ENDS + 1]
    while start > 0 and (rows[start - 1, : t.ENDS + 1] == key).all():
        start -= 1
    while stop + 1 < len(rows) and (rows[stop + 1, : t.ENDS + 1] == key).all():
        stop += 1
    for row in range(start, stop + 1):
        if roots[row] == root and join[row, UNIT] == row:
            told, place = (int(rows[row, t.FIRST]), int(cold[row, t.SEQUENCE])), int(cold[row, t.PLACE])
            found[place] = min(found.get(place, told), told)
    return found

"""Which rows are one conversation that was seen at several points. Nothing is joined that the packets do not prove.

A row is taken for another sight of a second one when every packet of it is among the second one's: its marks are the
same, or they share a packet and its numbers and times lie within the other's. So what is left out was counted.
Networks with different VNIs or VLAN ids are never joined, not even by way of a row that has none.
"""

from __future__ import annotations

from ingest.packets.conversation import END_ACTIVE, END_FULL
from ingest.packets.flow_table import (
    ENDS,
    FIRST,
    LAST,
    MARK_WORDS,
    MARKS,
    NETWORK,
    NETWORK_MASK,
    PACKETS_A,
    PLACE,
    REASON,
    SEQUENCE,
    TAGS,
    UNMARKED,
)
from ingest.packets.points import BYTES, COUNT, HIGH, LEAST, LEAST_TIME, LOW, NO_DIGEST, SUM
from whowas.arrays import Words
from whowas.kernels import kernel, rare_kernel

# How far the clocks of two observers may be apart, and how much of a conversation's edges that is not known, us.
CLOCKS_APART = 5_000_000
EDGE = 1_000_000
# Rows of one pair of ends that one is compared with: bounds what crafted captures cost.
COMPARED_MOST = 256

# What is known of each row while it is joined. A conversation that was cut has one unit: its first row.
UNIT, PARENT, NETWORK_SEEN, TAGS_SEEN = 0, 1, 2, 3
HALF = 4  # 1: the parent did not see this direction at all, and gets its numbers
JOIN = 5
NONE, SEVERAL = 0, -1

NOT_INSIDE, INSIDE, SAME = 0, 1, 2


@rare_kernel
def same_key(a: Words, b: Words) -> bool:
    for i in range(ENDS + 1):
        if a[i] != b[i]:
            return False
    return True


@rare_kernel
def _same_point(i: int, j: int, rows: Words, cold: Words) -> bool:
    same: bool = (
        rows[i, NETWORK] == rows[j, NETWORK]
        and rows[i, TAGS] == rows[j, TAGS]
        and cold[i, PLACE] == cold[j, PLACE]
    )  # fmt: skip
    return same


@rare_kernel
def _add_piece(unit: int, piece: int, rows: Words, cold: Words) -> None:
    """Let the first row of a conversation that was cut stand for a later one too."""
    rows[unit, FIRST] = min(rows[unit, FIRST], rows[piece, FIRST])
    rows[unit, LAST] = max(rows[unit, LAST], rows[piece, LAST])
    for i in range(PACKETS_A, PACKETS_A + 4):
        rows[unit, i] += rows[piece, i]
    for end in range(2):
        at = MARKS + end * MARK_WORDS
        if cold[unit, at + LEAST] == UNMARKED or cold[piece, at + LEAST] == UNMARKED:
            cold[unit, at + LEAST] = UNMARKED
            continue
        cold[unit, at + SUM] = (cold[unit, at + SUM] + cold[piece, at + SUM]) & ((1 << 63) - 1)
        cold[unit, at + COUNT] += cold[piece, at + COUNT]
        cold[unit, at + BYTES] += cold[piece, at + BYTES]
        if cold[piece, at + LEAST] < cold[unit, at + LEAST]:
            cold[unit, at + LEAST], cold[unit, at + LEAST_TIME] = cold[piece, at + LEAST], cold[piece, at + LEAST_TIME]
        _add_range(at, unit, piece, cold)


@rare_kernel
def _add_range(at: int, unit: int, piece: int, cold: Words) -> None:
    if cold[piece, at + LOW] < 0:
        return
    if cold[unit, at + LOW] < 0:
        cold[unit, at + LOW], cold[unit, at + HIGH] = cold[piece, at + LOW], cold[piece, at + HIGH]
        return
    # Counted on from where the piece before ended.
    size, away = cold[piece, at + HIGH] - cold[piece, at + LOW], _away(cold[piece, at + LOW], cold[unit, at + HIGH])
    begin = cold[unit, at + HIGH] + away
    cold[unit, at + LOW] = max(min(cold[unit, at + LOW], begin), 0)
    cold[unit, at + HIGH] = max(cold[unit, at + HIGH], begin + size)


@rare_kernel
def _away(number: int, origin: int) -> int:
    """The way from one sequence number to another, by their low 32 bits."""
    away = (number - origin) & 0xFFFFFFFF
    return away - (1 << 32) if away >= 1 << 31 else away


@rare_kernel
def _find_units(start: int, stop: int, rows: Words, cold: Words, join: Words) -> None:
    """Tie the pieces of conversations that were cut, at each point."""
    for i in range(start, stop):
        for back in range(1, min(i - start, COMPARED_MOST) + 1):
            j = i - back
            if not _same_point(i, j, rows, cold):
                continue
            if cold[j, REASON] == END_ACTIVE or cold[j, REASON] == END_FULL:
                join[i, UNIT] = join[j, UNIT]
                _add_piece(join[j, UNIT], i, rows, cold)
            break


@rare_kernel
def _direction(at: int, i: int, j: int, cold: Words) -> int:
    """Say whether what j saw of a direction is among what i saw of it."""
    one, other = cold[i, at : at + MARK_WORDS], cold[j, at : at + MARK_WORDS]
    if one[COUNT] < other[COUNT] or one[BYTES] < other[BYTES]:
        return NOT_INSIDE
    away = _away(other[LOW], one[LOW])
    if one[COUNT] == other[COUNT] and one[SUM] == other[SUM] and one[BYTES] == other[BYTES]:
        if one[LOW] < 0 and other[LOW] < 0:
            return SAME
        if one[LOW] >= 0 and other[LOW] >= 0 and away == 0:
            return SAME if one[HIGH] - one[LOW] == other[HIGH] - other[LOW] else NOT_INSIDE
        return NOT_INSIDE
    if other[LOW] >= 0 and (one[LOW] < 0 or away < 0 or away + other[HIGH] - other[LOW] > one[HIGH] - one[LOW]):
        return NOT_INSIDE
    if one[LEAST] == other[LEAST] and one[LEAST] != NO_DIGEST:
        return INSIDE
    # Data alone, and of them nothing is missing.
    whole: bool = other[COUNT] == 0 and other[BYTES] > 0 and one[BYTES] >= one[HIGH] - one[LOW] - 2
    return INSIDE if whole else NOT_INSIDE


@rare_kernel
def _offset(i: int, j: int, cold: Words) -> int:
    """By how much j's clock is ahead of i's, as a packet that both saw tells; 0 where none does."""
    for end in range(2):
        at = MARKS + end * MARK_WORDS
        if cold[i, at + LEAST] == cold[j, at + LEAST] and cold[i, at + LEAST] != NO_DIGEST:
            away: int = cold[j, at + LEAST_TIME] - cold[i, at + LEAST_TIME]
            return away
    return 0


@rare_kernel
def holds(i: int, j: int, rows: Words, cold: Words) -> int:
    """Say whether row j is another sight of what row i has whole: NOT_INSIDE, INSIDE or SAME."""
    told, proof = SAME, False
    for end in range(2):
        at = MARKS + end * MARK_WORDS
        if cold[i, at + LEAST] == UNMARKED or cold[j, at + LEAST] == UNMARKED:
            return NOT_INSIDE
        if rows[j, PACKETS_A + end] == 0:
            if rows[i, PACKETS_A + end]:
                told = INSIDE
            continue
        if rows[i, PACKETS_A + end] == 0:
            return NOT_INSIDE
        found = _direction(at, i, j, cold)
        if found == NOT_INSIDE:
            return NOT_INSIDE
        told, proof = min(told, found), True
    away = _offset(i, j, cold)
    if not proof or abs(away) > CLOCKS_APART:
        return NOT_INSIDE
    inside = rows[j, FIRST] - away >= rows[i, FIRST] - EDGE and rows[j, LAST] - away <= rows[i, LAST] + EDGE
    return told if told == SAME or inside else NOT_INSIDE


@rare_kernel
def _amount(i: int, what: int, cold: Words) -> int:
    both: int = cold[i, MARKS + what] + cold[i, MARKS + MARK_WORDS + what]
    return both


@rare_kernel
def _better(i: int, j: int, rows: Words, cold: Words) -> bool:
    """Say which of two stands for both: what has more, then what lies in no tunnel, then what came first."""
    for what in (BYTES, COUNT):
        if _amount(i, what, cold) != _amount(j, what, cold):
            return _amount(i, what, cold) > _amount(j, what, cold)
    inner_i, inner_j = rows[i, NETWORK] & NETWORK_MASK, rows[j, NETWORK] & NETWORK_MASK
    if (inner_i == NONE) != (inner_j == NONE):
        return inner_i == NONE
    packets = rows[i, PACKETS_A] + rows[i, PACKETS_A + 1] - rows[j, PACKETS_A] - rows[j, PACKETS_A + 1]
    if packets:
        return packets > 0
    if cold[i, PLACE] != cold[j, PLACE]:
        return cold[i, PLACE] < cold[j, PLACE]
    return cold[i, SEQUENCE] < cold[j, SEQUENCE]


@rare_kernel
def _unlike(mine: int, other: int) -> bool:
    """Two names of a network that contradict each other."""
    return mine != NONE and other != NONE and mine != other


@rare_kernel
def _see(i: int, seen: int, mine: int, other: int, join: Words) -> None:
    """Keep of a row without a VNI (or VLAN ids) what it was found to be the same as."""
    if mine == NONE and other != NONE:
        join[i, seen] = other if join[i, seen] in (NONE, other) else SEVERAL


@rare_kernel
def _torn(i: int, seen: int, mine: int, other: int, join: Words) -> bool:
    """Say whether a row that has none was found in several networks: then nobody knows in which it is."""
    return mine == NONE and other != NONE and join[i, seen] == SEVERAL


@rare_kernel
def _pair(i: int, j: int, final: bool, rows: Words, cold: Words, join: Words) -> None:
    """Join two units where one holds the other. In the first round it is only seen in which networks they are."""
    net_i, net_j = rows[i, NETWORK] & NETWORK_MASK, rows[j, NETWORK] & NETWORK_MASK
    if _same_point(i, j, rows, cold) or _unlike(net_i, net_j) or _unlike(rows[i, TAGS], rows[j, TAGS]):
        return
    if not _better(i, j, rows, cold):
        i, j, net_i, net_j = j, i, net_j, net_i
    if holds(i, j, rows, cold) == NOT_INSIDE:
        return
    if not final:
        _see(i, NETWORK_SEEN, net_i, net_j, join)
        _see(j, NETWORK_SEEN, net_j, net_i, join)
        _see(i, TAGS_SEEN, rows[i, TAGS], rows[j, TAGS], join)
        _see(j, TAGS_SEEN, rows[j, TAGS], rows[i, TAGS], join)
        return
    torn = _torn(i, NETWORK_SEEN, net_i, net_j, join) or _torn(j, NETWORK_SEEN, net_j, net_i, join)
    torn = torn or _torn(i, TAGS_SEEN, rows[i, TAGS], rows[j, TAGS], join)
    if torn or _torn(j, TAGS_SEEN, rows[j, TAGS], rows[i, TAGS], join):
        return
    if join[j, PARENT] < 0 or _better(i, join[j, PARENT], rows, cold):
        join[j, PARENT] = i


@rare_kernel
def _pairs(start: int, stop: int, final: bool, rows: Words, cold: Words, join: Words) -> None:
    for i in range(start, stop):
        if join[i, UNIT] != i:
            continue
        for j in range(i + 1, min(stop, i + COMPARED_MOST)):
            if rows[j, FIRST] > rows[i, LAST] + CLOCKS_APART:
                break
            if join[j, UNIT] == j:
                _pair(i, j, final, rows, cold, join)


@rare_kernel
def _half_of(i: int, start: int, stop: int, rows: Words, cold: Words, join: Words) -> int:
    """The one row of the same capture that saw the other direction alone, at the same time; -1: none, or several."""
    found = -1
    mine = 0 if rows[i, PACKETS_A] else 1
    for j in range(start, stop):
        other = join[j, UNIT] == j and join[j, PARENT] < 0 and cold[j, PLACE] == cold[i, PLACE] and j != i
        other = other and rows[j, PACKETS_A + mine] == 0
        other = other and rows[i, NETWORK] & NETWORK_MASK == rows[j, NETWORK] & NETWORK_MASK
        other = other and rows[i, TAGS] == rows[j, TAGS]
        other = other and rows[j, FIRST] <= rows[i, LAST] + EDGE and rows[i, FIRST] <= rows[j, LAST] + EDGE
        if other:
            if found >= 0:
                return -1
            found = j
    return found


@rare_kernel
def _halves(start: int, stop: int, rows: Words, cold: Words, join: Words) -> None:
    """Put together what came in at one interface and went out at another: two rows of a direction each."""
    for i in range(start, min(stop, start + COMPARED_MOST)):
        alone = join[i, UNIT] == i and join[i, PARENT] < 0 and cold[i, MARKS + LEAST] != UNMARKED
        if not alone or (rows[i, PACKETS_A] and rows[i, PACKETS_A + 1]):
            continue
        last = min(stop, start + COMPARED_MOST)
        j = _half_of(i, start, last, rows, cold, join)
        if j > i and join[j, HALF] == 0 and join[i, HALF] == 0 and _half_of(j, start, last, rows, cold, join) == i:
            join[j, PARENT], join[j, HALF] = i, 1


@kernel
def join_points(rows: Words, cold: Words, join: Words) -> None:
    """Find for each row its unit, and for each unit the one that stands for it.

    Args: rows (n, ROW), cold (n, MARKED): sorted by key and FIRST; those of units get the sums of their pieces.
    Fills: join (n, JOIN): UNIT row of its unit; PARENT of a unit: row of what stands for it, -1 = it stands for itself.
    """
    start = 0
    for i in range(len(rows)):
        join[i, UNIT], join[i, PARENT] = i, -1
        join[i, NETWORK_SEEN], join[i, TAGS_SEEN], join[i, HALF] = NONE, NONE, 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and same_key(rows[start], rows[stop]):
            stop += 1
        if stop - start > 1:
            _find_units(start, stop, rows, cold, join)
            _pairs(start, stop, False, rows, cold, join)
            _pairs(start, stop, True, rows, cold, join)
            _halves(start, stop, rows, cold, join)
        start = stop

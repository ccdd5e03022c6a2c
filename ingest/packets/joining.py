"""Which rows are one conversation that was seen at several points. Nothing is joined that the packets do not prove.

A row is taken for another sight of a second one when its marks are the same, or when in each direction they share a
packet and its numbers and times lie within the other's. The most complete one counts. Where two captures lost packets,
each its own, that is what one of them saw.

Networks with different VNIs or VLAN ids are never joined, not even by way of a row that has none.
"""

from __future__ import annotations

from ingest.packets.conversation import END_ACTIVE, END_FIN, END_FULL, END_RST, SYN
from ingest.packets.flow_table import (
    B_FLAGS,
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
    STATE,
    TAGS,
    UNMARKED,
)
from ingest.packets.pieces import add_piece, away_of
from ingest.packets.points import BYTES, COUNT, HIGH, KINDS, LEAST, LOW, NO_DIGEST, SUM
from whowas.arrays import Words
from whowas.kernels import kernel, rare_kernel

# How far the clocks of two observers may be apart, and how much of a conversation's edges that is not known, us.
CLOCKS_APART = 1_000_000
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
def _goes_on(j: int, i: int, rows: Words, cold: Words) -> bool:
    """Say whether row i goes on where row j of the same point was cut; the last words of a closed one are cut too."""
    reason, flags = cold[j, REASON], rows[i, STATE]
    if reason == END_ACTIVE or reason == END_FULL:
        return True
    syn: bool = (flags | (flags >> B_FLAGS)) & SYN != 0
    closed = reason == END_FIN or reason == END_RST
    return closed and not syn and rows[i, FIRST] - rows[j, LAST] <= EDGE


@rare_kernel
def _find_units(start: int, stop: int, rows: Words, cold: Words, join: Words) -> None:
    """Tie the pieces of conversations that were cut, at each point."""
    for i in range(start, stop):
        for back in range(1, min(i - start, COMPARED_MOST) + 1):
            j = i - back
            if not _same_point(i, j, rows, cold):
                continue
            if _goes_on(j, i, rows, cold):
                join[i, UNIT] = join[j, UNIT]
                add_piece(join[j, UNIT], i, rows, cold)
            break


@rare_kernel
def _direction(at: int, i: int, j: int, cold: Words) -> int:
    """Say whether what j saw of a direction is among what i saw of it."""
    one, other = cold[i, at : at + MARK_WORDS], cold[j, at : at + MARK_WORDS]
    if one[COUNT] < other[COUNT] or one[BYTES] < other[BYTES]:
        return NOT_INSIDE
    away = away_of(other[LOW], one[LOW])
    if one[COUNT] == other[COUNT] and one[SUM] == other[SUM] and one[BYTES] == other[BYTES]:
        if one[LOW] < 0 and other[LOW] < 0:
            return SAME
        if one[LOW] >= 0 and other[LOW] >= 0 and away == 0:
            return SAME if one[HIGH] - one[LOW] == other[HIGH] - other[LOW] else NOT_INSIDE
        return NOT_INSIDE
    if other[LOW] >= 0 and (one[LOW] < 0 or away < 0 or away + other[HIGH] - other[LOW] > one[HIGH] - one[LOW]):
        return NOT_INSIDE
    shared = 0
    for kind in range(LEAST, LEAST + KINDS):
        if one[kind] > other[kind]:
            return NOT_INSIDE
        shared += int(one[kind] == other[kind] and one[kind] != NO_DIGEST)
    if shared:
        return INSIDE
    # Data alone, and of them nothing is missing.
    whole: bool = other[COUNT] == 0 and other[BYTES] > 0 and one[BYTES] >= one[HIGH] - one[LOW] - 2
    return INSIDE if whole else NOT_INSIDE


@rare_kernel
def _offset(i: int, j: int, cold: Words) -> int:
    """By how much j's clock is ahead of i's, as a packet that both saw tells; 0 where none does."""
    for end in range(2):
        at = MARKS + end * MARK_WORDS + LEAST
        for kind in range(at, at + KINDS):
            if cold[i, kind] == cold[j, kind] and cold[i, kind] != NO_DIGEST:
                away: int = cold[j, kind + KINDS] - cold[i, kind + KINDS]
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
    more: int = _amount(i, BYTES, cold) - _amount(j, BYTES, cold)
    if more == 0:
        more = _amount(i, COUNT, cold) - _amount(j, COUNT, cold)
    if more == 0:
        more = int(rows[i, NETWORK] & NETWORK_MASK == NONE) - int(rows[j, NETWORK] & NETWORK_MASK == NONE)
    if more == 0:
        more = rows[i, PACKETS_A] + rows[i, PACKETS_A + 1] - rows[j, PACKETS_A] - rows[j, PACKETS_A + 1]
    if more == 0:
        more = cold[j, PLACE] - cold[i, PLACE]
    if more == 0:
        more = cold[j, SEQUENCE] - cold[i, SEQUENCE]
    return more > 0


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
def _at_once(one: Words, other: Words) -> bool:
    """Say whether two files are of one time. Those of a rotated capture are not: what is alike was sent again."""
    same: bool = one[0] == other[0] and one[1] == other[1]
    return same or (one[0] < other[1] and other[0] < one[1])


@rare_kernel
def _pair(i: int, j: int, final: bool, rows: Words, cold: Words, files: Words, join: Words) -> None:
    """Join two units where one holds the other. In the first round it is only seen in which networks they are."""
    net_i, net_j = rows[i, NETWORK] & NETWORK_MASK, rows[j, NETWORK] & NETWORK_MASK
    if _same_point(i, j, rows, cold) or _unlike(net_i, net_j) or _unlike(rows[i, TAGS], rows[j, TAGS]):
        return
    if not _at_once(files[cold[i, PLACE]], files[cold[j, PLACE]]):
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
def _pairs(start: int, stop: int, final: bool, rows: Words, cold: Words, files: Words, join: Words) -> None:
    for i in range(start, stop):
        if join[i, UNIT] != i:
            continue
        for j in range(i + 1, min(stop, i + COMPARED_MOST)):
            if rows[j, FIRST] > rows[i, LAST] + CLOCKS_APART:
                break
            if join[j, UNIT] == j:
                _pair(i, j, final, rows, cold, files, join)


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
def join_points(rows: Words, cold: Words, files: Words, join: Words) -> None:
    """Find for each row its unit, and for each unit the one that stands for it.

    Args: rows (n, ROW), cold (n, MARKED): sorted by key and FIRST; those of units get the sums of their pieces.
        files (k, 2): by observer, times of the first and the last packet of its file, us.
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
            _pairs(start, stop, False, rows, cold, files, join)
            _pairs(start, stop, True, rows, cold, files, join)
            _halves(start, stop, rows, cold, join)
        start = stop

"""Packets to bidirectional conversations.

The rules, in the order in which they are asked when a packet meets an open conversation of its key:
1. closed (FIN both ways, or RST) and silent for more than the linger: written as fin or rst, a new one begins;
2. silent for more than the idle timeout, forwards or backwards in time: written as idle_timeout;
3. longer than the active timeout with this packet: written as active_timeout, the next keeps the direction;
4. a SYN at or after the first FIN or RST, unless it is the same SYN again: written, a new one begins;
5. else the packet belongs to it. A SYN that was still missing decides who is src, even when it comes late.
Besides, for each packet one row of the pool is looked at, in turn, and written out when its time is over: a
sweep at constant cost. Its clock is the earlier of two medians of three packets: a single packet with a
wrong time ends nothing but its own conversation.
"""

from __future__ import annotations

import numpy as np

from ingest.packets.decode import decode
from ingest.packets.fields import Bytes, Words, bits64, u32, u48
from ingest.packets.layout import (
    DST_HI,
    DST_LO,
    DST_PORT,
    FAMILY,
    FRAGMENT,
    FRAGMENT_ID,
    HAS_PORTS,
    ICMP,
    IP_BYTES,
    MAC,
    MAC_PAIR,
    NOTES,
    OUTER_AT,
    OUTER_FAMILY,
    PROTOCOL,
    REASONS,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    TCP_FLAGS,
    TCP_SEQUENCE,
    TUNNELS,
    UNKNOWN_FRAGMENT,
    VLANS,
    VNI,
)
from ingest.packets.network import MAPPED
from ingest.packets.table import (
    A_HI,
    A_LO,
    ACTIVE,
    B_FLAGS,
    B_HI,
    B_LO,
    BY_SYN,
    BYTES_A,
    CLOCK,
    CLOSED,
    CLOSED_AT,
    CLOSED_BY_RESET,
    ENDS,
    FILE_SEEN,
    FIRST,
    FOLDED,
    FRAGMENTS,
    FRAGMENTS_KEPT,
    FREE,
    GROUP,
    HAND,
    HASH,
    ICMP_FIRST,
    IDLE,
    KEY_GUESS,
    KEY_REASON,
    KEY_SENDER,
    LAST,
    LATENESS,
    LINGER,
    LIVE,
    MAC_A,
    MAC_B,
    NETWORK,
    NOTHING,
    ORDINAL,
    OUT,
    OUTER,
    OUTER_A_HI,
    OUTER_B_HI,
    PACKETS_A,
    PLACE,
    REASON,
    SEEN,
    SEQUENCE,
    SRC_IS_B,
    STATE,
    SYN_FROM_B,
    SYN_KNOWN,
    TAGS,
    TOP,
    WANTS_SLOTS,
    enter_slot,
    find,
    free_row,
    give_row,
    leave_slot,
    mix,
)
from whowas.kernels import lean_kernel, rare_kernel

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
TCP_NUMBER = 6

# Why a row ends: whowas.schema.END_REASONS, by position.
END_FIN, END_RST, END_IDLE, END_ACTIVE, END_CAPTURE, END_FULL = 0, 1, 2, 3, 4, 5
ENDS_NOT = -1
# Rows that one packet can write out at most: swept, put out of a full table, followed by a new one.
OUT_PER_PACKET = 3
VICTIMS_LOOKED_AT = 8


@lean_kernel
def _key_of(facts: Words, key: Words) -> int:
    """Fill the seven words of a key; return 1 when the sender is end b, else 0. Of 4 and 6, bit 1 says IPv6."""
    src_port = facts[SRC_PORT] if facts[HAS_PORTS] else np.int64(0)
    dst_port = facts[DST_PORT] if facts[HAS_PORTS] else np.int64(0)
    higher, same = facts[SRC_HI] > facts[DST_HI], facts[SRC_HI] == facts[DST_HI]
    lower_half, same_half = facts[SRC_LO] > facts[DST_LO], facts[SRC_LO] == facts[DST_LO]
    swap: int = np.int64(higher | (same & (lower_half | (same_half & (src_port > dst_port)))))  # type: ignore[assignment]
    # Which end sends is a coin toss for the processor: exchange by mask, not by branch.
    mask = -swap
    high = (facts[SRC_HI] ^ facts[DST_HI]) & mask
    low = (facts[SRC_LO] ^ facts[DST_LO]) & mask
    port = (src_port ^ dst_port) & mask
    key[A_HI], key[A_LO] = facts[SRC_HI] ^ high, facts[SRC_LO] ^ low
    key[B_HI], key[B_LO] = facts[DST_HI] ^ high, facts[DST_LO] ^ low
    rest = (facts[PROTOCOL] << 8) | (facts[FAMILY] & 2) | facts[HAS_PORTS]
    key[ENDS] = ((src_port ^ port) << 40) | ((dst_port ^ port) << 24) | rest
    key[NETWORK] = facts[VNI] + 1
    key[TAGS] = facts[VLANS]
    return swap


@rare_kernel
def _fragment(facts: Words, time: int, fragments: Words, spans: Words) -> None:
    """A first fragment leaves its ports in a small table, later ones take them from there.

    The place depends on the packet alone, without a secret: fragments that push each other out lose
    their ports, and they must do so alike in every run.
    """
    spread = facts[FRAGMENT_ID] ^ (facts[FRAGMENT_ID] >> 12) ^ facts[SRC_LO] ^ (facts[DST_LO] << 5)
    row = fragments[spread & (FRAGMENTS - 1)]
    who = (facts[FRAGMENT_ID] << 16) | (facts[PROTOCOL] << 8) | facts[FAMILY]
    if facts[FRAGMENT] == 1:
        if facts[HAS_PORTS]:
            row[0], row[1], row[2], row[3] = facts[SRC_HI], facts[SRC_LO], facts[DST_HI], facts[DST_LO]
            row[4], row[5], row[6] = who, facts[VNI], facts[VLANS]
            row[7] = (facts[SRC_PORT] << 16) | facts[DST_PORT]
            row[8] = time
        return
    same = row[4] == who and row[0] == facts[SRC_HI] and row[1] == facts[SRC_LO] and row[2] == facts[DST_HI]
    same = same and row[3] == facts[DST_LO] and row[5] == facts[VNI] and row[6] == facts[VLANS]
    if same and abs(time - row[8]) <= spans[FRAGMENTS_KEPT]:
        facts[SRC_PORT] = row[7] >> 16
        facts[DST_PORT] = row[7] & 0xFFFF
        facts[HAS_PORTS] = 1
    elif facts[PROTOCOL] == 6 or facts[PROTOCOL] == 17 or facts[PROTOCOL] == 132:
        facts[NOTES] |= 1 << UNKNOWN_FRAGMENT


@lean_kernel
def _end_of_closed(state: int) -> int:
    return END_RST if state & CLOSED_BY_RESET else END_FIN


@lean_kernel
def _verdict(facts: Words, sender: int, time: int, row: Words, spans: Words) -> int:
    """Say why the open conversation ends before this packet; ENDS_NOT when the packet belongs to it."""
    state = row[STATE]
    away = max(time - row[LAST], row[FIRST] - time)
    if state & CLOSED != 0 and away > spans[LINGER]:
        return _end_of_closed(state)
    if away > spans[IDLE]:
        return END_IDLE
    if max(time, row[LAST]) - min(time, row[FIRST]) > spans[ACTIVE]:
        return _end_of_closed(state) if state & CLOSED else END_ACTIVE
    flags = facts[TCP_FLAGS]
    ending = ((state | (state >> B_FLAGS)) & (FIN | RST)) != 0
    if not ending or (flags & (SYN | ACK | RST)) != SYN or time < row[CLOSED_AT]:
        return ENDS_NOT
    again = state & SYN_KNOWN != 0 and (row[HASH] & 0xFFFFFFFF) == facts[TCP_SEQUENCE]
    if again and (state & SYN_FROM_B != 0) == (sender == 1):
        return ENDS_NOT
    if state & CLOSED:
        return _end_of_closed(state)
    return END_FIN


@lean_kernel
def _begin(row: Words, key: Words, hashed: int, time: int, sender: int) -> None:
    for i in range(7):
        row[i] = key[i]
    row[HASH] = hashed << 32
    row[FIRST] = time
    row[LAST] = time
    for i in range(PACKETS_A, BYTES_A + 2):
        row[i] = 0
    row[STATE] = SRC_IS_B if sender else 0
    row[CLOSED_AT] = 0


@lean_kernel
def _outer_address(data: Bytes, at: int, family: int, cold: Words, end: int) -> None:
    if family == 4:
        cold[end] = 0
        cold[end + 1] = MAPPED | u32(data, at)
    else:
        cold[end] = bits64(data, at)
        cold[end + 1] = bits64(data, at + 8)


@rare_kernel
def _begin_cold(data: Bytes, facts: Words, sender: int, cold: Words, numbers: Words, place: int) -> None:
    """Keep what is told once: outer and Ethernet addresses, tunnels, where and as which packet it was seen."""
    cold[OUTER] = 0
    src, dst = (OUTER_B_HI, OUTER_A_HI) if sender else (OUTER_A_HI, OUTER_B_HI)
    if facts[TUNNELS]:
        family, at = facts[OUTER_FAMILY], facts[OUTER_AT]
        size = 4 if family == 4 else 16
        at += 12 if family == 4 else 8
        cold[OUTER] = (facts[TUNNELS] << 4) | family
        _outer_address(data, at, family, cold, src)
        _outer_address(data, at + size, family, cold, dst)
    src, dst = (MAC_B, MAC_A) if sender else (MAC_A, MAC_B)
    cold[MAC_A] = -1
    cold[MAC_B] = -1
    if facts[MAC] >= 0:
        at = facts[MAC] >> 2
        if facts[MAC] & 3 == MAC_PAIR:
            cold[dst] = u48(data, at)
            cold[src] = u48(data, at + 6)
        else:
            cold[src] = u48(data, at)
    cold[SEQUENCE] = numbers[SEEN]
    cold[ORDINAL] = numbers[FILE_SEEN]
    cold[PLACE] = place
    cold[ICMP_FIRST] = facts[ICMP]


@rare_kernel
def _direct(facts: Words, sender: int, row: Words) -> None:
    """Let a SYN, or the answer to one, decide who is src. The first to tell is believed."""
    flags = facts[TCP_FLAGS]
    if flags & RST:
        return
    opener = sender if not flags & ACK else 1 - sender
    if not flags & ACK and not row[STATE] & SYN_KNOWN:
        row[HASH] = (row[HASH] & ~0xFFFFFFFF) | facts[TCP_SEQUENCE]
        row[STATE] |= SYN_KNOWN | (SYN_FROM_B if sender else 0)
    if row[STATE] & BY_SYN:
        return
    row[STATE] = (row[STATE] & ~SRC_IS_B) | BY_SYN | (SRC_IS_B if opener else 0)


@lean_kernel
def _count(facts: Words, sender: int, time: int, row: Words) -> None:
    """Add the packet to its direction, stretch the times, follow FIN and RST."""
    row[FIRST] = min(row[FIRST], time)
    row[LAST] = max(row[LAST], time)
    row[PACKETS_A + sender] += 1
    row[BYTES_A + sender] += facts[IP_BYTES]
    flags = facts[TCP_FLAGS]
    if flags == 0:
        return
    if flags & SYN:
        _direct(facts, sender, row)
    state = row[STATE]
    if flags & (FIN | RST):
        if not (state | (state >> B_FLAGS)) & (FIN | RST) or time < row[CLOSED_AT]:
            row[CLOSED_AT] = time
        if flags & RST and not state & CLOSED:
            state |= CLOSED | CLOSED_BY_RESET
    state |= flags << (B_FLAGS * sender)
    if state & (state >> B_FLAGS) & FIN:
        state |= CLOSED
    row[STATE] = state


@rare_kernel
def _write(row: int, reason: int, pool: Words, cold: Words, numbers: Words, out: Words, out_cold: Words) -> None:
    """Copy a row to the finished ones."""
    at = numbers[OUT]
    for i in range(pool.shape[1]):
        out[at, i] = pool[row, i]
    for i in range(cold.shape[1]):
        out_cold[at, i] = cold[row, i]
    out_cold[at, REASON] = reason
    numbers[OUT] += 1


@lean_kernel
def _overdue(row: Words, clock: int, spans: Words) -> int:
    """Say why a row's time is over by the clock, or ENDS_NOT. Late packets get their grace.

    A row from the future waits: it is the clock that may have stepped back.
    """
    away = clock - row[LAST] - spans[LATENESS]
    if row[STATE] & CLOSED:
        return _end_of_closed(row[STATE]) if away > spans[LINGER] else ENDS_NOT
    return END_IDLE if away > spans[IDLE] else ENDS_NOT


@lean_kernel
def _sweep(
    looks: int,
    clock: int,
    pool: Words,
    cold: Words,
    slots: Words,
    numbers: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
) -> None:
    """Look at the next rows of the pool, as many as packets came: constant cost a packet."""
    hand, top = numbers[HAND], numbers[TOP]
    for _ in range(min(looks, top)):
        if hand >= top:
            hand = np.int64(0)
        row = pool[hand]
        if row[FIRST] != FREE:
            reason = _overdue(row, clock, spans)
            if reason != ENDS_NOT:
                _write(hand, reason, pool, cold, numbers, out, out_cold)
                leave_slot(row[HASH] >> 32, hand, slots)
                free_row(hand, numbers, pool)
        hand += 1
    numbers[HAND] = hand


@rare_kernel
def _make_room(pool: Words, cold: Words, slots: Words, numbers: Words, out: Words, out_cold: Words) -> None:
    """Write out one of a full table: of the next few rows, the one that was quiet longest."""
    start = numbers[HAND] % len(pool)
    victim = start
    for i in range(min(VICTIMS_LOOKED_AT, len(pool))):
        row = (start + i) % len(pool)
        if pool[row, LAST] < pool[victim, LAST]:
            victim = row
    numbers[HAND] = start + 1
    reason = _end_of_closed(pool[victim, STATE]) if pool[victim, STATE] & CLOSED else END_FULL
    _write(victim, reason, pool, cold, numbers, out, out_cold)
    leave_slot(pool[victim, HASH] >> 32, victim, slots)
    free_row(victim, numbers, pool)


@lean_kernel
def _clock(packets: Words, start: int, number: int, numbers: Words) -> int:
    """Return the earlier of this group's and the last group's median of three packet times (first, middle, last)."""
    a, b, c = packets[start, 3], packets[start + number // 2, 3], packets[start + number - 1, 3]
    low, high = min(a, b), max(a, b)
    middle = max(low, min(high, c))
    if numbers[CLOCK] < 0:
        numbers[CLOCK] = middle
    before = numbers[CLOCK]
    numbers[CLOCK] = middle
    clock: int = min(before, middle)
    return clock


@rare_kernel
def _follow(reason: int, row: Words, key: Words, hashed: int, time: int, sender: int) -> None:
    """Begin the next conversation of the same key in the same row."""
    state, sequence = row[STATE], row[HASH] & 0xFFFFFFFF
    _begin(row, key, hashed, time, sender)
    if reason == END_ACTIVE:
        # It is the same connection: who opened it is still known.
        row[STATE] = state & (SRC_IS_B | BY_SYN | SYN_KNOWN | SYN_FROM_B)
        row[HASH] |= sequence


@lean_kernel
def _decode_group(
    data: Bytes,
    packets: Words,
    start: int,
    places: Words,
    tables: Bytes,
    facts: Words,
    keys: Words,
    fragments: Words,
    secret: Words,
    spans: Words,
) -> int:
    """Decode up to a group's packets from `start` on; fill facts (GROUP, FACTS), keys (GROUP, KEY); return how many."""
    number = min(len(packets) - start, len(facts))
    for j in range(number):
        i = start + j
        one, key = facts[j], keys[j]
        link = places[packets[i, 4], 0]
        key[KEY_REASON] = decode(data, packets[i, 0], packets[i, 1], packets[i, 2], link, one, tables)
        if key[KEY_REASON] == 0:
            if one[FRAGMENT]:
                _fragment(one, packets[i, 3], fragments, spans)
            key[KEY_SENDER] = _key_of(one, key)
            key[HASH] = mix(key, secret)
        else:
            key[HASH] = 0
    return number


@lean_kernel
def _touch(keys: Words, number: int, slots: Words, pool: Words) -> int:
    """Read where the group's conversations probably lie, one after another: the waits for memory overlap.

    Returns: a sum that says nothing, so that the compiler keeps the reads.
    """
    mask = len(slots) - 1
    seen: int = np.int64(0)  # type: ignore[assignment]
    for j in range(number):
        keys[j, KEY_GUESS] = (slots[keys[j, HASH] & mask] & 0xFFFFFFFF) - 1
    for j in range(number):
        row = keys[j, KEY_GUESS]
        if row >= 0:
            seen ^= pool[row, A_LO] ^ pool[row, LAST]
    return seen


@lean_kernel
def _place(
    data: Bytes,
    facts: Words,
    key: Words,
    time: int,
    place: int,
    pool: Words,
    cold: Words,
    slots: Words,
    numbers: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
) -> int:
    """Return the row that the packet belongs to, begun anew where the rules say so."""
    sender, hashed = key[KEY_SENDER], key[HASH]
    row = find(key, hashed, slots, pool)
    if row < 0:
        if numbers[LIVE] == len(pool):
            _make_room(pool, cold, slots, numbers, out, out_cold)
        row = give_row(numbers, pool)
        _begin(pool[row], key, hashed, time, sender)
        _begin_cold(data, facts, sender, cold[row], numbers, place)
        enter_slot(hashed, row, slots)
        return row
    over = _verdict(facts, sender, time, pool[row], spans)
    if over != ENDS_NOT:
        _write(row, over, pool, cold, numbers, out, out_cold)
        _follow(over, pool[row], key, hashed, time, sender)
        _begin_cold(data, facts, sender, cold[row], numbers, place)
    return row


@lean_kernel
def fold(
    data: Bytes,
    packets: Words,
    start: int,
    places: Words,
    tables: Bytes,
    facts: Words,
    keys: Words,
    pool: Words,
    cold: Words,
    slots: Words,
    fragments: Words,
    numbers: Words,
    secret: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
    refused: Words,
    noted: Words,
) -> int:
    """Decode and fold packets[start:]; return the index of the first not taken.

    It stops early when finished rows fill `out` or when the hash table is to grow (numbers[WANTS_SLOTS]).
    Eighteen arrays instead of one table object: numba's containers would cost more than they explain.
    Args: packets (n, 5) as in capture.Block, all with a time; the others as in table.Table.
    """
    i = start
    while i < len(packets):
        if numbers[OUT] + GROUP * OUT_PER_PACKET > len(out):
            return i
        number = _decode_group(data, packets, i, places, tables, facts, keys, fragments, secret, spans)
        numbers[NOTHING] = _touch(keys, number, slots, pool)
        clock = _clock(packets, i, number, numbers)
        _sweep(number, clock, pool, cold, slots, numbers, spans, out, out_cold)
        for j in range(number):
            if numbers[LIVE] * 2 >= len(slots):
                numbers[WANTS_SLOTS] = 1
                return i
            time, place, key = packets[i, 3], places[packets[i, 4], 1], keys[j]
            if key[KEY_REASON]:
                refused[key[KEY_REASON]] += 1
            else:
                row = _place(data, facts[j], key, time, place, pool, cold, slots, numbers, spans, out, out_cold)
                _count(facts[j], key[KEY_SENDER], time, pool[row])
                numbers[FOLDED] += 1
                if facts[j, NOTES]:
                    for bit in range(REASONS):
                        noted[bit] += (facts[j, NOTES] >> bit) & 1
            numbers[SEEN] += 1
            numbers[FILE_SEEN] += 1
            i += 1
    return i

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

from ingest.columns.byte_reads import Bytes, Words
from ingest.packets.conversation import (
    END_ACTIVE,
    END_FULL,
    ENDS_NOT,
    begin_cold,
    begin_row,
    count_packet,
    end_of_closed,
    key_of,
    overdue,
    verdict,
)
from ingest.packets.decode import decode
from ingest.packets.flow_table import (
    A_LO,
    BY_SYN,
    CLOCK,
    CLOSED,
    FILE_SEEN,
    FIRST,
    FOLDED,
    FRAGMENTS,
    FRAGMENTS_KEPT,
    FREE,
    GROUP,
    HAND,
    HASH,
    KEY_GUESS,
    KEY_REASON,
    KEY_SENDER,
    LAST,
    LIVE,
    NOTHING,
    OUT,
    REASON,
    SEEN,
    SRC_IS_B,
    STATE,
    SYN_FROM_B,
    SYN_KNOWN,
    TOP,
    WANTS_SLOTS,
    enter_slot,
    find,
    free_row,
    give_row,
    leave_slot,
    mix,
)
from ingest.packets.layout import (
    DST_HI,
    DST_LO,
    DST_PORT,
    FAMILY,
    FRAGMENT,
    FRAGMENT_ID,
    HAS_PORTS,
    NOTES,
    PROTOCOL,
    REASONS,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    UNKNOWN_FRAGMENT,
    VLANS,
    VNI,
)
from whowas.kernels import lean_kernel, rare_kernel

# Rows that one packet can write out at most: swept, put out of a full table, followed by a new one.
OUT_PER_PACKET = 3
VICTIMS_LOOKED_AT = 8


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
            reason = overdue(row, clock, spans)
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
    reason = end_of_closed(pool[victim, STATE]) if pool[victim, STATE] & CLOSED else END_FULL
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
    begin_row(row, key, hashed, time, sender)
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
            key[KEY_SENDER] = key_of(one, key)
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
        begin_row(pool[row], key, hashed, time, sender)
        begin_cold(data, facts, sender, cold[row], numbers, place)
        enter_slot(hashed, row, slots)
        return row
    over = verdict(facts, sender, time, pool[row], spans)
    if over != ENDS_NOT:
        _write(row, over, pool, cold, numbers, out, out_cold)
        _follow(over, pool[row], key, hashed, time, sender)
        begin_cold(data, facts, sender, cold[row], numbers, place)
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
                count_packet(facts[j], key[KEY_SENDER], time, pool[row])
                numbers[FOLDED] += 1
                if facts[j, NOTES]:
                    for bit in range(REASONS):
                        noted[bit] += (facts[j, NOTES] >> bit) & 1
            numbers[SEEN] += 1
            numbers[FILE_SEEN] += 1
            i += 1
    return i

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

from ingest.columns.byte_reads import Bytes
from ingest.packets.conversation import (
    END_ACTIVE,
    ENDS_NOT,
    begin_cold,
    begin_row,
    count_packet,
    first_own,
    key_of,
    verdict,
)
from ingest.packets.decode import decode
from ingest.packets.expiry import group_clock, make_room, sweep_expired, write_finished
from ingest.packets.flow_table import (
    A_LO,
    BY_SYN,
    FILE_SEEN,
    FOLDED,
    GROUP,
    HASH,
    KEY_GUESS,
    KEY_REASON,
    KEY_SENDER,
    LAST,
    LIVE,
    NOTHING,
    OUT,
    OUTER_ENDS,
    SEEN,
    SPOKE_A,
    SRC_IS_B,
    STATE,
    SYN_FROM_B,
    SYN_KNOWN,
    WANTS_SLOTS,
    enter_slot,
    find,
    give_row,
    mix,
)
from ingest.packets.fragments import place_fragment
from ingest.packets.layout import (
    FRAGMENT,
    NOTES,
    REASONS,
    UNOPENED,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

# Rows that one packet can write out at most: swept, put out of a full table, followed by a new one.
OUT_PER_PACKET = 3


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
                place_fragment(one, packets[i, 3], fragments, spans)
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
            make_room(pool, cold, slots, numbers, out, out_cold)
        row = give_row(numbers, pool)
        begin_row(pool[row], key, hashed, time, sender)
        begin_cold(data, facts, sender, cold[row], numbers, place)
        enter_slot(hashed, row, slots)
        return row
    over = verdict(facts, sender, time, pool[row], spans)
    if over != ENDS_NOT:
        write_finished(row, over, pool, cold, numbers, out, out_cold)
        _follow(over, pool[row], key, hashed, time, sender)
        begin_cold(data, facts, sender, cold[row], numbers, place)
    return row


@rare_kernel
def _note(notes: int, sender: int, row: Words, noted: Words) -> None:
    """Count what was remarked. A tunnel is known by the port it is sent to: what comes back from there is another's."""
    for bit in range(REASONS):
        noted[bit] += (notes >> bit) & 1
    if (notes >> UNOPENED) & 1 and (row[STATE] & SRC_IS_B != 0) == (sender == 1):
        row[STATE] |= OUTER_ENDS


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
        clock = group_clock(packets, i, number, numbers)
        sweep_expired(number, clock, pool, cold, slots, numbers, spans, out, out_cold)
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
                if pool[row, STATE] & (SPOKE_A << key[KEY_SENDER]) == 0:
                    first_own(facts[j], key[KEY_SENDER], time, pool[row], cold[row])
                numbers[FOLDED] += 1
                if facts[j, NOTES]:
                    _note(facts[j, NOTES], key[KEY_SENDER], pool[row], noted)
            numbers[SEEN] += 1
            numbers[FILE_SEEN] += 1
            i += 1
    return i

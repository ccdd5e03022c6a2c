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
    begin_cold,
    count_packet,
    first_own,
    key_of,
)
from ingest.packets.decode import decode
from ingest.packets.expiry import group_clock, sweep_expired
from ingest.packets.flow_table import (
    A_LO,
    FILE_SEEN,
    FOLDED,
    GROUP,
    HASH,
    HELD_COUNT,
    HELD_MOST,
    KEY_GUESS,
    KEY_REASON,
    KEY_SENDER,
    LAST,
    LIVE,
    LOOKED_A,
    NOTHING,
    OBSERVE,
    OUT,
    SEEN,
    SPOKE_A,
    STATE,
    WANTS_SLOTS,
    WATCH,
    mix,
)
from ingest.packets.fragments import hold, place_fragment
from ingest.packets.layout import (
    FRAGMENT,
    HAS_PORTS,
    HELD,
    NOTES,
)
from ingest.packets.observing import look
from ingest.packets.placing import place
from ingest.packets.points import see_points
from ingest.packets.quotes import remark
from ingest.packets.waiting_fragments import count_joined, count_overdue
from whowas.arrays import Words
from whowas.kernels import lean_kernel

# Rows that one packet can write out at most: swept, put out of a full table, followed by a new one.
OUT_PER_PACKET = 3
# Of a group; and a fragment that waited can put another row out and be followed.
OUT_MARGIN = GROUP * OUT_PER_PACKET + 2 * HELD_MOST


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
    number = min(len(packets) - start, GROUP)
    for j in range(number):
        i = start + j
        one, key = facts[j], keys[j]
        link = places[packets[i, 4], 0]
        key[KEY_REASON] = decode(data, packets[i, 0], packets[i, 1], packets[i, 2], link, one, tables)
        if key[KEY_REASON] == 0:
            if one[FRAGMENT]:
                key[KEY_REASON] = place_fragment(one, packets[i, 3], fragments, spans)
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
    held: Words,
    numbers: Words,
    secret: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
    refused: Words,
    noted: Words,
    picks: Words,
) -> int:
    """Decode and fold packets[start:]; return the index of the first not taken.

    It stops early when finished rows fill `out` or when the hash table is to grow (numbers[WANTS_SLOTS]).
    Twenty arrays instead of one table object: numba's containers would cost more than they explain.
    Args: packets (n, 5) as in capture.Block, all with a time; the others as in table.Table.
    """
    i, watched = start, numbers[OBSERVE]
    while i < len(packets):
        if numbers[OUT] + OUT_MARGIN > len(out):
            return i
        number = _decode_group(data, packets, i, places, tables, facts, keys, fragments, secret, spans)
        if spans[WATCH]:
            see_points(data, packets, i, number, places, facts, keys, secret, spans[WATCH])
        numbers[NOTHING] = _touch(keys, number, slots, pool)
        clock = group_clock(packets, i, number, numbers)
        sweep_expired(number, clock, pool, cold, slots, numbers, spans, out, out_cold)
        if numbers[HELD_COUNT]:
            count_overdue(
                clock, GROUP, keys[GROUP], pool, cold, slots, held, numbers, secret, spans, out, out_cold, noted
            )
        for j in range(number):
            if numbers[LIVE] * 2 >= len(slots):
                numbers[WANTS_SLOTS] = 1
                return i
            time, observer, key = packets[i, 3], places[packets[i, 4], 1], keys[j]
            if key[KEY_REASON] == HELD:
                hold(data, facts[j], key[KEY_SENDER], time, observer, held, numbers)
            elif key[KEY_REASON]:
                refused[key[KEY_REASON]] += 1
            else:
                row, begun = place(facts[j], key, time, pool, cold, slots, numbers, spans, out, out_cold)
                if begun:
                    begin_cold(data, facts[j], key[KEY_SENDER], cold[row], numbers, observer)
                count_packet(facts[j], key[KEY_SENDER], time, pool[row])
                if pool[row, STATE] & (SPOKE_A << key[KEY_SENDER]) == 0:
                    first_own(facts[j], key[KEY_SENDER], time, pool[row], cold[row])
                if watched and facts[j, HAS_PORTS] and pool[row, STATE] & (LOOKED_A << key[KEY_SENDER]) == 0:
                    look(data, facts[j], key[KEY_SENDER], time, row, pool[row], cold[row], numbers, picks)
                numbers[FOLDED] += 1
                if facts[j, NOTES]:
                    remark(
                        data, facts[j], key[KEY_SENDER], time, row, begun, keys[GROUP], pool, cold, slots, secret, noted
                    )
                if numbers[HELD_COUNT] and facts[j, FRAGMENT] == 1:
                    count_joined(
                        facts[j], time, keys[GROUP], pool, cold, slots, held, numbers, secret, spans, out, out_cold,
                        noted,
                    )  # fmt: skip
            numbers[SEEN] += 1
            numbers[FILE_SEEN] += 1
            i += 1
    return i

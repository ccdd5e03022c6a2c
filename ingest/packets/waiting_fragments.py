"""Counts fragments that waited: when their first has come, or when it has not."""

from __future__ import annotations

from ingest.packets.conversation import count_packet, first_own, key_of
from ingest.packets.flow_table import (
    COLD,
    FOLDED,
    FRAGMENTS_KEPT,
    HASH,
    HELD_COUNT,
    HELD_FIRST,
    HELD_MOST,
    HELD_TIME,
    KEY_SENDER,
    SPOKE_A,
    STATE,
    mix,
)
from ingest.packets.fragments import leave, take_same
from ingest.packets.layout import FACTS, HAS_PORTS, MARKING, NOTES, UNKNOWN_FRAGMENT
from ingest.packets.placing import note, place
from ingest.packets.points import add_mark, add_point
from whowas.arrays import Words
from whowas.kernels import rare_kernel


@rare_kernel
def _count_held(
    step: int,
    key: Words,
    pool: Words,
    cold: Words,
    slots: Words,
    held: Words,
    numbers: Words,
    secret: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
    noted: Words,
) -> None:
    """Fold a fragment that waited, with ports or without, as a packet of its own time."""
    one = held[(numbers[HELD_FIRST] + step) % HELD_MOST]
    time, facts = one[HELD_TIME], one[:FACTS]
    if not facts[HAS_PORTS]:
        facts[NOTES] |= 1 << UNKNOWN_FRAGMENT
    sender = key_of(facts, key)
    add_point(facts, key, sender)
    key[KEY_SENDER] = sender
    key[HASH] = mix(key, secret)
    row, begun = place(facts, key, time, pool, cold, slots, numbers, spans, out, out_cold)
    if begun:
        for i in range(COLD):
            cold[row, i] = one[FACTS + i]
    count_packet(facts, sender, time, pool[row])
    if (facts[NOTES] >> MARKING) & 1:
        add_mark(facts, sender, time, begun, cold[row])
    if pool[row, STATE] & (SPOKE_A << sender) == 0:
        first_own(facts, sender, time, pool[row], cold[row])
    numbers[FOLDED] += 1
    if facts[NOTES]:
        note(facts[NOTES], sender, pool[row], noted)
    leave(step, held, numbers)


@rare_kernel
def count_joined(
    first: Words,
    time: int,
    key: Words,
    pool: Words,
    cold: Words,
    slots: Words,
    held: Words,
    numbers: Words,
    secret: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
    noted: Words,
) -> None:
    """Fold the fragments that waited for this first one."""
    step = take_same(first, time, 0, held, numbers, spans)
    while step < numbers[HELD_COUNT]:
        oldest = numbers[HELD_FIRST]
        _count_held(step, key, pool, cold, slots, held, numbers, secret, spans, out, out_cold, noted)
        # Where the oldest went, the others are that many places nearer.
        step -= (numbers[HELD_FIRST] - oldest) % HELD_MOST
        step = take_same(first, time, max(step, 0), held, numbers, spans)


@rare_kernel
def count_overdue(
    clock: int,
    room: int,
    key: Words,
    pool: Words,
    cold: Words,
    slots: Words,
    held: Words,
    numbers: Words,
    secret: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
    noted: Words,
) -> None:
    """Fold, without ports, fragments that waited too long, and as many as it takes that `room` more can wait."""
    while numbers[HELD_COUNT]:
        away = abs(clock - held[numbers[HELD_FIRST], HELD_TIME])
        if away <= spans[FRAGMENTS_KEPT] and numbers[HELD_COUNT] + room <= HELD_MOST:
            break
        _count_held(0, key, pool, cold, slots, held, numbers, secret, spans, out, out_cold, noted)

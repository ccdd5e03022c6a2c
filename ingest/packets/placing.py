"""Finds the conversation of a packet, or begins it."""

from __future__ import annotations

from ingest.packets.conversation import END_ACTIVE, ENDS_NOT, begin_row, verdict
from ingest.packets.expiry import make_room, write_finished
from ingest.packets.flow_table import (
    BY_SYN,
    HASH,
    KEY_SENDER,
    LIVE,
    OUTER_ENDS,
    SRC_IS_B,
    STATE,
    SYN_FROM_B,
    SYN_KNOWN,
    enter_slot,
    find,
    give_row,
)
from ingest.packets.layout import REASONS, UNOPENED
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel


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
def place(
    facts: Words,
    key: Words,
    time: int,
    pool: Words,
    cold: Words,
    slots: Words,
    numbers: Words,
    spans: Words,
    out: Words,
    out_cold: Words,
) -> tuple[int, bool]:
    """Return the row that the packet belongs to, and whether it begins with it: then its cold half is to be filled."""
    sender, hashed = key[KEY_SENDER], key[HASH]
    row = find(key, hashed, slots, pool)
    if row < 0:
        if numbers[LIVE] == len(pool):
            make_room(pool, cold, slots, numbers, out, out_cold)
        row = give_row(numbers, pool)
        begin_row(pool[row], key, hashed, time, sender)
        enter_slot(hashed, row, slots)
        return row, True
    over = verdict(facts, sender, time, pool[row], spans)
    if over != ENDS_NOT:
        write_finished(row, over, pool, cold, numbers, out, out_cold)
        _follow(over, pool[row], key, hashed, time, sender)
    return row, over != ENDS_NOT


@rare_kernel
def note(notes: int, sender: int, row: Words, noted: Words) -> None:
    """Count what was remarked. A tunnel is known by the port it is sent to: what comes back from there is another's."""
    for bit in range(REASONS):
        noted[bit] += (notes >> bit) & 1
    if (notes >> UNOPENED) & 1 and (row[STATE] & SRC_IS_B != 0) == (sender == 1):
        row[STATE] |= OUTER_ENDS

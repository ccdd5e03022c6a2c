"""A conversation that was cut into several rows at one point of observation, as one."""

from __future__ import annotations

from ingest.packets.flow_table import FIRST, LAST, MARK_WORDS, MARKS, PACKETS_A, UNMARKED
from ingest.packets.points import BYTES, COUNT, HIGH, KINDS, LEAST, LOW, SUM
from whowas.arrays import Words
from whowas.kernels import rare_kernel


@rare_kernel
def away_of(number: int, origin: int) -> int:
    """The way from one sequence number to another, by their low 32 bits."""
    away = (number - origin) & 0xFFFFFFFF
    return away - (1 << 32) if away >= 1 << 31 else away


@rare_kernel
def add_piece(unit: int, piece: int, rows: Words, cold: Words) -> None:
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
        for kind in range(at + LEAST, at + LEAST + KINDS):
            if cold[piece, kind] < cold[unit, kind]:
                cold[unit, kind] = cold[piece, kind]
                cold[unit, kind + KINDS] = cold[piece, kind + KINDS]
        _add_range(at, unit, piece, cold)


@rare_kernel
def _add_range(at: int, unit: int, piece: int, cold: Words) -> None:
    if cold[piece, at + LOW] < 0:
        return
    if cold[unit, at + LOW] < 0:
        cold[unit, at + LOW], cold[unit, at + HIGH] = cold[piece, at + LOW], cold[piece, at + HIGH]
        return
    # Counted on from where the piece before ended.
    size, away = cold[piece, at + HIGH] - cold[piece, at + LOW], away_of(cold[piece, at + LOW], cold[unit, at + HIGH])
    begin = cold[unit, at + HIGH] + away
    cold[unit, at + LOW] = max(min(cold[unit, at + LOW], begin), 0)
    cold[unit, at + HIGH] = max(cold[unit, at + HIGH], begin + size)

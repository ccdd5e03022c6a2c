"""Later fragments: they get the ports of the first, or wait for it.

A later fragment is counted to its datagram's conversation whatever order they come in. One whose first never comes is
counted, without ports, when its time is over or when too many wait.
"""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes
from ingest.packets.conversation import begin_cold
from ingest.packets.flow_table import (
    COLD,
    FRAGMENTS,
    FRAGMENTS_KEPT,
    FREE,
    HELD_COUNT,
    HELD_FIRST,
    HELD_MOST,
    HELD_TIME,
)
from ingest.packets.layout import (
    DST_HI,
    DST_LO,
    DST_PORT,
    FACTS,
    FAMILY,
    FRAGMENT,
    FRAGMENT_ID,
    HAS_PORTS,
    HELD,
    PROTOCOL,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    VLANS,
    VNI,
)
from whowas.arrays import Words
from whowas.kernels import rare_kernel


@rare_kernel
def _has_ports(protocol: int) -> bool:
    found: bool = protocol == 6 or protocol == 17 or protocol == 33 or protocol == 132 or protocol == 136
    return found


@rare_kernel
def place_fragment(facts: Words, time: int, fragments: Words, spans: Words) -> int:
    """A first fragment leaves its ports in a small table, later ones take them from there.

    The place depends on the packet alone, without a secret: fragments that push each other out lose
    their ports, and they must do so alike in every run.
    Returns: 0, or HELD for one that must wait.
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
        return 0
    same = row[4] == who and row[0] == facts[SRC_HI] and row[1] == facts[SRC_LO] and row[2] == facts[DST_HI]
    same = same and row[3] == facts[DST_LO] and row[5] == facts[VNI] and row[6] == facts[VLANS]
    if same and abs(time - row[8]) <= spans[FRAGMENTS_KEPT]:
        facts[SRC_PORT] = row[7] >> 16
        facts[DST_PORT] = row[7] & 0xFFFF
        facts[HAS_PORTS] = 1
        return 0
    return HELD if _has_ports(facts[PROTOCOL]) else 0


@rare_kernel
def hold(data: Bytes, facts: Words, sender: int, time: int, place: int, held: Words, numbers: Words) -> None:
    """Let a fragment wait. The caller has made sure that there is room."""
    row = held[(numbers[HELD_FIRST] + numbers[HELD_COUNT]) % HELD_MOST]
    for i in range(FACTS):
        row[i] = facts[i]
    begin_cold(data, facts, sender, row[FACTS : FACTS + COLD], numbers, place)
    row[HELD_TIME] = time
    numbers[HELD_COUNT] += 1


@rare_kernel
def take_same(first: Words, time: int, start: int, held: Words, numbers: Words, spans: Words) -> int:
    """Find the next fragment from the `start`-th on that waited for `first`, and give it its ports.

    Returns: how many places it is from the oldest; HELD_COUNT's value when there is none.
    """
    for step in range(start, numbers[HELD_COUNT]):
        row = held[(numbers[HELD_FIRST] + step) % HELD_MOST]
        if row[HELD_TIME] == FREE or row[FRAGMENT_ID] != first[FRAGMENT_ID] or row[PROTOCOL] != first[PROTOCOL]:
            continue
        same = row[SRC_LO] == first[SRC_LO] and row[DST_LO] == first[DST_LO] and row[SRC_HI] == first[SRC_HI]
        same = same and row[DST_HI] == first[DST_HI] and row[FAMILY] == first[FAMILY]
        same = same and row[VNI] == first[VNI] and row[VLANS] == first[VLANS]
        if same and abs(time - row[HELD_TIME]) <= spans[FRAGMENTS_KEPT]:
            row[SRC_PORT], row[DST_PORT], row[HAS_PORTS] = first[SRC_PORT], first[DST_PORT], 1
            return step
    last: int = numbers[HELD_COUNT]
    return last


@rare_kernel
def leave(step: int, held: Words, numbers: Words) -> None:
    """Give up a place; those at the old end that are empty are free again."""
    held[(numbers[HELD_FIRST] + step) % HELD_MOST, HELD_TIME] = FREE
    while numbers[HELD_COUNT] and held[numbers[HELD_FIRST], HELD_TIME] == FREE:
        numbers[HELD_FIRST] = (numbers[HELD_FIRST] + 1) % HELD_MOST
        numbers[HELD_COUNT] -= 1

"""Gives later fragments the ports of the first."""

from __future__ import annotations

from ingest.packets.flow_table import (
    FRAGMENTS,
    FRAGMENTS_KEPT,
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
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    UNKNOWN_FRAGMENT,
    VLANS,
    VNI,
)
from whowas.arrays import Words
from whowas.kernels import rare_kernel


@rare_kernel
def place_fragment(facts: Words, time: int, fragments: Words, spans: Words) -> None:
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

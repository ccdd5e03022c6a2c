"""One conversation: its key, when it ends, what a packet changes in it. conversations.py tells the rules."""

from __future__ import annotations

import numpy as np

from ingest.columns.byte_reads import Bytes, bits64, u32, u48
from ingest.packets.encrypted import told
from ingest.packets.flow_table import (
    A_HI,
    A_LO,
    ACTIVE,
    B_FLAGS,
    B_HI,
    B_LO,
    BY_SYN,
    BYTES_A,
    CLOSED,
    CLOSED_AT,
    CLOSED_BY_RESET,
    ENDS,
    FILE_SEEN,
    FIRST,
    GREETINGS,
    HASH,
    ICMP_FIRST,
    IDLE,
    LAST,
    LATENESS,
    LINGER,
    MAC_A,
    MAC_B,
    NETWORK,
    OBSERVED,
    ORDINAL,
    OUTER,
    OUTER_A_HI,
    OUTER_B_HI,
    PACKETS_A,
    PLACE,
    SEEN,
    SEQUENCE,
    SPOKE_A,
    SPOKE_TIME_A,
    SRC_IS_B,
    STATE,
    SYN_FROM_B,
    SYN_KNOWN,
    TAGS,
)
from ingest.packets.layout import (
    DEPTH,
    DST_HI,
    DST_LO,
    DST_PORT,
    FAMILY,
    HAS_PORTS,
    ICMP,
    IP_BYTES,
    MAC,
    MAC_PAIR,
    OUTER_AT,
    OUTER_FAMILY,
    PROTOCOL,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    TCP_FLAGS,
    TCP_SEQUENCE,
    TUNNEL_HBONE,
    TUNNELS,
    VLANS,
    VNI,
)
from ingest.packets.network_layer import MAPPED
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
PROTOCOL_TCP, PROTOCOL_UDP = 6, 17
# Istio's ambient mode: ztunnel speaks for its pods, with their addresses, to this port.
HBONE_PORT = 15008

# Why a row ends: whowas.schema.END_REASONS, by position.
END_FIN, END_RST, END_IDLE, END_ACTIVE, END_CAPTURE, END_FULL = 0, 1, 2, 3, 4, 5
ENDS_NOT = -1


@lean_kernel
def key_of(facts: Words, key: Words) -> int:
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


@lean_kernel
def end_of_closed(state: int) -> int:
    return END_RST if state & CLOSED_BY_RESET else END_FIN


@lean_kernel
def verdict(facts: Words, sender: int, time: int, row: Words, spans: Words) -> int:
    """Say why the open conversation ends before this packet; ENDS_NOT when the packet belongs to it."""
    state = row[STATE]
    away = max(time - row[LAST], row[FIRST] - time)
    if state & CLOSED != 0 and away > spans[LINGER]:
        return end_of_closed(state)
    if away > spans[IDLE]:
        return END_IDLE
    if max(time, row[LAST]) - min(time, row[FIRST]) > spans[ACTIVE]:
        return end_of_closed(state) if state & CLOSED else END_ACTIVE
    flags = facts[TCP_FLAGS]
    ending = ((state | (state >> B_FLAGS)) & (FIN | RST)) != 0
    if not ending or (flags & (SYN | ACK | RST)) != SYN or time < row[CLOSED_AT]:
        return ENDS_NOT
    again = state & SYN_KNOWN != 0 and (row[HASH] & 0xFFFFFFFF) == facts[TCP_SEQUENCE]
    if again and (state & SYN_FROM_B != 0) == (sender == 1):
        return ENDS_NOT
    if state & CLOSED:
        return end_of_closed(state)
    return END_FIN


@lean_kernel
def begin_row(row: Words, key: Words, hashed: int, time: int, sender: int) -> None:
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
def outer_address(data: Bytes, at: int, family: int, cold: Words, end: int) -> None:
    if family == 4:
        cold[end] = 0
        cold[end + 1] = MAPPED | u32(data, at)
    else:
        cold[end] = bits64(data, at)
        cold[end + 1] = bits64(data, at + 8)


@rare_kernel
def begin_cold(data: Bytes, facts: Words, sender: int, cold: Words, numbers: Words, place: int) -> None:
    """Keep what is told once: outer and Ethernet addresses, tunnels, where and as which packet it was seen."""
    if facts[PROTOCOL] == PROTOCOL_TCP and (facts[SRC_PORT] == HBONE_PORT or facts[DST_PORT] == HBONE_PORT):
        told(facts, TUNNEL_HBONE)
    cold[OUTER] = facts[TUNNELS] << 4
    src, dst = (OUTER_B_HI, OUTER_A_HI) if sender else (OUTER_A_HI, OUTER_B_HI)
    if facts[DEPTH] > 1:
        family, at = facts[OUTER_FAMILY], facts[OUTER_AT]
        size = 4 if family == 4 else 16
        at += 12 if family == 4 else 8
        cold[OUTER] |= family
        outer_address(data, at, family, cold, src)
        outer_address(data, at + size, family, cold, dst)
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
    cold[OBSERVED] = 0
    cold[GREETINGS] = 0


@rare_kernel
def direct_row(facts: Words, sender: int, row: Words) -> None:
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
def is_own(facts: Words) -> bool:
    """Say whether a process behind the sender's address must have sent a packet: TCP without RST, or UDP.

    A RST and an ICMP error are sent by others in its stead; an echo is answered by a sandbox in which nothing runs.
    """
    tcp: bool = facts[PROTOCOL] == PROTOCOL_TCP and facts[TCP_FLAGS] != 0 and facts[TCP_FLAGS] & RST == 0
    udp: bool = facts[PROTOCOL] == PROTOCOL_UDP
    return tcp or udp


@rare_kernel
def first_own(facts: Words, sender: int, time: int, row: Words, cold: Words) -> None:
    """Keep when an end first sent a packet of its own."""
    if is_own(facts):
        row[STATE] |= SPOKE_A << sender
        cold[SPOKE_TIME_A + sender] = time


@lean_kernel
def count_packet(facts: Words, sender: int, time: int, row: Words) -> None:
    """Add the packet to its direction, stretch the times, follow FIN and RST."""
    row[FIRST] = min(row[FIRST], time)
    row[LAST] = max(row[LAST], time)
    row[PACKETS_A + sender] += 1
    row[BYTES_A + sender] += facts[IP_BYTES]
    flags = facts[TCP_FLAGS]
    if flags == 0:
        return
    if flags & SYN:
        direct_row(facts, sender, row)
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


@lean_kernel
def overdue(row: Words, clock: int, spans: Words) -> int:
    """Say why a row's time is over by the clock, or ENDS_NOT. Late packets get their grace.

    A row from the future waits: it is the clock that may have stepped back.
    """
    away = clock - row[LAST] - spans[LATENESS]
    if row[STATE] & CLOSED:
        return end_of_closed(row[STATE]) if away > spans[LINGER] else ENDS_NOT
    return END_IDLE if away > spans[IDLE] else ENDS_NOT

"""Which packets are worth a closer look: the first ones with a payload, where they begin as something that tells names.

The kernel says what each direction begins with and hands those few packets over (`picks`); ingest/names reads them.
"""

from __future__ import annotations

import numpy as np

from ingest.columns.byte_reads import Bytes, u8, u16
from ingest.names.greetings import (
    DNS,
    H2_PREFACE,
    HTTP_REQUEST,
    IMAP_SERVER,
    MAIL_CLIENT,
    MAIL_SERVER,
    MYSQL_SERVER,
    MYSQL_SSL,
    OTHER,
    POSTGRES_SSL,
    POSTGRES_YES,
    QUIC,
    TLS_CLIENT,
    TLS_SERVER,
)
from ingest.packets.first_bytes import datagram_greeting, greeting
from ingest.packets.flow_table import (
    GREETINGS,
    HANDLES,
    HASH,
    LOOKED_A,
    OBSERVE,
    OBSERVED,
    PICKED,
    STATE,
    SYN_FROM_B,
    SYN_KNOWN,
)
from ingest.packets.layout import (
    DST_HI,
    DST_LO,
    DST_PORT,
    END,
    FRAGMENT,
    ORIGINAL_END,
    PAYLOAD,
    PROTOCOL,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    TCP_SEQUENCE,
    VNI,
)
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

# What is observed, as bits of flow_table.OBSERVE.
WATCH_DNS, WATCH_TLS, WATCH_HTTP = 1, 2, 4
WATCHES = {"dns": WATCH_DNS, "tls": WATCH_TLS, "http": WATCH_HTTP}
# Packets with a payload that are looked at in each direction: a ClientHello of 16 KB is in fewer.
LOOKS_MOST = 16
# Bytes by which a segment may come too early, and how many may.
WAITS_MOST, WAITS = 1 << 14, 4
TCP_PROTOCOL, UDP_PROTOCOL, DNS_PORT = 6, 17, 53

# Columns of a pick. START: sequence number of the first byte by the SYN, -1 where that was not seen. MISSING: bytes of
# the payload that were not captured.
(
    P_HANDLE, P_ROW, P_SENDER, P_SEQUENCE, P_START, P_TIME, P_AT, P_END, P_MISSING, P_CODE, P_PROTOCOL,
    P_SRC_HI, P_SRC_LO, P_DST_HI, P_DST_LO, P_NETWORK, P_SRC_PORT, P_DST_PORT,
) = range(18)  # fmt: skip


@lean_kernel
def _wanted(code: int, other: int, observe: int) -> bool:
    """Say whether a direction that begins so tells a name; `other` is what the other one began with."""
    if code == DNS:
        return observe & WATCH_DNS != 0
    if code == HTTP_REQUEST or code == H2_PREFACE:
        return observe & WATCH_HTTP != 0
    if observe & WATCH_TLS == 0:
        return False
    if code == TLS_CLIENT or code == TLS_SERVER or code == QUIC:
        return True
    # What may turn to TLS after some words.
    asks = code == POSTGRES_SSL or code == POSTGRES_YES or code == MYSQL_SERVER or code == MYSQL_SSL
    mail = code == MAIL_SERVER or code == MAIL_CLIENT or code == IMAP_SERVER
    return asks or mail or other == MAIL_SERVER or other == IMAP_SERVER


@lean_kernel
def _begins(data: Bytes, facts: Words, at: int, observe: int) -> int:
    """What a direction's first payload is; 0 where a datagram tells nothing of those that follow."""
    if observe & WATCH_DNS and (facts[SRC_PORT] == DNS_PORT or facts[DST_PORT] == DNS_PORT):
        # Over TCP its length stands before a message, and a first segment may be too short to tell.
        framed = 2 if facts[PROTOCOL] == TCP_PROTOCOL else 0
        if _is_dns(data, at + framed, facts[END]) or (framed and at + 14 > facts[END]):
            return DNS
        if not framed:
            return 0
    if observe & (WATCH_TLS | WATCH_HTTP) == 0:
        return OTHER
    if facts[PROTOCOL] == TCP_PROTOCOL:
        return greeting(data, at, facts[END])
    return datagram_greeting(data, at, facts[END])


@lean_kernel
def _opened(row: Words, sender: int) -> bool:
    """Say whether the sender's SYN was seen: then the row knows its number."""
    known: bool = row[STATE] & SYN_KNOWN != 0 and (row[STATE] & SYN_FROM_B != 0) == (sender == 1)
    return known


@lean_kernel
def _early(facts: Words, sender: int, row: Words) -> bool:
    """Say whether a segment comes before the first one: then it waits for what the direction begins with."""
    ahead = (facts[TCP_SEQUENCE] - row[HASH] - 1) & 0xFFFFFFFF
    early: bool = facts[PROTOCOL] == TCP_PROTOCOL and _opened(row, sender) and ahead > 0 and ahead < WAITS_MOST
    return early


@lean_kernel
def _is_dns(data: Bytes, at: int, end: int) -> bool:
    """Say whether a DNS header may stand here: a plain query or its answer, one question, records that have room."""
    if at + 12 > end or u16(data, at + 2) & 0x7840 or u16(data, at + 4) != 1:
        return False
    return 17 + 11 * u16(data, at + 6) <= end - at or u16(data, at + 2) & 0x8000 != 0


@rare_kernel
def look(
    data: Bytes,
    facts: Words,
    sender: int,
    time: int,
    number: int,
    row: Words,
    cold: Words,
    numbers: Words,
    picks: Words,
) -> None:
    """Classify a direction by its first payload, and hand the packet over where it may tell a name."""
    at, tcp = facts[PAYLOAD], facts[PROTOCOL] == TCP_PROTOCOL
    if at == 0 or facts[FRAGMENT] == 2 or (not tcp and facts[PROTOCOL] != UDP_PROTOCOL):
        return
    if tcp:
        at += (u8(data, at + 12) >> 4) * 4
    if at >= facts[END] or at < facts[PAYLOAD] or (tcp and at + 1 == facts[END] and u8(data, at) == 0):
        # The last: one byte of nothing keeps a connection alive, and begins none.
        return
    known = cold[GREETINGS]
    code = (known >> (8 * sender)) & 0xFF
    looks = ((known >> (16 + 8 * sender)) & 0xFF) + 1
    if code == 0 and (looks > WAITS or not _early(facts, sender, row)):
        code = _begins(data, facts, at, numbers[OBSERVE])
        if code == 0:
            return
        known |= code << (8 * sender)
    wanted = code == 0 or _wanted(code, (known >> (8 * (1 - sender))) & 0xFF, numbers[OBSERVE])
    endless = wanted and code == DNS and not tcp
    if endless and not _is_dns(data, at, facts[END]):
        return
    if not wanted or (looks >= LOOKS_MOST and not endless):
        row[STATE] |= LOOKED_A << sender
    cold[GREETINGS] = known if endless else known + (np.int64(1) << (16 + 8 * sender))
    if wanted and numbers[PICKED] < len(picks):
        if cold[OBSERVED] == 0:
            numbers[HANDLES] += 1
            cold[OBSERVED] = numbers[HANDLES]
        _hand_over(facts, sender, time, number, at, row, cold, picks[numbers[PICKED]])
        numbers[PICKED] += 1


@rare_kernel
def _hand_over(
    facts: Words, sender: int, time: int, number: int, at: int, row: Words, cold: Words, pick: Words
) -> None:
    pick[P_HANDLE], pick[P_ROW], pick[P_SENDER] = cold[OBSERVED], number, sender
    pick[P_SEQUENCE] = facts[TCP_SEQUENCE]
    pick[P_START] = ((row[HASH] + 1) & 0xFFFFFFFF) if _opened(row, sender) else -1
    pick[P_TIME], pick[P_AT], pick[P_END] = time, at, facts[END]
    pick[P_MISSING] = max(facts[ORIGINAL_END] - facts[END], 0)
    pick[P_CODE] = (cold[GREETINGS] >> (8 * sender)) & 0xFF
    pick[P_PROTOCOL] = facts[PROTOCOL]
    pick[P_SRC_HI], pick[P_SRC_LO] = facts[SRC_HI], facts[SRC_LO]
    pick[P_DST_HI], pick[P_DST_LO] = facts[DST_HI], facts[DST_LO]
    pick[P_NETWORK] = facts[VNI] + 1
    pick[P_SRC_PORT], pick[P_DST_PORT] = facts[SRC_PORT], facts[DST_PORT]

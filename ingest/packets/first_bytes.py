"""What the first bytes of one direction are: the greeting of a protocol, by its own grammar and never by a port."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes, u8, u16, u24, u32
from ingest.names.greetings import (
    H2_PREFACE,
    H2_SETTINGS,
    HTTP_ANSWER,
    HTTP_REQUEST,
    IMAP_SERVER,
    KAFKA,
    MAIL_CLIENT,
    MAIL_SERVER,
    MONGODB,
    MYSQL_SERVER,
    MYSQL_SSL,
    OTHER,
    POSTGRES_NO,
    POSTGRES_SSL,
    POSTGRES_START,
    POSTGRES_YES,
    QUIC,
    REDIS,
    SSH,
    TLS_CLIENT,
    TLS_RECORD,
    TLS_SERVER,
)
from whowas.kernels import rare_kernel

# Methods of HTTP with the blank behind them, as their first four bytes.
GET, POST, HEAD, PUT = 0x47455420, 0x504F5354, 0x48454144, 0x50555420
DELE, OPTI, PATC, CONN = 0x44454C45, 0x4F505449, 0x50415443, 0x434F4E4E
TRAC, PROP = 0x54524143, 0x50524F50
# Of WebDAV, UPnP, and RPC over HTTP.
REPO, MKCO, LOCK, NOTI, SUBS, RPC = 0x5245504F, 0x4D4B434F, 0x4C4F434B, 0x4E4F5449, 0x53554253, 0x5250435F
HTTP, PRI, SSH_WORD = 0x48545450, 0x50524920, 0x5353482D
EHLO, HELO, LHLO = 0x45484C4F, 0x48454C4F, 0x4C484C4F
MAIL_READY, MAIL_READY_MORE, IMAP_OK = 0x32323020, 0x3232302D, 0x2A204F4B
START, SSL, GSS = 0x00030000, 80877103, 80877104
CLIENT_SSL = 0x0800
OP_MSG, OP_QUERY = 2013, 2004
QUIC_1, QUIC_2, QUIC_DRAFT = 1, 0x6B3343CF, 0xFF00001D


@rare_kernel
def _little(data: Bytes, at: int) -> int:
    return u8(data, at) | (u8(data, at + 1) << 8) | (u8(data, at + 2) << 16) | (u8(data, at + 3) << 24)


@rare_kernel
def _tls(data: Bytes, at: int, size: int) -> int:
    """A TLS record: kind, version 3.x, a length that is allowed."""
    if size < 5 or u8(data, at + 1) != 3 or u8(data, at + 2) > 4 or u16(data, at + 3) > 18432:
        return OTHER
    kind = u8(data, at)
    if kind == 22 and size > 5:
        first = u8(data, at + 5)
        return TLS_CLIENT if first == 1 else TLS_SERVER if first == 2 else TLS_RECORD
    return TLS_RECORD if kind >= 20 and kind <= 23 and u16(data, at + 3) > 0 else OTHER


@rare_kernel
def _text(data: Bytes, at: int, size: int) -> int:
    """Protocols that begin with a word."""
    word = u32(data, at)
    if word == HTTP and size >= 6 and u8(data, at + 4) == 0x2F:
        return HTTP_ANSWER
    if word == GET or word == POST or word == HEAD or word == PUT or word == DELE:
        return HTTP_REQUEST
    if word == OPTI or word == PATC or word == CONN or word == TRAC or word == PROP:
        return HTTP_REQUEST
    if word == REPO or word == MKCO or word == LOCK or word == NOTI or word == SUBS or word == RPC:
        return HTTP_REQUEST
    if word == PRI and size >= 6 and u16(data, at + 4) == 0x2A20:
        return H2_PREFACE
    if word == SSH_WORD:
        return SSH
    if word == MAIL_READY or word == MAIL_READY_MORE:
        return MAIL_SERVER
    if word == IMAP_OK:
        return IMAP_SERVER
    if word == EHLO or word == HELO or word == LHLO:
        return MAIL_CLIENT
    return OTHER


@rare_kernel
def _redis(data: Bytes, at: int, size: int) -> int:
    """A command as an array of bulk strings: *, digits, CR LF, $."""
    place, end = at + 1, at + min(size, 8)
    while place < end and u8(data, place) >= 0x30 and u8(data, place) <= 0x39:
        place += 1
    if place == at + 1 or place + 3 > at + size:
        return OTHER
    return REDIS if u16(data, place) == 0x0D0A and u8(data, place + 2) == 0x24 else OTHER


@rare_kernel
def _postgres(data: Bytes, at: int, size: int) -> int:
    """The first message of a client has no type: its length, then a number."""
    length, number = u32(data, at), u32(data, at + 4)
    if length == 8 and size == 8 and (number == SSL or number == GSS):
        return POSTGRES_SSL
    if (number == START or number == START + 2) and length > 8 and length <= 10000 and length >= size:
        return POSTGRES_START
    return OTHER


@rare_kernel
def _mysql(data: Bytes, at: int, size: int) -> int:
    """The server speaks first: length, sequence 0, protocol 10, its version as text. TLS is asked for with 1."""
    length, sequence = _little(data, at) & 0xFFFFFF, u8(data, at + 3)
    if sequence == 0 and u8(data, at + 4) == 10 and length >= 30 and length + 4 == size:
        digit = u8(data, at + 5)
        return MYSQL_SERVER if digit >= 0x30 and digit <= 0x39 and u8(data, at + size - 1) == 0 else OTHER
    if sequence == 1 and length == 32 and size == 36 and _little(data, at + 4) & CLIENT_SSL:
        return MYSQL_SSL
    return OTHER


@rare_kernel
def _framed(data: Bytes, at: int, size: int) -> int:
    """Messages that begin with their length: Kafka's first request, MongoDB's."""
    if size >= 16 and _little(data, at) >= 16 and _little(data, at + 8) == 0:
        operation = _little(data, at + 12)
        if operation == OP_MSG or operation == OP_QUERY:
            return MONGODB
    if size < 14:
        return OTHER
    request, version, name = u16(data, at + 4), u16(data, at + 6), u16(data, at + 12)
    # Clients begin by asking for versions (18), old ones for metadata (3), or produce and fetch at once (0, 1).
    if request != 18 and request != 3 and request > 1:
        return OTHER
    if u32(data, at) + 4 != size or version > 20 or (name != 0xFFFF and 14 + name > size):
        return OTHER
    for place in range(at + 14, at + 14 + (0 if name == 0xFFFF else name)):
        if u8(data, place) < 0x20 or u8(data, place) > 0x7E:
            return OTHER
    return KAFKA


@rare_kernel
def greeting(data: Bytes, at: int, end: int) -> int:
    """Say what a direction of TCP begins with. One byte may be PostgreSQL's answer: the other end tells."""
    size = end - at
    first = u8(data, at)
    if size == 1:
        return POSTGRES_YES if first == 0x53 or first == 0x47 else POSTGRES_NO if first == 0x4E else OTHER
    if size < 4:
        return OTHER
    code = _tls(data, at, size) if first >= 20 and first <= 23 else OTHER
    if code == OTHER and first == 0x2A:
        code = _redis(data, at, size)
    if code == OTHER:
        code = _text(data, at, size)
    if code == OTHER and size >= 8:
        code = _postgres(data, at, size)
        if code == OTHER and size >= 9 and u8(data, at + 3) == 4 and u24(data, at) % 6 == 0:
            # A SETTINGS frame on stream 0, of whole settings.
            code = H2_SETTINGS if u32(data, at + 5) == 0 and u24(data, at) < 1024 and u8(data, at + 4) <= 1 else OTHER
        if code == OTHER:
            code = _mysql(data, at, size)
        if code == OTHER:
            code = _framed(data, at, size)
    return code


@rare_kernel
def datagram_greeting(data: Bytes, at: int, end: int) -> int:
    """A QUIC packet with a long header, of a version that is known: 1, 2, or the draft that browsers first had."""
    if end - at < 20 or u8(data, at) & 0xC0 != 0xC0:
        return OTHER
    version = u32(data, at + 1)
    return QUIC if version == QUIC_1 or version == QUIC_2 or version == QUIC_DRAFT else OTHER

"""DNS messages (RFC 1035, 9460), as far as they lead from a question to addresses: A, AAAA, CNAME, HTTPS, SVCB."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ingest.names.reading import Refused, Short, printable

A, CNAME, AAAA, SVCB, HTTPS = 1, 5, 28, 64, 65
IN = 1
IPV4_HINT, IPV6_HINT = 4, 6
RECORDS_MOST, JUMPS_MOST, NAME_MOST = 256, 32, 255
MAPPED = bytes(10) + b"\xff\xff"
HEADER = struct.Struct(">HHHHHH")
RECORD = struct.Struct(">HHIH")
ANSWER, TRUNCATED, OPCODE, FAILED = 0x8000, 0x0200, 0x7800, 0x000F


@dataclass(frozen=True, slots=True)
class Address:
    """An address that the question's name has. address: 16 bytes, IPv4 mapped. ttl: s, the least on the way to it."""

    address: bytes
    ttl: int


@dataclass(frozen=True, slots=True)
class Message:
    """question: the first one's name, small letters, no dot at the end, the root a dot; None where there is none."""

    number: int
    answers: bool
    question: str | None
    addresses: tuple[Address, ...]


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Read a name, follow its pointers backwards; return it and where the next field is."""
    labels: list[str] = []
    size, after, lowest = 0, -1, at
    for _ in range(JUMPS_MOST + 128):
        if at >= len(data):
            raise Short
        length = data[at]
        if length == 0:
            return ".".join(labels).lower() or ".", (at + 1 if after < 0 else after)
        if length & 0xC0 == 0xC0:
            if at + 1 >= len(data):
                raise Short
            after = at + 2 if after < 0 else after
            at = (length & 0x3F) << 8 | data[at + 1]
            # Only what stands before: a name that points forward or at itself has no end.
            if at >= lowest:
                raise Refused
            lowest = at
            continue
        size += length + 1
        if length & 0xC0 or size > NAME_MOST or at + 1 + length > len(data):
            raise Refused
        labels.append(printable(data[at + 1 : at + 1 + length]).replace(".", "\\x2e"))
        at += 1 + length
    raise Refused


def read_message(data: bytes) -> Message:
    """Read a DNS message. What is cut off behind some answers does not take those away.

    Raises: Short, Refused where not even the question can be read.
    """
    if len(data) < HEADER.size:
        raise Short
    number, flags, questions, answers, _, _ = HEADER.unpack_from(data)
    if flags & OPCODE or questions > 1:
        raise Refused
    question, at = None, HEADER.size
    if questions:
        question, at = _name(data, at)
        if at + 4 > len(data):
            raise Short
        at += 4
    answered = bool(flags & ANSWER)
    found: tuple[Address, ...] = ()
    if answered and question and not flags & FAILED:
        found = _addresses(data, at, min(answers, RECORDS_MOST), question)
    return Message(number, answered, question, found)


def _addresses(data: bytes, at: int, records: int, question: str) -> tuple[Address, ...]:
    """Addresses that the question leads to, by aliases as they stand: an alias comes before what it leads to."""
    least = {question: 1 << 31}
    found: dict[bytes, int] = {}
    try:
        for _ in range(records):
            owner, at = _name(data, at)
            if at + RECORD.size > len(data):
                break
            kind, family, ttl, size = RECORD.unpack_from(data, at)
            at += RECORD.size
            if at + size > len(data):
                break
            if family == IN and owner in least:
                ttl = min(ttl, least[owner])
                if kind == CNAME:
                    least.setdefault(_name(data, at)[0], ttl)
                for one in _held(data, at, size, kind):
                    found.setdefault(one, ttl)
            at += size
    except (Short, Refused):
        pass
    return tuple(Address(one, ttl) for one, ttl in found.items())


def _held(data: bytes, at: int, size: int, kind: int) -> list[bytes]:
    """Addresses in one record."""
    if kind == A and size == 4:
        return [MAPPED + data[at : at + 4]]
    if kind == AAAA and size == 16:
        return [data[at : at + 16]]
    if kind in (HTTPS, SVCB) and size > 3:
        return _hints(data, at, at + size)
    return []


def _hints(data: bytes, at: int, end: int) -> list[bytes]:
    """Address hints of a service binding: priority, target, then keys with values."""
    at, found = _name(data, at + 2)[1], []
    while at + 4 <= end:
        key, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        at += 4
        width = 4 if key == IPV4_HINT else 16 if key == IPV6_HINT else 0
        if width and at + size <= end:
            parts = [data[place : place + width] for place in range(at, at + size - width + 1, width)]
            found += [MAPPED + one if width == 4 else one for one in parts]
        at += size
    return found[:RECORDS_MOST]


def framed(stream: bytes) -> list[bytes]:
    """Messages of a TCP stream, each behind its length; the last may be cut off, and is left out."""
    at, some = 0, []
    while at + 2 <= len(stream):
        size = int.from_bytes(stream[at : at + 2], "big")
        if at + 2 + size > len(stream):
            break
        some.append(stream[at + 2 : at + 2 + size])
        at += 2 + size
    return some

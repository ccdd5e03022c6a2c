"""Handshake messages out of TLS records: a message may lie in several records, a record may hold several messages."""

from __future__ import annotations

from collections.abc import Iterator

HANDSHAKE, ALERT, RECORD_MOST = 22, 21, 18432
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_REQUEST, SERVER_DONE = 1, 2, 11, 13, 14
MESSAGE_MOST = 1 << 17


def handshake_bytes(stream: bytes, at: int = 0) -> tuple[bytes, bool]:
    """Join the content of handshake records from `at` on.

    Returns: (bytes, whether something else than a handshake follows: then no more will come in the clear).
    """
    parts = list[bytes]()
    while at + 5 <= len(stream):
        kind, size = stream[at], int.from_bytes(stream[at + 3 : at + 5], "big")
        if kind != HANDSHAKE or stream[at + 1] != 3 or not 0 < size <= RECORD_MOST:
            return b"".join(parts), True
        parts.append(stream[at + 5 : at + 5 + size])
        at += 5 + size
    return b"".join(parts), False


def messages(handshake: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, body) of each message that is whole."""
    at = 0
    while at + 4 <= len(handshake):
        size = int.from_bytes(handshake[at + 1 : at + 4], "big")
        if size > MESSAGE_MOST or at + 4 + size > len(handshake):
            return
        yield handshake[at], handshake[at + 4 : at + 4 + size]
        at += 4 + size


def hello_at(segment: bytes) -> bool:
    """Say whether a segment begins with a ClientHello."""
    return len(segment) > 5 and segment[0] == HANDSHAKE and segment[1] == 3 and segment[2] <= 4 and segment[5] == 1

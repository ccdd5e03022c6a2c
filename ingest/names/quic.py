"""QUIC Initials, versions 1, 2 and draft 29 (RFC 9000, 9001, 9369): the ClientHello in their CRYPTO frames.

Their keys come of the connection id in the clear. The tag is not looked at: who can derive the key can make one. What
does not open to frames that an Initial may hold was of another key.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np

from ingest.names.aes import counter_mode, encrypt
from ingest.names.reading import Bytes, Refused, Short
from ingest.names.stretch import Stretch

V1, V2, DRAFT = 1, 0x6B3343CF, 0xFF00001D
SALTS = {
    V1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    V2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
    DRAFT: bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899"),
}
LABELS = {V1: "quic", V2: "quicv2", DRAFT: "quic"}
# Bits of the first byte that say Initial.
KINDS = {V1: 0, V2: 1, DRAFT: 0}
PADDING, PING, ACK, ACK_ECN, CRYPTO, CLOSE = 0, 1, 2, 3, 6, 0x1C
PACKETS_MOST, FRAMES_MOST, RANGES_MOST = 4, 512, 256
TAG = 16


@dataclass(frozen=True)
class Keys:
    key: bytes
    iv: bytes
    header: bytes


def _expand(secret: bytes, label: str, size: int) -> bytes:
    info = size.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label.encode() + b"\0\1"
    return hmac.new(secret, info, sha256).digest()[:size]


@lru_cache(maxsize=256)
def client_keys(version: int, connection: bytes) -> Keys:
    """Keys of a client's Initials by the connection id to which it sent its first."""
    secret = _expand(hmac.new(SALTS[version], connection, sha256).digest(), "client in", 32)
    word = LABELS[version]
    return Keys(
        _expand(secret, f"{word} key", 16), _expand(secret, f"{word} iv", 12), _expand(secret, f"{word} hp", 16)
    )


def _varint(it: Bytes) -> int:
    first = it.number(1)
    size = 1 << (first >> 6)
    return (first & 0x3F) << (8 * (size - 1)) | (it.number(size - 1) if size > 1 else 0)


class Initials:
    """The Initials of one direction. `crypto` is what their CRYPTO frames told."""

    __slots__ = ("crypto", "first")

    def __init__(self) -> None:
        self.crypto = Stretch(0)
        self.first: bytes | None = None

    def take(self, datagram: bytes) -> bool:
        """Take a datagram; return whether a client's Initial was opened in it."""
        opened, at = False, 0
        try:
            for _ in range(PACKETS_MOST):
                if at >= len(datagram):
                    break
                found, at = self._packet(datagram, at)
                opened = opened or found
        except (Short, Refused):
            pass
        return opened

    def _packet(self, datagram: bytes, at: int) -> tuple[bool, int]:
        """Read one packet of a datagram; return whether it was opened, and where the next one begins."""
        it = Bytes(datagram, at)
        first, version = it.number(1), it.number(4)
        if first & 0xC0 != 0xC0 or version not in SALTS:
            raise Refused
        connection = it.part(1).data
        if len(connection) > 20:
            raise Refused
        it.part(1)
        initial = first >> 4 & 3 == KINDS[version]
        if initial:
            it.take(_varint(it))
        size = _varint(it)
        start, end = it.at, it.at + size
        if end > len(datagram):
            raise Short
        return initial and self._open(datagram, at, start, end, version, connection), end

    def _open(self, datagram: bytes, at: int, start: int, end: int, version: int, connection: bytes) -> bool:
        """Open an Initial by the first connection id, else by its own: after a Retry the client begins anew."""
        for one in dict.fromkeys((self.first or connection, connection)):
            payload = opened(datagram, at, start, end, client_keys(version, one))
            try:
                parts = frames(payload)
            except (Short, Refused):
                continue
            self.first = one
            for offset, part in parts:
                self.crypto.add(offset, part)
            return True
        return False


def opened(datagram: bytes, at: int, start: int, end: int, keys: Keys) -> bytes:
    """Take the protection off a packet: datagram[at:end], whose number begins at `start`. Raises: Short."""
    if start + 20 > end or end - start < 4 + TAG:
        raise Short
    sample = np.frombuffer(datagram, dtype=np.uint8, count=16, offset=start + 4).reshape(1, 16)
    mask = bytes(encrypt(keys.header, sample)[0])
    size = ((datagram[at] ^ mask[0]) & 3) + 1
    number = bytes(one ^ other for one, other in zip(datagram[start : start + size], mask[1:], strict=False))
    nonce = int.from_bytes(keys.iv, "big") ^ int.from_bytes(number, "big")
    return counter_mode(keys.key, nonce.to_bytes(12, "big"), datagram[start + size : end - TAG])


def frames(payload: bytes) -> list[tuple[int, bytes]]:
    """CRYPTO frames (offset, bytes) of an Initial. Raises: Short, Refused where it holds what no Initial may."""
    it, some = Bytes(payload), list[tuple[int, bytes]]()
    for _ in range(FRAMES_MOST):
        padding = len(payload) - it.at - len(payload[it.at :].lstrip(b"\0"))
        it.take(padding)
        if not it.left():
            return some
        kind = it.number(1)
        if kind == CRYPTO:
            offset = _varint(it)
            some.append((offset, it.take(_varint(it))))
        elif kind in (ACK, ACK_ECN):
            _acknowledged(it, kind)
        elif kind == CLOSE:
            return some
        elif kind != PING:
            raise Refused
    raise Refused


def _acknowledged(it: Bytes, kind: int) -> None:
    _varint(it)
    _varint(it)
    ranges = _varint(it)
    if ranges > RANGES_MOST:
        raise Refused
    for _ in range(1 + 2 * ranges + (3 if kind == ACK_ECN else 0)):
        _varint(it)

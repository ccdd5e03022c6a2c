"""QUIC Initials as a client makes them, for tests."""

from __future__ import annotations

import numpy as np

from ingest.names.aes import counter_mode, encrypt
from ingest.names.quic import KINDS, client_keys


def varint(number: int) -> bytes:
    return (number | 0x4000).to_bytes(2, "big") if number < 1 << 14 else (number | 0x80000000).to_bytes(4, "big")


def crypto(offset: int, part: bytes) -> bytes:
    """A CRYPTO frame."""
    return b"\6" + varint(offset) + varint(len(part)) + part


def initial(
    version: int, connection: bytes, payload: bytes, number: int, keyed: bytes | None = None, token: bytes = b""
) -> bytes:
    """An Initial to a connection id, under the keys of it or of `keyed`; its tag is zeros."""
    keys = client_keys(version, keyed or connection)
    first = 0xC0 | KINDS[version] << 4 | 1
    head = bytes([first]) + version.to_bytes(4, "big") + bytes([len(connection)]) + connection + b"\0"
    head += varint(len(token)) + token + varint(2 + len(payload) + 16)
    nonce = int.from_bytes(keys.iv, "big") ^ number
    secret = counter_mode(keys.key, nonce.to_bytes(12, "big"), payload) + bytes(16)
    sample = np.frombuffer((number.to_bytes(2, "big") + secret)[4:20], dtype=np.uint8).reshape(1, 16)
    mask = bytes(encrypt(keys.header, sample)[0])
    hidden = bytes(one ^ other for one, other in zip(number.to_bytes(2, "big"), mask[1:], strict=False))
    return bytes([head[0] ^ (mask[0] & 0x0F)]) + head[1:] + hidden + secret

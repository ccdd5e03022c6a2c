"""SHA-1 (FIPS 180-4) of many short messages of one length: a call of hashlib a row costs five times as much."""

from __future__ import annotations

import hashlib

import numpy as np

from ingest.columns.byte_reads import Bytes, u32
from whowas.arrays import Words
from whowas.kernels import lean_kernel, runs_plain

MASK = 0xFFFFFFFF
BLOCK = 64


@lean_kernel
def _turn(value: int, count: int) -> int:
    return ((value << count) | (value >> (32 - count))) & MASK


@lean_kernel
def _round(data: Bytes, at: int, state: Words, words: Words) -> None:
    """Mix one block of 64 bytes into the state of five words."""
    for i in range(16):
        words[i] = u32(data, at + 4 * i)
    for i in range(16, 80):
        words[i] = _turn(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1)
    a, b, c, d, e = state[0], state[1], state[2], state[3], state[4]
    # Four loops of twenty: a choice inside one loop costs half as much again.
    for i in range(20):
        mixed = (((b & c) | ((b ^ MASK) & d)) + 0x5A827999 + _turn(a, 5) + e + words[i]) & MASK
        e, d, c, b, a = d, c, _turn(b, 30), a, mixed
    for i in range(20, 40):
        mixed = ((b ^ c ^ d) + 0x6ED9EBA1 + _turn(a, 5) + e + words[i]) & MASK
        e, d, c, b, a = d, c, _turn(b, 30), a, mixed
    for i in range(40, 60):
        mixed = (((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC + _turn(a, 5) + e + words[i]) & MASK
        e, d, c, b, a = d, c, _turn(b, 30), a, mixed
    for i in range(60, 80):
        mixed = ((b ^ c ^ d) + 0xCA62C1D6 + _turn(a, 5) + e + words[i]) & MASK
        e, d, c, b, a = d, c, _turn(b, 30), a, mixed
    state[0] = (state[0] + a) & MASK
    state[1] = (state[1] + b) & MASK
    state[2] = (state[2] + c) & MASK
    state[3] = (state[3] + d) & MASK
    state[4] = (state[4] + e) & MASK


@lean_kernel
def _digest_rows(padded: Bytes, size: int, state: Words, words: Words, out: Bytes) -> None:
    """Fill out (n, 20) from messages that lie one behind another, each padded to `size` bytes."""
    for row in range(len(out)):
        state[0], state[1], state[2], state[3], state[4] = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0
        for at in range(row * size, (row + 1) * size, BLOCK):
            _round(padded, at, state, words)
        for i in range(20):
            out[row, i] = (state[i >> 2] >> (24 - 8 * (i & 3))) & 0xFF


def sha1_rows(messages: Bytes) -> Bytes:
    """Return (n, 20) digests of (n, k) bytes."""
    number, length = messages.shape
    if runs_plain():
        made = b"".join(hashlib.sha1(row.tobytes(), usedforsecurity=False).digest() for row in messages)
        return np.frombuffer(made, dtype=np.uint8).reshape(number, 20)
    size = (length + 8) // BLOCK * BLOCK + BLOCK
    padded = np.zeros((number, size), dtype=np.uint8)
    padded[:, :length] = messages
    padded[:, length] = 0x80
    padded[:, -8:] = np.frombuffer((8 * length).to_bytes(8, "big"), dtype=np.uint8)
    out = np.zeros((number, 20), dtype=np.uint8)
    _digest_rows(padded.reshape(-1), size, np.zeros(5, dtype=np.int64), np.zeros(80, dtype=np.int64), out)
    return out

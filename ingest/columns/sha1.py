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
def begin(state: Words) -> None:
    """Put the state of five words where a message begins."""
    state[0], state[1], state[2], state[3], state[4] = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0


@lean_kernel
def mix(state: Words, words: Words) -> None:
    """Mix one block into the state: the first 16 of 80 words, each of 32 bits."""
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
        begin(state)
        for at in range(row * size, (row + 1) * size, BLOCK):
            for i in range(16):
                words[i] = u32(padded, at + 4 * i)
            mix(state, words)
        for i in range(20):
            out[row, i] = (state[i >> 2] >> (24 - 8 * (i & 3))) & 0xFF


@lean_kernel
def _turned(value: int) -> int:
    """32 bits with their bytes the other way round."""
    return ((value & 0xFF) << 24) | ((value & 0xFF00) << 8) | ((value >> 8) & 0xFF00) | ((value >> 24) & 0xFF)


@lean_kernel
def _hex_ids(numbers: Words, digits: Bytes, state: Words, words: Words, out: Bytes) -> None:
    """Fill out (n, 32) with the hex digits of the first 16 bytes of each digest. Args: numbers: (n, 10)."""
    for row in range(len(out)):
        begin(state)
        for i in range(8):
            words[2 * i] = _turned(numbers[row, i] & MASK)
            words[2 * i + 1] = _turned((numbers[row, i] >> 32) & MASK)
        mix(state, words)
        for i in range(2):
            words[2 * i] = _turned(numbers[row, 8 + i] & MASK)
            words[2 * i + 1] = _turned((numbers[row, 8 + i] >> 32) & MASK)
        words[4] = 1 << 31
        for i in range(5, 15):
            words[i] = 0
        words[15] = 8 * 80
        mix(state, words)
        for i in range(32):
            out[row, i] = digits[(state[i >> 3] >> (28 - 4 * (i & 7))) & 15]


def hex_ids(numbers: Words) -> Bytes:
    """Return (n, 32) hex digits: 128 bits of SHA-1 over (n, 10) numbers of 64 bits, their low bytes first."""
    out = np.empty((len(numbers), 32), dtype=np.uint8)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    _hex_ids(numbers, digits, np.zeros(5, dtype=np.int64), np.zeros(80, dtype=np.int64), out)
    return out


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

"""Compressed files of some kilobytes that expand to gigabytes, made in a moment."""

from __future__ import annotations

import gzip
import lzma
import struct

import lz4.frame

MIB = 1 << 20
PART = 16 * MIB


def zstd_bomb(prefix: bytes, byte: bytes, size: int) -> bytes:
    """One frame: the prefix, then blocks of 4 bytes that repeat a byte 131,072 times each."""
    blocks = [_block(0, len(prefix)) + prefix, *[_block(1, 1 << 17) + byte] * (size >> 17), _block(0, 0, last=1)]
    return b"\x28\xb5\x2f\xfd\x00" + bytes([7 << 3]) + b"".join(blocks)


def _block(kind: int, size: int, last: int = 0) -> bytes:
    return struct.pack("<I", size << 3 | kind << 1 | last)[:3]


def gzip_bomb(prefix: bytes, byte: bytes, size: int) -> bytes:
    """Members one behind another."""
    return gzip.compress(prefix) + gzip.compress(byte * PART, 1) * (size // PART)


def xz_bomb(prefix: bytes, byte: bytes, size: int) -> bytes:
    """Streams one behind another."""
    return lzma.compress(prefix, preset=0) + lzma.compress(byte * PART, preset=0) * (size // PART)


def lz4_bomb(prefix: bytes, byte: bytes, size: int) -> bytes:
    """Frames one behind another."""
    return lz4.frame.compress(prefix) + lz4.frame.compress(byte * PART) * (size // PART)


BOMBS = {"zst": zstd_bomb, "gz": gzip_bomb, "xz": xz_bomb, "lz4": lz4_bomb}

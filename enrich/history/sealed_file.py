"""A file of arrays that is mapped, not read: sealed by its key and by a checksum of every part.

It lies where only its owner can write (whowas.trusted_folder): checksums tell what a disk or a cut did, not what
somebody wrote on purpose.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

MAGIC = b"whowas index 1\r\n"
# Behind the magic: length of the head, its SHA-256.
FRONT = struct.Struct("<Q32s")
HEAD_MOST = 64 << 20
AT_ONCE = 1 << 20
ALIGNED = 64


class RefusedError(Exception):
    """A file is not what is asked for, or not whole; its text says why."""


class Part(msgspec.Struct, array_like=True):
    """One array. kind: its numpy type. at: from the beginning of the file. check: CRC-32 of its bytes."""

    name: str
    kind: str
    shape: list[int]
    at: int
    size: int
    check: int


class Head(msgspec.Struct, array_like=True):
    """key: what the content was made of. told: what is small. after: where the parts begin."""

    key: bytes
    told: bytes
    parts: list[Part]


def write_sealed(path: Path, key: bytes, told: bytes, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write a file under its name, whole or not at all; for its owner alone. Raises: OSError."""
    parts, at = [], 0
    for name, one in arrays.items():
        flat = np.ascontiguousarray(one)
        parts.append(Part(name, flat.dtype.str, list(flat.shape), at, flat.nbytes, zlib.crc32(_bytes(flat))))
        at += -(-flat.nbytes // ALIGNED) * ALIGNED
    head = msgspec.msgpack.encode(Head(key, told, parts))
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as out:
            out.write(MAGIC + FRONT.pack(len(head), hashlib.sha256(head).digest()) + head)
            out.write(bytes(_begin(len(head)) - out.tell()))
            for one in arrays.values():
                flat = np.ascontiguousarray(one)
                out.write(_bytes(flat))
                out.write(bytes(-flat.nbytes % ALIGNED))
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _bytes(flat: np.ndarray[Any, Any]) -> memoryview:
    return flat.reshape(-1).view(np.uint8).data


def _begin(head: int) -> int:
    """Where the parts begin, behind a head of so many bytes: on a page of their own."""
    return -(-(len(MAGIC) + FRONT.size + head) // mmap.PAGESIZE) * mmap.PAGESIZE


class SealedFile:
    """A file that write_sealed wrote with this key, with every part as it was written.

    Raises: RefusedError; OSError where there is none. Its arrays are private copies of the file's pages: whatever is
    done to them, the file stays.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            facts = os.fstat(handle)
            _refuse_foreign(facts)
            head, begin = _head(handle, facts.st_size)
            if head.key != key:
                raise RefusedError("it was made of something else")
            end = max((one.at + one.size for one in head.parts), default=0)
            if any(one.at < 0 or one.size < 0 for one in head.parts) or begin + end > facts.st_size:
                raise RefusedError("it is cut")
            for one in head.parts:
                _check(handle, begin, one)
            # Read through the handle, not through the map: what nobody asks for never comes into our memory.
            self._map = mmap.mmap(handle, begin + end, access=mmap.ACCESS_COPY) if end else None
        finally:
            os.close(handle)
        self.told, self._begin, self._parts = head.told, begin, {one.name: one for one in head.parts}

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        """Return an array. Raises: KeyError."""
        one = self._parts[name]
        if self._map is None or not one.size:
            return np.empty(one.shape, dtype=one.kind)
        kind = np.dtype(one.kind)
        flat = np.frombuffer(self._map, dtype=kind, count=one.size // kind.itemsize, offset=self._begin + one.at)
        return flat.reshape(one.shape)


def _refuse_foreign(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RefusedError("somebody else could have written it")


def _head(handle: int, size: int) -> tuple[Head, int]:
    front = os.pread(handle, len(MAGIC) + FRONT.size, 0)
    if len(front) < len(MAGIC) + FRONT.size or not front.startswith(MAGIC):
        raise RefusedError("it is no index of this version")
    length, check = FRONT.unpack_from(front, len(MAGIC))
    if length > min(size, HEAD_MOST):
        raise RefusedError("it is cut")
    blob = os.pread(handle, length, len(front))
    if hashlib.sha256(blob).digest() != check:
        raise RefusedError("its checksum does not fit")
    try:
        return msgspec.msgpack.decode(blob, type=Head), _begin(length)
    except msgspec.MsgspecError:
        raise RefusedError("it is no index of this version") from None


def _check(handle: int, begin: int, one: Part) -> None:
    check = 0
    for piece in _pieces(handle, begin + one.at, one.size):
        check = zlib.crc32(piece, check)
    if check != one.check:
        raise RefusedError("its checksum does not fit")


def _pieces(handle: int, at: int, size: int) -> Iterator[memoryview]:
    buffer = bytearray(min(AT_ONCE, size))
    view = memoryview(buffer)
    while size:
        got = os.preadv(handle, [view[: min(size, AT_ONCE)]], at)
        if not got:
            raise RefusedError("it is cut")
        yield view[:got]
        at, size = at + got, size - got


__all__ = ["RefusedError", "SealedFile", "write_sealed"]

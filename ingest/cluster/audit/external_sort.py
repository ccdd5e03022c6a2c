"""Sorts more than fits in memory: sorted runs in temporary files, merged while they are read."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterator
from typing import IO, Generic, TypeVar

import msgspec

Row = TypeVar("Row", bound=msgspec.Struct)
HELD = 64 << 20
HEAD = struct.Struct(">qI")


class Runs(Generic[Row]):
    """Takes rows in any order, gives them back in theirs. At most `held` bytes of rows stay in memory.

    The files have no name, and go with the process.
    """

    def __init__(self, shape: type[Row], held: int = HELD) -> None:
        self.count = 0
        self._decode = msgspec.msgpack.Decoder(shape).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._limit = held
        self._rows: list[tuple[int, bytes]] = []
        self._size = 0
        self._files: list[IO[bytes]] = []

    def add(self, key: int, row: Row) -> None:
        """Take a row; `key` is what the order goes by."""
        packed = self._encode(row)
        self._rows.append((key, packed))
        self._size += len(packed) + 200
        self.count += 1
        if self._size > self._limit:
            self._write()

    def _write(self) -> None:
        """Put what is held into a run of its own."""
        self._rows.sort(key=lambda one: one[0])
        target = tempfile.TemporaryFile(prefix="whowas-")  # noqa: SIM115 - closed once it is merged
        for key, packed in self._rows:
            target.write(HEAD.pack(key, len(packed)) + packed)
        target.seek(0)
        self._files.append(target)
        self._rows, self._size = [], 0

    def sorted(self) -> Iterator[Row]:
        """Yield all rows in order, once; equal keys in no order of their own."""
        self._rows.sort(key=lambda one: one[0])
        sources = [_stored(one) for one in self._files]
        try:
            for _, packed in heapq.merge(*sources, iter(self._rows), key=lambda one: one[0]):
                yield self._decode(packed)
        finally:
            for one in self._files:
                one.close()


def _stored(source: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of one run."""
    while head := source.read(HEAD.size):
        key, size = HEAD.unpack(head)
        yield key, source.read(size)

"""Keeps rows of bytes for a second look: in memory while they are few, then in a file without a name."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Collection, Iterator

HELD = 16 << 20
SIZE = struct.Struct(">I")


class Aside(Collection[bytes]):
    """Rows in the order in which they came, to be gone through any number of times."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(HELD, prefix="whowas-")  # noqa: SIM115 - closed by close()
        self._count = 0

    def add(self, row: bytes) -> None:
        """Take a row."""
        self._file.write(SIZE.pack(len(row)) + row)
        self._count += 1

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        for _ in range(self._count):
            (size,) = SIZE.unpack(self._file.read(SIZE.size))
            yield self._file.read(size)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == one for one in self)

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

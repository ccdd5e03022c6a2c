"""The one buffer through which captures are read."""

from __future__ import annotations

import numpy as np

from ingest.columns.byte_reads import Bytes
from ingest.files import Input

WINDOW_BYTES = 1 << 20


def _room(size: int) -> int:
    """Room for one large packet, and no more: it may be a hostile one."""
    return -(-int(size) // WINDOW_BYTES) * WINDOW_BYTES


class Window:
    """The bytes of an input that are at hand: data[start:stop]. `base` is the input's offset of data[0]."""

    def __init__(self) -> None:
        self.data: Bytes = np.zeros(WINDOW_BYTES, dtype=np.uint8)
        self._source: Input | None = None
        self.start = self.stop = self.base = 0

    def read_from(self, source: Input) -> None:
        """Begin with another input; a buffer that grew for a huge packet shrinks again."""
        if len(self.data) > WINDOW_BYTES:
            self.data = np.zeros(WINDOW_BYTES, dtype=np.uint8)
        self._source = source
        self.start = self.stop = self.base = 0

    def __len__(self) -> int:
        return self.stop - self.start

    def offset(self) -> int:
        """The input's offset of the next byte."""
        return self.base + self.start

    def more(self, need: int) -> bool:
        """Read on until at least `need` bytes are at hand; False when the input ends before.

        Raises: BrokenInput, when nothing more can be read.
        """
        assert self._source is not None
        rest = self.data[self.start : self.stop]
        data = self.data if need <= len(self.data) else np.zeros(_room(need), dtype=np.uint8)
        data[: len(rest)] = rest.copy() if data is self.data else rest
        self.base += self.start
        self.data, self.start, self.stop = data, 0, len(rest)
        self.stop += self._source.readinto(self.data.data[self.stop :])
        return self.stop >= need

    def skip(self, count: int) -> int:
        """Drop `count` bytes, at hand or still to be read; return how many there were."""
        left = count
        while left:
            step = min(left, len(self))
            self.start += step
            left -= step
            if left and not self.more(1):
                break
        return count - left

    def peek(self, count: int) -> bytes:
        """The next bytes, as far as they are at hand."""
        return self.data[self.start : min(self.start + count, self.stop)].tobytes()

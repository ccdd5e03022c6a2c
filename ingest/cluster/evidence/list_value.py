"""A list that is one JSON value, taken apart item by item: kubectl's, an apiserver's, an audit log's, Prometheus's.

Such a value can be of gigabytes. What stands around the items is kept, the items are handed on one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ingest.cluster.evidence.json_stream import BYTE_ORDER_MARK, CHUNK
from ingest.cluster.evidence.list_kernel import BROKEN, DEPTH, ENDED, LAST, STATE, cut_items
from ingest.files import Input
from whowas.errors import BrokenInput

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)
ITEMS, RESULT = (b'"items"',), (b'"data"', b'"result"')
# A list must begin within the first bytes of its value.
HEAD = 1 << 16
# No object of a cluster comes near the first; behind its items a list says no more than what it is.
ITEM_MOST, TAIL_MOST, TAIL_COSTS = 64 << 20, 1 << 20, 48
CUTS = 1 << 12


class Begun(NamedTuple):
    """Where a list begins: its line, its items (behind the bracket). path: of keys that lead there."""

    line: int
    at: int
    path: tuple[bytes, ...]


def begun(head: bytes) -> Begun | None:
    """Say where a list and its items begin, if a value is one by its first bytes."""
    start = len(head) - len(head.removeprefix(BYTE_ORDER_MARK).lstrip())
    if head[start : start + 1] != b"{":
        return None
    around: list[bytes] = []
    key = last = b""
    for found in TOKEN.finditer(head, start, HEAD):
        token = found.group()
        if token == b"[" and (*around[1:], key) in (ITEMS, RESULT):
            return Begun(head.rfind(b"\n", 0, start) + 1, found.end(), (*around[1:], key))
        if token in (b"{", b"["):
            # Within an array no path is one that is looked for.
            around.append(key if token == b"{" else token)
        elif token in (b"}", b"]"):
            around.pop()
        if not around:
            return None
        key = last if token == b":" else b"" if token in (b",", b"{") else key
        last = token
    return None


class ListValue:
    """One list. Read `items` to their end, then the rest is known.

    offset: of the value. fault: why it has no end, "" where it has one, and `fault_at` where. after: bytes behind the
    value that are read already, from `end` on. count: items so far.
    """

    def __init__(
        self, source: Input, data: bytes, offset: int, begun: Begun, tell: Callable[[], None] = lambda: None
    ) -> None:
        """Args: data: what was read of the source, from `offset` on. tell: called now and then while it is read."""
        self._tell = tell
        self.head, self.path = data[begun.line : begun.at].removeprefix(BYTE_ORDER_MARK), begun.path
        self.offset = self.fault_at = self.end = offset + begun.line
        self.fault, self.count, self.after = "", 0, b""
        self._source, self._deep = source, len(begun.path)
        self._tail = b""
        self._block, self._at = data[begun.at :], offset + begun.at
        self._state = np.zeros(STATE, dtype=np.int64)
        self._state[LAST] = ord("[")

    def items(self) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, bytes) of each item that is whole."""
        for at, item in self._pieces(ITEM_MOST):
            text = item.strip()
            if text or self.count or not self._ended:
                self.count += 1
                yield at + len(item) - len(item.lstrip()), text
        if self._gave_up():
            self.fault = f"the list was cut off: {self.fault}; {self.count:,} whole items of it were read"
            return
        self._state[:] = 0
        self._state[DEPTH], self._state[LAST] = self._deep - 1, ord("]")
        self._read_tail()
        if self._gave_up():
            self.fault = f"behind its {self.count:,} items the list was cut off: {self.fault}"

    def _read_tail(self) -> None:
        pieces, size = [], 0
        for at, piece in self._pieces(TAIL_MOST):
            pieces.append(piece)
            size += len(piece) + TAIL_COSTS
            if size > TAIL_MOST:
                self._give_up("what stands there is too long", at, len(self._block))
                return
        self._tail = b"]" + b",".join(pieces) + b"}"

    def topped_up(self) -> bytes:
        """Return so much of what is behind the value that it can be told whether another list begins there."""
        while len(self.after) < HEAD and self._read_on():
            self.after += self._block
        return self.after

    def around(self) -> bytes:
        """Return the value without its items; where its end is missing, what stood before them."""
        return self.head + (b"]" + b"}" * self._deep if self.fault else self._tail)

    def with_item(self, item: bytes) -> bytes:
        """Return a list of this one item, with what stood before it."""
        return self.head + item + b"]" + b"}" * self._deep

    def _pieces(self, most: int) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, bytes) between commas, up to the closing bracket. What has no end is a fault."""
        cuts = np.empty(CUTS, dtype=np.int64)
        held: list[bytes] = []
        size, self._ended = 0, False
        while True:
            data, place, first = np.frombuffer(self._block, dtype=np.uint8), 0, 0
            while place < len(data):
                place, count, verdict = cut_items(data, place, self._state, cuts)
                for number, cut in enumerate(cuts[:count].tolist()):
                    self._ended = verdict == ENDED and number == count - 1
                    piece = b"".join([*held, self._block[first:cut]])
                    yield self._at + first - size, piece
                    held, size, first = [], 0, cut + 1
                if verdict == ENDED:
                    return self._leave(place)
                if verdict == BROKEN:
                    yield from self._whole(self._at + first - size, [*held, self._block[first:place]])
                    return self._give_up("another value begins", self._at + place, place)
            held.append(self._block[first:])
            size += len(data) - first
            if size > most:
                at = self._at + len(data) - size
                return self._give_up("an item that does not end, or is too long", at, len(data))
            if not self._read_on():
                yield from self._whole(self._at - size, held)
                return self._give_up("the file ends", self._at, 0)

    def _whole(self, at: int, held: list[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield what stands before the place where a list breaks off, if it is an object that has ended."""
        if self._state[DEPTH] == 0 and self._state[LAST] == ord("}"):
            yield at, b"".join(held)

    def _gave_up(self) -> bool:
        return bool(self.fault)

    def _give_up(self, why: str, at: int, place: int) -> None:
        self.fault, self.fault_at = why, at
        self._leave(place)

    def _leave(self, place: int) -> None:
        """The value is over, or given up."""
        self._block, self._at = self._block[place:], self._at + place
        self.after, self.end = self._block, self._at

    def _read_on(self) -> bool:
        """Take the next block. What is wrong with the file is said at the next read of it."""
        self._at += len(self._block)
        self._tell()
        try:
            self._block = self._source.read(CHUNK)
        except BrokenInput:
            self._block = b""
        return bool(self._block)

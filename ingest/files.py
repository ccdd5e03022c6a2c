"""Files as they lie there: plain or compressed, recognised by their first bytes, or standard input.

Text in UTF-16 that begins with its mark is delivered as UTF-8: no reader has to know of it.

What could be decompressed before a stream breaks is always delivered first; the break is reported after
it. Of what is decompressed no more is held than is asked for (ingest/decompression.py).
"""

from __future__ import annotations

import glob
import os
import select
import sys
from collections.abc import Iterable
from typing import BinaryIO

from ingest.decompression import AT_ONCE, MAGICS, Unpacker, compression_of
from ingest.utf16 import MARKS, Utf16
from whowas.errors import BrokenInput, InputError

CHUNK = 1 << 18

BEGINNINGS = (*(magic for magic, _ in MAGICS), *MARKS)


class Input:
    """One input, read from front to back.

    `consumed` counts stored bytes, `offset` delivered ones (uncompressed, UTF-8); `size` is the
    stored size, 0 when unknown (standard input).
    """

    def __init__(self, path: str, raw: BinaryIO, size: int) -> None:
        self.path = path
        self.size = size
        self.consumed = 0
        self.offset = 0
        self._raw = raw
        self._head = self._fill(6)
        self.compression = compression_of(self._head)
        self._unpacker = Unpacker(self.compression) if self.compression else None
        self._as_it_is = not self.compression and not self._head.startswith(MARKS)
        # Expanded but not delivered: no more than one step of the unpacker gave.
        self._ready = memoryview(b"")
        self._unicode = Utf16()
        self._fault: str | None = None
        self._ended = False

    @property
    def is_utf16(self) -> bool:
        """Whether what was read by now was UTF-16, and is delivered as UTF-8."""
        return self._unicode.found

    def _now(self, limit: int) -> bytes:
        """Read what is there, at least a byte unless the input has ended. Raises: OSError."""
        read = getattr(self._raw, "read1", self._raw.read)
        return read(limit) or b""

    def _fill(self, count: int) -> bytes:
        """Read `count` bytes unless the input ends: pipes give less than asked for."""
        head = b""
        while any(magic.startswith(head[:count]) for magic in BEGINNINGS) and (more := self._now(count - len(head))):
            head += more
        self.consumed = len(head)
        return head

    def _stored(self) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        try:
            data = self._now(CHUNK)
        except OSError as error:
            self._fault = error.strerror or str(error)
            return b""
        self.consumed += len(data)
        return data

    def _advance(self, limit: int) -> None:
        """Make some bytes ready, or note that the input has ended or is damaged."""
        data = self._unpacker.take(limit) if self._unpacker is not None else b""
        if not data and not self._faulty():
            data = self._next_stored(limit)
        if data:
            self._ready = memoryview(self._unicode.take(data))
        elif self._ended or self._faulty():
            self._finish()

    def _next_stored(self, limit: int) -> bytes:
        """Read on; what can be expanded of it."""
        data = self._stored()
        self._ended = not data
        if self._unpacker is None:
            return data
        self._unpacker.feed(data)
        return self._unpacker.take(limit)

    def _faulty(self) -> bool:
        return self._unpacker is not None and self._unpacker.fault is not None

    def _finish(self) -> None:
        """Nothing more can be read: give what the text still holds back, and say why."""
        rest, cut = self._unicode.finish()
        self._ready = memoryview(rest)
        self._fault = self._fault or (self._unpacker.fault if self._unpacker is not None else None) or cut
        self._ended = True

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer`; less than asked for means that the input has ended.

        Raises: BrokenInput, at the call after the last readable byte was delivered.
        """
        if self._as_it_is:
            return self._plain(buffer)
        count = 0
        while count < len(buffer):
            if not self._ready:
                if self._ended:
                    break
                self._advance(len(buffer) - count)
            step = min(len(self._ready), len(buffer) - count)
            buffer[count : count + step] = self._ready[:step]
            self._ready = self._ready[step:]
            count += step
        if count == 0 and len(buffer) and self._fault is not None:
            raise BrokenInput(self.path, self.offset, self._fault)
        self.offset += count
        return count

    def _plain(self, buffer: memoryview) -> int:
        count = min(len(self._head), len(buffer))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        while count < len(buffer) and self._fault is None:
            try:
                more = self._raw.readinto(buffer[count:])  # type: ignore[attr-defined]
            except OSError as error:
                self._fault = error.strerror or str(error)
                break
            if not more:
                break
            count += more
            self.consumed += more
        if count == 0 and self._fault is not None:
            raise BrokenInput(self.path, self.offset, self._fault)
        self.offset += count
        return count

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes; fewer means that the input has ended. Raises: BrokenInput."""
        buffer = bytearray(count)
        got = self.readinto(memoryview(buffer))
        return bytes(buffer[:got])

    def some(self, limit: int) -> bytes:
        """Return what is there, without waiting for more: 1 to about `limit` bytes, none at the end.

        Of what comes in faster than it is read, as much as the limit allows. Raises: BrokenInput.
        """
        found = self._first()
        while 0 < len(found) < limit and self._waiting():
            try:
                more = self._first()
            except BrokenInput:
                # First what came before it; it comes again.
                break
            if not more:
                break
            found += more
        return found

    def _first(self) -> bytes:
        """Return some bytes, waiting for the first. Raises: BrokenInput."""
        if self._as_it_is:
            data = self._stored()
        else:
            while not self._ready and not self._ended:
                self._advance(AT_ONCE)
            data = bytes(self._ready[:AT_ONCE])
            self._ready = self._ready[AT_ONCE:]
        if not data and self._fault is not None:
            raise BrokenInput(self.path, self.offset, self._fault)
        self.offset += len(data)
        return data

    def _waiting(self) -> bool:
        """Say whether there is more to be read at once: of a file always, of a pipe what was written by now."""
        if self._ready:
            return True
        if self._ended or self._fault is not None:
            return False
        try:
            return bool(select.select([self._raw], [], [], 0)[0])
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Give the file back; standard input stays open."""
        if self.path != "-":
            self._raw.close()

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_input(path: str) -> Input:
    """Open a file, or standard input for `-`. Raises: InputError with the cause and what to do."""
    if path == "-":
        return Input("-", sys.stdin.buffer, 0)
    try:
        raw = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the Input
        return Input(path, raw, os.fstat(raw.fileno()).st_size)
    except FileNotFoundError as error:
        raise InputError(f"cannot read '{path}': no such file; check the path") from error
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}; check the path and its rights") from error


# What stands beside a store while it is written.
BESIDE = ("-wal", "-shm", ".lock")


def _inside(folder: str) -> list[str]:
    """Every visible file below a folder, in the order of their paths. Raises: InputError for one that is locked."""

    def refuse(error: OSError) -> None:
        raise InputError(f"cannot read '{error.filename}': {error.strerror}; check the path and its rights") from error

    found = []
    for top, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(top, name) for name in names if not name.startswith(".") and not name.endswith(BESIDE)]
    return sorted(found)


def find_inputs(words: Iterable[str]) -> list[str]:
    """Turn what a user typed (files, folders, globs, `-`) into input paths, each once, in order.

    Raises: InputError for a word that names nothing.
    """
    found: list[str] = []
    for word in words:
        if word == "-":
            paths = ["-"]
        elif os.path.isdir(word):
            paths = _inside(word)
        elif os.path.exists(word):
            paths = [word]
        else:
            paths = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
        if not paths:
            raise InputError(f"cannot read '{word}': no such file, folder or match; check the path")
        found += paths
    return list(dict.fromkeys(found))

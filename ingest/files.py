"""Files as they lie there: plain or compressed, recognised by their first bytes, or standard input.

Text in UTF-16 that begins with its mark is delivered as UTF-8: no reader has to know of it.

What could be decompressed before a stream breaks is always delivered first; the break is reported after
it. Decompressed output is bounded, whatever the compressed bytes claim.
"""

from __future__ import annotations

import glob
import os
import select
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from ingest.utf16 import MARKS, Utf16
from whowas.errors import BrokenInput, InputError

CHUNK = 1 << 18
# zstd turns 4 bytes into 128 KiB at worst: small bites keep a hostile stream's output bounded.
BITE = 1 << 12

MAGICS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"\xfd7zXZ\x00", "xz"))

BEGINNINGS = (*(magic for magic, _ in MAGICS), *MARKS)


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()


def _lz4() -> Any:
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(memlimit=1 << 28)


OPENERS: dict[str, Callable[[], Any]] = {"gzip": _gzip, "zstd": _zstd, "lz4": _lz4, "xz": _xz}


def _faults() -> tuple[type[Exception], ...]:
    """Every error by which a decompressor says that its input is damaged."""
    import lzma

    import zstandard

    return (zlib.error, lzma.LZMAError, zstandard.ZstdError, RuntimeError, EOFError)


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
        self.compression = next((name for magic, name in MAGICS if self._head.startswith(magic)), "")
        self._codec: Any = OPENERS[self.compression]() if self.compression else None
        self._as_it_is = not self.compression and not self._head.startswith(MARKS)
        self._ready = bytearray()
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
            raise BrokenInput(self.path, self.offset, error.strerror or str(error)) from error
        self.consumed += len(data)
        return data

    def _expand(self, data: bytes) -> None:
        """Decompress `data` into the ready buffer, following members that stand one behind another."""
        if self._codec is None:
            self._ready += self._unicode.take(data)
            return
        while data:
            if self._codec.eof:
                if not data.startswith(tuple(magic for magic, name in MAGICS if name == self.compression)):
                    if data.strip(b"\0"):
                        self._fault = f"{len(data)} bytes behind the {self.compression} stream are not part of it"
                    return
                self._codec = OPENERS[self.compression]()
            self._ready += self._unicode.take(self._codec.decompress(data))
            data = self._codec.unused_data if self._codec.eof else b""

    def _advance(self) -> None:
        """Make more bytes ready, or note that the input has ended or is damaged."""
        data = self._stored()
        if not data:
            self._ended = True
            if self._codec is not None and not self._codec.eof:
                self._fault = self._fault or f"the {self.compression} stream is cut short"
            rest, fault = self._unicode.finish()
            self._ready += rest
            self._fault = self._fault or fault
            return
        try:
            for start in range(0, len(data), BITE):
                self._expand(data[start : start + BITE])
        except _faults() as error:
            self._fault = f"the {self.compression} stream is damaged ({error})"

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer`; less than asked for means that the input has ended.

        Raises: BrokenInput, at the call after the last readable byte was delivered.
        """
        if self._as_it_is:
            return self._plain(buffer)
        while len(self._ready) < len(buffer) and not self._ended and self._fault is None:
            self._advance()
        count = min(len(self._ready), len(buffer))
        if count == 0 and len(buffer) and self._fault is not None:
            raise BrokenInput(self.path, self.offset, self._fault)
        buffer[:count] = self._ready[:count]
        del self._ready[:count]
        self.offset += count
        return count

    def _plain(self, buffer: memoryview) -> int:
        count = min(len(self._head), len(buffer))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        while count < len(buffer):
            try:
                more = self._raw.readinto(buffer[count:])  # type: ignore[attr-defined]
            except OSError as error:
                raise BrokenInput(self.path, self.offset + count, error.strerror or str(error)) from error
            if not more:
                break
            count += more
            self.consumed += more
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
            while not self._ready and not self._ended and self._fault is None:
                self._advance()
            if not self._ready and self._fault is not None:
                raise BrokenInput(self.path, self.offset, self._fault)
            data = bytes(self._ready)
            self._ready.clear()
        self.offset += len(data)
        return data

    def _waiting(self) -> bool:
        """Say whether there is more to be read at once: of a file always, of a pipe what was written by now."""
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

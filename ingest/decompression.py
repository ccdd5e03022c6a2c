"""Decompresses a stream through a window: what comes out at once is bounded, whatever the compressed bytes claim.

A few hundred kilobytes can hold gigabytes. So each codec is asked for some bytes at a time, and what is not asked for
stays compressed.
"""

from __future__ import annotations

import zlib
from typing import Any

MAGICS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"\xfd7zXZ\x00", "xz"))

# A codec that fails gives nothing of that call: small bites lose little of what came before the damage.
BITE = 1 << 12
# The zstd library takes no bound on its output: it is fed so many blocks at once, of 128 KiB each at most.
BLOCKS_AT_ONCE = 8
AT_ONCE = 1 << 20
# What `zstd --ultra -22` and `zstd --long` need; `xz -9` needs 65 MiB. Files that ask for more are refused.
WINDOW_MOST = 1 << 27


class _Plain:
    """Bites of one size, for codecs that take a bound."""

    def bite(self, data: bytes, at: int) -> bytes:
        return data[at : at + BITE]


class _ZstdBlocks:
    """Bites of a zstd frame that hold few blocks: 4 bytes can be a block that repeats one byte 131,072 times.

    Source: RFC 8878, 3.1.1 (frame header, block header).
    """

    def __init__(self) -> None:
        self._head = b""
        # Of a frame's header the first bytes tell how long it is.
        self._wanted = 5
        self._in_frame = self._checksum = False
        self._rest = 0

    def bite(self, data: bytes, at: int) -> bytes:
        """Return what can be fed of data[at:]."""
        end, place, blocks = min(len(data), at + BITE), at, 0
        while place < end and blocks < BLOCKS_AT_ONCE:
            if self._rest:
                step = min(self._rest, end - place)
                self._rest -= step
            else:
                step = min(self._wanted - len(self._head), end - place)
                self._head += data[place : place + step]
                if len(self._head) == self._wanted:
                    blocks += self._in_frame
                    self._take_head()
            place += step
        return data[at:place]

    def _take_head(self) -> None:
        if self._in_frame:
            header = int.from_bytes(self._head, "little")
            repeated, last = header >> 1 & 3 == 1, header & 1
            self._rest = (1 if repeated else header >> 3) + (4 if last and self._checksum else 0)
        else:
            flags = self._head[4]
            single = flags >> 5 & 1
            size = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
            self._checksum, self._in_frame, self._rest = bool(flags >> 2 & 1), True, size - 5
        self._head, self._wanted = b"", 3


class _Gzip:
    """zlib in the words of lzma.LZMADecompressor."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


class _Zstd:
    """zstandard in the words of lzma.LZMADecompressor, but for the bound, for which _ZstdBlocks stands."""

    def __init__(self) -> None:
        import zstandard

        self._inner = zstandard.ZstdDecompressor(max_window_size=WINDOW_MOST).decompressobj()

    def decompress(self, data: bytes, _max_length: int) -> bytes:
        out: bytes = self._inner.decompress(data) if data else b""
        return out

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)


def _codec(name: str) -> Any:
    if name == "gzip":
        return _Gzip()
    if name == "zstd":
        return _Zstd()
    if name == "lz4":
        import lz4.frame

        return lz4.frame.LZ4FrameDecompressor()
    import lzma

    return lzma.LZMADecompressor(memlimit=WINDOW_MOST)


def _faults() -> tuple[type[Exception], ...]:
    """Every error by which a decompressor says that its input is damaged."""
    import lzma

    import zstandard

    return (zlib.error, lzma.LZMAError, zstandard.ZstdError, RuntimeError, EOFError, MemoryError)


def compression_of(head: bytes) -> str:
    """Return how a stream is compressed by its first bytes; "" where it is not."""
    return next((name for magic, name in MAGICS if head.startswith(magic)), "")


class Unpacker:
    """One compressed stream, of one member or several. fault: what is wrong with it, in words, once it is found."""

    def __init__(self, name: str) -> None:
        """Args: name: one of MAGICS."""
        self.fault: str | None = None
        self._name = name
        self._magic = next(magic for magic, one in MAGICS if one == name)
        self._faults = _faults()
        self._data = b""
        self._at = 0
        self._more = self._last = False
        self._begin()

    def _begin(self) -> None:
        self._codec, self._more = _codec(self._name), False
        self._bites = _ZstdBlocks() if self._name == "zstd" else _Plain()

    def feed(self, data: bytes) -> None:
        """Take what follows of the stream, when `take` gives nothing; no bytes at its end."""
        self._data = self._data[self._at :] + data
        self._at = 0
        self._last = not data
        if self._last and not self._codec.eof and self.fault is None:
            self.fault = f"the {self._name} stream is cut short"

    def take(self, limit: int = AT_ONCE) -> bytes:
        """Return what comes next, about `limit` bytes at most; nothing where more must be fed, or at a fault."""
        limit = min(limit, AT_ONCE)
        parts: list[bytes] = []
        left = limit
        while left > 0 and self._goes_on():
            parts.append(self._step(left))
            left -= len(parts[-1])
        return b"".join(parts)

    def _goes_on(self) -> bool:
        """Say whether another step may give something."""
        if self.fault is not None or (self._codec.eof and not self._next_member()):
            return False
        return self._more or self._at < len(self._data)

    def _step(self, limit: int) -> bytes:
        """Return what one bite gives, or what the codec holds back still."""
        bite = b"" if self._more else self._bites.bite(self._data, self._at)
        self._at += len(bite)
        codec = self._codec
        try:
            out: bytes = codec.decompress(bite, limit)
        except self._faults as error:
            self.fault = f"the {self._name} stream is damaged ({error})"
            return b""
        if codec.eof:
            self._at -= len(codec.unused_data or b"")
        # With its output full a codec may hold more, though it has taken all of its input.
        self._more = not codec.eof and len(out) == limit
        return out

    def _next_member(self) -> bool:
        """Begin with the member behind one that has ended. Returns: whether there is one, as far as is known."""
        rest = self._data[self._at : self._at + len(self._magic)]
        if rest == self._magic:
            self._begin()
            return True
        if self._magic.startswith(rest) and not self._last:
            return False
        if len(self._data) > self._at:
            over = self._data[self._at :]
            if over.strip(b"\0"):
                self.fault = f"{len(over)} bytes behind the {self._name} stream are not part of it"
            # Zeros that fill up a tape's block.
            self._at = len(self._data)
        return False

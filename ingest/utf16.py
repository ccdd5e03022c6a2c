"""Text in UTF-16 with its mark, as PowerShell 5 and Windows tools write it, turned into UTF-8 piece by piece.

Source: Unicode 15, chapter 23.8 (byte order mark).
"""

from __future__ import annotations

import codecs

MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# UTF-32 begins with the same two bytes; it is left as it is.
LOOKED_AT = 4


class Utf16:
    """Passes bytes on as they are, unless the first ones are the mark of UTF-16."""

    def __init__(self) -> None:
        self._begin: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def found(self) -> bool:
        """Whether the mark was there."""
        return self._decoder is not None

    def take(self, data: bytes) -> bytes:
        """Return what of the data can be passed on by now. Lone surrogates become U+FFFD."""
        if self._begin is not None:
            data = self._begin + data
            if len(data) < LOOKED_AT and _may_be(data):
                self._begin = data
                return b""
            self._decide(data)
        return data if self._decoder is None else self._decoder.decode(data).encode()

    def _decide(self, data: bytes) -> None:
        self._begin = None
        if data.startswith(MARKS) and not data.startswith(codecs.BOM_UTF32_LE):
            self._decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")

    def finish(self) -> tuple[bytes, str | None]:
        """Return what is left at the end, and what is wrong with it."""
        if self._begin is not None:
            begin = self._begin
            self._decide(begin)
            first = self.take(begin)
            rest, fault = self.finish()
            return first + rest, fault
        if self._decoder is None:
            return b"", None
        cut = bool(self._decoder.getstate()[0])
        return b"", "the UTF-16 text is cut in the middle of a character" if cut else None


def _may_be(data: bytes) -> bool:
    return any(mark.startswith(data[:2]) for mark in MARKS)

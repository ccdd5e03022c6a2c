"""Splits a file of JSON values: one a line, or pretty-printed one behind another, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.files import Input
from whowas.errors import BrokenInput

CHUNK = 1 << 20
# Tools on Windows begin a UTF-8 file with it.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A list of 100,000 pods is one value of some hundred megabytes; beyond this somebody is playing games.
VALUE_MOST = 2 << 30


def lines(source: Input) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line without its end). Raises: BrokenInput, after the last whole line was given."""
    left, offset = b"", 0
    broken: BrokenInput | None = None
    while broken is None:
        try:
            chunk = source.read(CHUNK)
        except BrokenInput as error:
            broken = error
            break
        if not chunk:
            break
        parts = (left + chunk).split(b"\n") if left else chunk.split(b"\n")
        left = parts.pop()
        for line in parts:
            yield offset, line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
            offset += len(line) + 1
        if len(left) > VALUE_MOST:
            raise BrokenInput(source.path, offset, "a line of more than 2 GiB")
    if left and broken is None:
        yield offset, left.removeprefix(BYTE_ORDER_MARK) if offset == 0 else left
    if broken is not None:
        raise broken


def values(source: Input) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes of one JSON value).

    A line that opens and closes is a value. Else lines are gathered until one closes at the same depth:
    kubectl indents, so the last line of a value is a lone brace in the first column, and JSON text holds no
    raw line break. What does not end is given as it is, for the parser to refuse.
    """
    gathered: list[bytes] = []
    start = size = 0
    for offset, line in lines(source):
        if not gathered:
            text = line.strip()
            if not text:
                continue
            if text[:1] != b"{" or (len(text) > 1 and text[-1:] == b"}"):
                yield offset, text
                continue
            start = offset
        elif line[:1] == b"{" and line.rstrip() != b"{}":
            # A new value begins though the last one did not end: it was cut in its middle.
            yield start, b"\n".join(gathered)
            gathered, start, size = [], offset, 0
            if line.rstrip()[-1:] == b"}" and len(line.rstrip()) > 1:
                yield offset, line.strip()
                continue
        gathered.append(line)
        size += len(line) + 1
        if line.rstrip() == b"}" and line[:1] == b"}":
            yield start, b"\n".join(gathered)
            gathered, size = [], 0
        elif size > VALUE_MOST:
            raise BrokenInput(source.path, start, "a JSON value of more than 2 GiB")
    if gathered:
        yield start, b"\n".join(gathered)

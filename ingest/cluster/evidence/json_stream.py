"""Splits a file of JSON values: one a line, or pretty-printed one behind another, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from ingest.cluster.evidence.lines import is_plain
from ingest.files import Input
from ingest.wrappings import Chain, chains
from whowas.errors import BrokenInput

CHUNK = 1 << 20
# Tools on Windows begin a UTF-8 file with it.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# No object of a cluster comes near this: etcd takes 1.5 MiB.
VALUE_MOST = 64 << 20
# But a list of 100,000 pods is one value of some hundred megabytes. A file that begins with lists is read item by item
# (list_value.py); a list behind other lines is held as a whole. Compressed it has a fortieth of that at least.
LIST = re.compile(rb'"(?:items|resultType)"\s*:')
LIST_MOST = 256 << 20
LIST_EXPANDS_TO = 64
BEGINS = 1 << 12
LINE_COSTS = 48
YAML_FIRST = re.compile(rb"(?:- )?(?:apiVersion|kind|items|metadata):(?:\s|$)")
# So much is looked at to tell what wraps the lines of a file.
LINES_LOOKED_AT, BYTES_LOOKED_AT = 16, 1 << 18


def is_too_long(size: int, begins: bytes, source: Input | None) -> bool:
    """Say whether a value of so many bytes can be none of a cluster. begins: its first bytes."""
    if size <= VALUE_MOST or source is None or LIST.search(begins[:BEGINS]) is None:
        return size > VALUE_MOST
    return size > min(LIST_MOST, source.consumed * (LIST_EXPANDS_TO if source.compression else 1))


class _Cutter:
    """Cuts chunks into lines. A line that is too long is passed over; `broken` tells of the first one."""

    def __init__(self, source: Input, offset: int) -> None:
        self.broken: BrokenInput | None = None
        self._source = source
        self._left: list[bytes] = []
        self._begins = b""
        self._size, self._offset = 0, offset
        self._passing = False

    def take(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that end in a chunk, with their offsets."""
        if not self._size and not chunk.strip(b"\n"):
            self._offset += len(chunk)
            return
        first, *others = chunk.split(b"\n")
        self._add(first)
        for part in others:
            yield from self.end()
            self._offset += self._size + 1
            self._left, self._begins, self._size, self._passing = [part], part[:BEGINS], len(part), False

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._passing:
            return
        self._left.append(part)
        if len(self._begins) < BEGINS:
            self._begins += part[:BEGINS]
        if is_too_long(self._size, self._begins, self._source):
            why = "a line that does not end, or is too long to be evidence"
            self.broken = self.broken or BrokenInput(self._source.path, self._offset, why)
            self._left, self._passing = [], True

    def end(self) -> Iterator[tuple[int, bytes]]:
        """Yield the line at hand."""
        if not self._passing:
            line = b"".join(self._left)
            yield self._offset, line.removeprefix(BYTE_ORDER_MARK) if self._offset == 0 else line

    @property
    def waits(self) -> bool:
        """Whether bytes are at hand that no line end follows."""
        return self._size > 0


def lines(source: Input, begins: bytes = b"", offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line without its end), but for lines that are too long.

    Args: begins: what was read already, from `offset` on.
    Raises: BrokenInput, after the last whole line was given, of the first place that could not be read.
    """
    cutter = _Cutter(source, offset)
    if begins:
        yield from cutter.take(begins)
    while True:
        try:
            chunk = source.read(CHUNK)
        except BrokenInput as broken:
            raise cutter.broken or broken from None
        if not chunk:
            break
        yield from cutter.take(chunk)
    if cutter.waits:
        yield from cutter.end()
    if cutter.broken is not None:
        raise cutter.broken


class Unwrapped:
    """Lines without what wraps them, told by the first ones. chain: the wrappings, None where there are none."""

    def __init__(self, told: Iterator[tuple[int, bytes]]) -> None:
        """Raises: BrokenInput."""
        ahead: list[tuple[int, bytes]] = []
        self._broken: BrokenInput | None = None
        try:
            while len(ahead) < LINES_LOOKED_AT and sum(len(line) for _, line in ahead) < BYTES_LOOKED_AT:
                ahead.append(next(told))
        except StopIteration:
            pass
        except BrokenInput as broken:
            self._broken = broken
        self._ahead = [line for _, line in ahead]
        self._lines = chain(ahead, told)
        self.chain = _wrapping([line for line in self._ahead if len(line) < BYTES_LOOKED_AT])

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield (offset of the outer line, inner line). Raises: BrokenInput, after the last line."""
        yield from self._lines if self.chain is None else self._opened(self.chain)
        if self._broken is not None:
            raise self._broken

    def is_yaml(self) -> bool:
        """Say whether the lines are an object of Kubernetes in YAML: nothing of it could be read."""
        told = [line for line in self._ahead if line.strip() and not line.startswith((b"#", b"%", b"---"))]
        return bool(told) and YAML_FIRST.match(told[0]) is not None

    def _opened(self, wrapping: Chain) -> Iterator[tuple[int, bytes]]:
        joiner = wrapping.joiner()
        group: list[bytes] = []
        start = size = 0
        for offset, line in self._lines:
            start = start if group else offset
            group.append(line)
            # An object of its own takes more than the bytes of a short line.
            size += len(line) + LINE_COSTS
            if joiner is None or joiner.ends(line) or size > VALUE_MOST:
                yield from _inner(wrapping, group, start)
                group, size = [], 0
        yield from _inner(wrapping, group, start)


def _inner(wrapping: Chain, group: list[bytes], offset: int) -> Iterator[tuple[int, bytes]]:
    found = wrapping.opened(b"\n".join(group)) if group else []
    for text in group if found is None else found:
        for line in text.split(b"\n"):
            yield offset, line


def _wrapping(sample: list[bytes]) -> Chain | None:
    """What wraps the lines: as deep as JSON begins inside and is not of the cluster, or what cuts lines in any case."""
    best = None
    if _mostly_plain(sample):
        return None
    for found, inner in chains(sample):
        if any(one.lstrip()[:1] == b"{" for one in inner) or (best is None and found.joiner() is not None):
            best = found
        if _mostly_plain(inner):
            break
    return best


def _mostly_plain(sample: list[bytes]) -> bool:
    there = [one for one in sample if one.strip()]
    return 2 * sum(map(is_plain, there)) > len(there)


def values(told: Iterable[tuple[int, bytes]], path: str, source: Input | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes of one JSON value) of lines with their offsets.

    A line that opens and closes is a value. Else lines are gathered until one closes at the same depth:
    kubectl indents, so the last line of a value is a lone brace in the first column, and JSON text holds no
    raw line break. What does not end is given as it is, for the parser to refuse.
    Args: source: whose lines they are, where they come from a file. Raises: BrokenInput for a value that is too long.
    """
    gathered = bytearray()
    start = 0
    for offset, line in told:
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
            yield start, bytes(gathered)
            gathered, start = bytearray(), offset
            if line.rstrip()[-1:] == b"}" and len(line.rstrip()) > 1:
                yield offset, line.strip()
                continue
        gathered += b"\n" + line if gathered else line
        if line.rstrip() == b"}" and line[:1] == b"}":
            yield start, bytes(gathered)
            gathered = bytearray()
        elif is_too_long(len(gathered), bytes(gathered[:BEGINS]), source):
            raise BrokenInput(path, start, "a JSON value that does not end, or is too long to be evidence")
    if gathered:
        yield start, bytes(gathered)

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
# A list of 100,000 pods is one value of some hundred megabytes; beyond this somebody is playing games.
VALUE_MOST = 2 << 30
YAML_FIRST = re.compile(rb"(?:- )?(?:apiVersion|kind|items|metadata):(?:\s|$)")
# So much is looked at to tell what wraps the lines of a file.
LINES_LOOKED_AT, BYTES_LOOKED_AT = 16, 1 << 18


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
        start = 0
        for offset, line in self._lines:
            start = start if group else offset
            group.append(line)
            if joiner is None or joiner.ends(line):
                yield from _inner(wrapping, group, start)
                group = []
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


def values(told: Iterable[tuple[int, bytes]], path: str) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes of one JSON value) of lines with their offsets.

    A line that opens and closes is a value. Else lines are gathered until one closes at the same depth:
    kubectl indents, so the last line of a value is a lone brace in the first column, and JSON text holds no
    raw line break. What does not end is given as it is, for the parser to refuse.
    """
    gathered: list[bytes] = []
    start = size = 0
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
            raise BrokenInput(path, start, "a JSON value of more than 2 GiB")
    if gathered:
        yield start, b"\n".join(gathered)

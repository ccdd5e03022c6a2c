"""Reads lines of text: what each is, its addresses, and its time."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from whowas.annotation.addresses import LIST_MOST, listed, packed
from whowas.annotation.annotator import Choice
from whowas.annotation.text.found_addresses import Finder, Found
from whowas.annotation.text.key_values import FORTINET, NO_ADDRESS, TIMES, KeyValues, key_values
from whowas.annotation.text.line_times import LineTimes
from whowas.annotation.text.names import as_keys

NO_KIND = "not of the format that was told"
THERE = "names stand there already"
# From the first byte that is no blank to the end of the line.
FILLED, RETURN = re.compile(rb"\S[^\n]*"), ord("\r")


@dataclass
class Line:
    """A line with something in it. at: where it begins in its block; keys_at: where its keys begin in it.

    end: its line end, and the blank lines behind it.

    fields: addresses by key, "" for those of the whole line, or of longer texts in it.

    places: where they stand in it, of free text. times: start and end, or a moment and UNSET.
    """

    body: bytes
    end: bytes
    at: int
    kind: str = "text"
    fields: list[tuple[str, list[str]]] = field(default_factory=list)
    places: list[Found] = field(default_factory=list)
    times: tuple[Any, Any] = (UNSET, UNSET)
    delimiter: bytes = b" "
    refused: str = ""
    left: int = 0
    keys_at: int = 0

    def addresses(self) -> list[str]:
        """Return all of them, field by field."""
        return [one for _, members in self.fields for one in members]


def _taken_apart(block: bytes) -> list[Line]:
    """Lines with something in them; a million blank ones cost nothing each."""
    spots = [found.span() for found in FILLED.finditer(block)]
    begins = [*(block.rfind(b"\n", 0, start) + 1 for start, _ in spots), len(block)]
    ends = [end - (block[end - 1] == RETURN) for _, end in spots]
    return [
        Line(block[at:end], block[end:following], at)
        for at, end, following in zip(begins, ends, begins[1:], strict=False)
    ]


class LineReader:
    """Takes blocks of text apart into lines. kind: what all of them must be; "" = each by what it holds."""

    def __init__(self, choice: Choice, times: LineTimes, kind: str) -> None:
        self._choice, self._times, self._kind = choice, times, kind
        self._finder = Finder()

    def lines(self, block: bytes) -> tuple[bytes, list[Line]]:
        """Take a block apart, and read each line. Returns: blank lines before the first, the lines."""
        lines = _taken_apart(block)
        for line in lines:
            self._read_keys(line)
        self._find(block, [line for line in lines if not line.refused])
        return block[: lines[0].at] if lines else block, lines

    def _read_keys(self, line: Line) -> None:
        """Read a line of keys and values, if it is one."""
        found = key_values(line.body) if self._kind != "text" else None
        if found is None or (self._kind and found.kind != self._kind):
            if self._kind not in ("", "text"):
                line.refused = NO_KIND
            return
        line.kind, line.delimiter, line.keys_at = found.kind, found.delimiter, found.at
        wanted = self._choice.addresses
        for key, value in found.pairs:
            if not (b"." in value or b":" in value):
                continue
            if (key in wanted) if wanted else not NO_ADDRESS.search(key):
                self._add_field(line, key, value.decode(errors="replace"))
        there = {one.key for one in found.pairs}
        if any(self._own_key(line.kind, key) in there for key, _ in line.fields):
            line.refused, line.fields = THERE, []
        line.times = self._times_of(found, line.body)

    def _own_key(self, kind: str, key: str) -> str:
        made = as_keys(kind, b"\t", key, self._choice.suffix, [("", "")])
        return made[1:].partition(b"=")[0].decode(errors="replace")

    def _add_field(self, line: Line, key: str, value: str) -> None:
        members = [value] if packed(value) is not None else [one for one in listed(value) if packed(one) is not None]
        if members and all(key != one for one, _ in line.fields):
            line.fields.append((key, members))

    def _times_of(self, found: KeyValues, body: bytes) -> tuple[Any, Any]:
        choice = self._choice
        if choice.time:
            told = found.values((choice.time,))
            return (self._times.read(told[0]), UNSET) if told else (UNSET, UNSET)
        if found.kind == "logfmt" and (date := found.values(FORTINET[:2])):
            zone = found.values(FORTINET[2:]) or [b""]
            if not found.values(("eventtime",)):
                return self._times.read(b"T".join(date) + zone[0]), UNSET
        for keys in TIMES[found.kind]:
            if told := found.values(keys):
                read = [self._times.read(one) for one in told]
                return read[0], read[1] if len(read) > 1 else UNSET
        own = self._times.of(body)
        return (UNSET if own is None else own), UNSET

    def _find(self, block: bytes, lines: list[Line]) -> None:
        """Find addresses of free text in a whole block at once, and give each line its own."""
        if not lines or self._choice.addresses:
            return
        ends = [line.at + len(line.body) for line in lines]
        row = 0
        for found in self._finder.find(block):
            # Lines of other kinds lie between.
            row = bisect_right(ends, found.start, row)
            if row == len(ends):
                break
            if found.start >= lines[row].at + lines[row].keys_at:
                lines[row].places.append(found)
        for line in lines:
            if not line.places:
                continue
            several = list(dict.fromkeys([one.text for one in line.places]))
            if line.fields:
                told = set(map(packed, line.addresses()))
                several = [one for one in several if packed(one) not in told]
            line.left = max(0, len(several) - LIST_MOST)
            if several:
                line.fields.append(("", several[:LIST_MOST]))
            if line.kind == "text":
                own = None if self._choice.time else self._times.of(line.body)
                line.times = (UNSET if own is None else own), UNSET

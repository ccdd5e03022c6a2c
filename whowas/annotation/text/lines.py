"""Free text line by line: addresses and time are found, names are put behind; every byte that was there stays."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec import UNSET

from whowas.annotation.addresses import LIST_MOST, listed, packed
from whowas.annotation.annotator import USUAL, Annotator, Choice, Texts
from whowas.annotation.delimited import told
from whowas.annotation.known_logs import Span
from whowas.annotation.text.found_addresses import Finder, Found
from whowas.annotation.text.key_values import FORTINET, NO_ADDRESS, TIMES, KeyValues, key_values
from whowas.annotation.text.line_times import LineTimes, Years
from whowas.annotation.text.names import (
    Short,
    as_keys,
    behind,
    behind_json,
    entry,
    inserted,
    short,
    without_names,
    writer,
)  # fmt: skip
from whowas.annotation.when import When
from whowas.errors import ConfigError
from whowas.safe_text import clean

# A longer line is handed through as it is.
LONGEST = 1 << 20
KINDS = ("text", "cef", "leef", "logfmt")
STYLES = ("short", "json", "inline")
NO_KIND = "not of the format that was told"
THERE = "names stand there already"
SPANS = (Span("start", "end"), Span("start"))


@dataclass
class Line:
    """A line. at: where it begins in its block. fields: addresses by key, "" for those of the whole line.

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

    def addresses(self) -> list[str]:
        """Return all of them, field by field."""
        return [one for _, members in self.fields for one in members]


class Text:
    """Takes bytes as they come, gives back whole lines with names.

    Args: names: one of STYLES. kind: one of KINDS that all lines must be of; "" = each by what it holds.
    """

    longest = LONGEST

    def __init__(
        self, beside: Annotator, choice: Choice, say: Callable[[str], None], years: Years, *, names: str = "",
        kind: str = "", pattern: str = "", kinds: Counter[str] | None = None,
    ) -> None:  # fmt: skip
        self._beside, self._choice, self._say = beside, choice, say
        self._style = names or ("short" if choice.columns == USUAL else "json")
        if self._style != "json" and choice.columns != USUAL and kind in ("", "text"):
            raise ConfigError(
                f"cannot add --columns with --names {self._style}: it has no room for them; say --names json"
            )
        self._kind, self._years = kind, years
        self._times, self._finder = LineTimes(years, pattern), Finder()
        self._key = choice.suffix.strip("_") or "whowas"
        self._kinds = kinds if kinds is not None else Counter()
        self._texts = Texts(writer(self._style, choice.columns))
        self._shorts: Texts[Short] = Texts(short)
        self._cells = Texts(lambda answer: [told(answer, name) for name in choice.columns])
        self._said = False

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole lines, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(b"\n") + 1
        lines = list(self._lines(data[:cut]))
        out: dict[int, bytes] = {}
        if self._has_lines(lines):
            out = self._named(lines)
        done = [out.get(row, line.body) + line.end for row, line in enumerate(lines)]
        self._say_year()
        return b"".join(done), cut

    def _has_lines(self, lines: list[Line]) -> bool:
        asked = [line for line in lines if line.body and not line.body.isspace()]
        self._beside.tally.lines += len(asked)
        self._kinds.update(line.kind for line in asked if not line.refused)
        return bool(asked)

    def _lines(self, block: bytes) -> list[Line]:
        """Take a block apart, and read each line."""
        lines, at = [], 0
        parts = block.split(b"\n")
        for number, part in enumerate(parts):
            if number == len(parts) - 1 and not part:
                break
            body = part[:-1] if part.endswith(b"\r") else part
            end = part[len(body) :] + (b"\n" if number < len(parts) - 1 else b"")
            lines.append(Line(body, end, at))
            at += len(part) + 1
        for line in lines:
            self._read_keys(line)
        self._find(block, [line for line in lines if line.kind in ("text", "logfmt") and not line.refused])
        return lines

    def _read_keys(self, line: Line) -> None:
        """Read a line of keys and values, if it is one."""
        found = key_values(line.body) if self._kind != "text" else None
        if found is None or (self._kind and found.kind != self._kind):
            if self._kind not in ("", "text") and line.body.strip():
                line.refused = NO_KIND
            return
        line.kind, line.delimiter = found.kind, found.delimiter
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
        row = 0
        for found in self._finder.find(block):
            while row < len(lines) and found.start >= lines[row].at + len(lines[row].body):
                row += 1
            if row == len(lines):
                break
            if found.start >= lines[row].at:
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

    def _named(self, lines: list[Line]) -> dict[int, bytes]:
        """Ask for all addresses of some lines. Returns: the lines that are no more as they were."""
        tally = self._beside.tally
        asked = [row for row, line in enumerate(lines) if line.body and not line.body.isspace() and not line.refused]
        for line in lines:
            if line.refused:
                tally.refuse(line.refused)
        tally.unread_addresses += sum(lines[row].left for row in asked)
        members = [lines[row].addresses() for row in asked]
        addresses = list(itertools.chain.from_iterable(members))
        counts = list(map(len, members))
        records = np.repeat(np.arange(len(asked), dtype=np.int64), counts)
        answers, own = self._beside.name_each(addresses, records, self._when([lines[row] for row in asked]))
        out: dict[int, bytes] = {}
        places = own.tolist()
        at = 0
        keyed = any(line.kind != "text" for line in lines)
        texts = [] if answers is None else self._texts.of(answers)
        shorts = [] if answers is None or not keyed else self._shorts.of(answers)
        cells = [] if answers is None or not keyed else self._cells.of(answers)
        for row, own_addresses in zip(asked, members, strict=True):
            line = lines[row]
            mine, at = places[at : at + len(own_addresses)], at + len(own_addresses)
            if mine and mine[0] >= 0:
                out[row] = (
                    self._written(line, own_addresses, [texts[one] for one in mine])
                    if line.kind == "text"
                    else line.body + self._keys(line, mine, shorts, cells)
                )
            elif lines[row].kind == "text":
                out[row] = self._marked(lines[row].body)
        for row, line in enumerate(lines):
            if row not in out and line.kind == "text" and line.body:
                out[row] = self._marked(line.body)
        return out

    def _marked(self, body: bytes) -> bytes:
        """A line that got no name but ends as if it had gets an empty one: the last one is always ours."""
        return body if without_names(body, self._key) == body else body + behind(self._key, [])

    def _when(self, lines: list[Line]) -> When:
        if self._choice.at_us is not None:
            return When.always(len(lines), self._choice.at_us)
        columns = {"start": [line.times[0] for line in lines], "end": [line.times[1] for line in lines]}
        return self._beside.when(SPANS, columns.__getitem__, len(lines))

    def _written(self, line: Line, addresses: list[str], texts: list[bytes]) -> bytes:
        entries = list(zip(addresses, texts, strict=True))
        if self._style == "inline" and without_names(line.body, self._key) == line.body:
            names = dict(entries)
            spots = [(one.end - line.at, names[one.text]) for one in line.places if one.text in names]
            return inserted(self._key, line.body, spots)
        return line.body + (behind_json if self._style == "json" else behind)(self._key, entries)

    def _keys(self, line: Line, places: list[int], shorts: list[Short], cells: list[list[str]]) -> bytes:
        at, out = 0, b""
        for key, members in line.fields:
            mine, at = places[at : at + len(members)], at + len(members)
            if not key:
                out += behind(self._key, [(one, entry(shorts[row])) for one, row in zip(members, mine, strict=True)])
                continue
            if self._choice.columns == USUAL:
                rows = [list(shorts[one]) for one in mine]
                names: tuple[str, ...] = ("", "confidence", "reason")
            else:
                rows = [[clean(cell.encode("latin-1").decode(errors="replace")) for cell in cells[one]] for one in mine]
                names = self._choice.columns
            columns = [(name, ",".join(column)) for name, column in zip(names, zip(*rows, strict=True), strict=True)]
            filled = [(name, value) for name, value in columns if value.strip(",")]
            out += as_keys(line.kind, line.delimiter, key, self._choice.suffix, filled)
        return out

    def _say_year(self) -> None:
        if self._years.used is not None and not self._said:
            self._said = True
            self._say(f"times have no year: the first is taken for {self._years.used} (--year says otherwise)")

"""Free text line by line: addresses and time are found, names are put behind; every byte that was there stays."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np

from whowas.annotation.annotator import USUAL, Annotator, Choice, Texts
from whowas.annotation.delimited import told
from whowas.annotation.known_logs import Span
from whowas.annotation.namer import Answers
from whowas.annotation.text.line_reader import Line, LineReader
from whowas.annotation.text.line_times import LineTimes, Years
from whowas.annotation.text.names import (
    Short,
    as_key_for_all,
    as_keys,
    behind,
    behind_json,
    entry,
    inserted,
    short,
    without_names,
    writer,
)
from whowas.annotation.when import When
from whowas.errors import ConfigError
from whowas.safe_text import clean

# A longer line is handed through as it is.
LONGEST = 1 << 20
KINDS = ("text", "cef", "leef", "logfmt")
STYLES = ("short", "json", "inline")
SPANS = (Span("start", "end"), Span("start"))


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
        self._years = years
        self._reader = LineReader(choice, LineTimes(years, pattern), kind)
        self._key = choice.suffix.strip("_") or "whowas"
        self._kinds = kinds if kinds is not None else Counter()
        self._texts = Texts(writer(self._style, choice.columns))
        self._shorts: Texts[Short] = Texts(short)
        self._cells = Texts(lambda answer: [told(answer, name) for name in choice.columns])
        self._said = False

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole lines, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(b"\n") + 1
        blanks, lines = self._reader.lines(data[:cut])
        self._beside.tally.lines += len(lines)
        self._kinds.update(line.kind for line in lines if not line.refused)
        out = self._named(lines) if lines else {}
        done = [out.get(row, line.body) + line.end for row, line in enumerate(lines)]
        self._say_year()
        return blanks + b"".join(done), cut

    def _named(self, lines: list[Line]) -> dict[int, bytes]:
        """Ask for all addresses of some lines. Returns: the lines that are no more as they were."""
        tally = self._beside.tally
        for line in lines:
            if line.refused:
                tally.refuse(line.refused)
        asked = [row for row, line in enumerate(lines) if not line.refused]
        tally.unread_addresses += sum(lines[row].left for row in asked)
        members = [lines[row].addresses() for row in asked]
        records = np.repeat(np.arange(len(asked), dtype=np.int64), list(map(len, members)))
        addresses = list(itertools.chain.from_iterable(members))
        answers, own = self._beside.name_each(addresses, records, self._when([lines[row] for row in asked]))
        out: dict[int, bytes] = {}
        if answers is not None:
            out = self._written([(row, lines[row]) for row in asked], members, own.tolist(), answers)
        left = ((row, line) for row, line in enumerate(lines) if line.kind == "text" and row not in out)
        return out | {row: self._marked(line.body) for row, line in left}

    def _written(
        self, lines: list[tuple[int, Line]], members: list[list[str]], places: list[int], answers: Answers
    ) -> dict[int, bytes]:
        """Put its answers into each line that has any. places: in the answers' keys, of all members in their order."""
        keyed = any(line.kind != "text" for _, line in lines)
        texts = self._texts.of(answers)
        shorts = self._shorts.of(answers) if keyed else []
        cells = self._cells.of(answers) if keyed else []
        out, at = {}, 0
        for (row, line), addresses in zip(lines, members, strict=True):
            mine, at = places[at : at + len(addresses)], at + len(addresses)
            if mine and mine[0] >= 0:
                out[row] = (
                    self._text(line, addresses, [texts[one] for one in mine])
                    if line.kind == "text"
                    else line.body + self._keys(line, mine, shorts, cells)
                )
        return out

    def _marked(self, body: bytes) -> bytes:
        """A line that got no name but ends as if it had gets an empty one: the last one is always ours."""
        if self._key.encode() not in body or without_names(body, self._key) == body:
            return body
        return body + behind(self._key, [])

    def _when(self, lines: list[Line]) -> When:
        if self._choice.at_us is not None:
            return When.always(len(lines), self._choice.at_us)
        columns = {"start": [line.times[0] for line in lines], "end": [line.times[1] for line in lines]}
        return self._beside.when(SPANS, columns.__getitem__, len(lines))

    def _text(self, line: Line, addresses: list[str], texts: list[bytes]) -> bytes:
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
                entries = [(one, entry(shorts[row])) for one, row in zip(members, mine, strict=True)]
                out += as_key_for_all(line.kind, line.delimiter, self._key, entries)
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
        if self._said or (self._years.used is None and self._years.likely is None):
            return
        self._said = True
        if self._years.used is None:
            self._say(f"times have no year, so they name nobody; say --year, which may be {self._years.likely}")
        else:
            self._say(f"times have no year: the first is taken for {self._years.used}, as --year says")

"""CSV, TSV and Zeek's own: names go in as further columns; quoting, line ends and all that was there stay.

Text is taken byte for byte (Latin-1 here, whatever it really is), so that nothing can be lost on the way.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from whowas.annotation.annotator import Annotator, Choice, Named, Texts
from whowas.annotation.known_logs import Span, kind_of_columns
from whowas.annotation.when import Get, When
from whowas.errors import ConfigError
from whowas.safe_text import harmless

# A record that goes on for longer, because a quote was never closed, is handed through as it is.
LONGEST = 1 << 20
BOM = "\xef\xbb\xbf"
DELIMITERS = (",", "\t", ";", "|", " ")
Say = Callable[[str], None]


def told(answer: dict[str, Any], name: str) -> str:
    """Return one column of an answer as text; what has parts as JSON."""
    value = answer[name]
    if not value:
        return ""
    if name == "labels":
        value = dict(value)
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return text.encode(errors="replace").decode("latin-1")


def named_columns(field: str, choice: Choice) -> list[str]:
    """Return the names of the columns that are added for a field."""
    return [f"{field}{choice.suffix}_{name}" for name in choice.columns]


class Columns:
    """Which columns hold addresses and times, and what is added for each record. Says ConfigError where none does."""

    def __init__(self, names: Sequence[str], choice: Choice, beside: Annotator, say: Say) -> None:
        self.names, self._choice, self._beside = list(names), choice, beside
        self._find(say)
        self.added = [one for name in self.addresses for one in named_columns(name, choice)]
        for one in self.added:
            if one in self.names:
                raise ConfigError(f"cannot add column '{one}': there is one already; say another --suffix")
        self._cells = Texts(lambda answer: [told(answer, name) for name in choice.columns])

    def _find(self, say: Say) -> None:
        choice = self._choice
        for name in (*choice.addresses, *filter(None, [choice.time])):
            if name not in self.names:
                raise ConfigError(f"cannot find column '{name}': there are {self._shown()}; say one of these")
        found = kind_of_columns(self.names, timed=not choice.time and choice.at_us is None, own=choice.addresses)
        kind, known = found if found else (None, {})
        self.addresses = list(choice.addresses) or [
            known[one] for one in (kind.addresses if kind else ()) if one in known
        ]
        self.addresses = list(dict.fromkeys(self.addresses))
        if not self.addresses:
            raise ConfigError(
                f"cannot tell which columns hold addresses: there are {self._shown()}; say --ip COLUMN, "
                "or --format where this is no header"
            )
        self.spans = [Span(choice.time)] if choice.time else _in_words(kind.times if kind else (), known)
        if not self.spans and choice.at_us is None:
            raise ConfigError(f"cannot tell which column holds the time: there are {self._shown()}; say --time COLUMN")
        if not choice.addresses and kind is not None:
            say(f"{kind.name}: addresses in {', '.join(self.addresses)}")

    def _shown(self) -> str:
        return ", ".join(self.names[:30]) + (" …" if len(self.names) > 30 else "")

    def named(self, get: Get, size: int) -> Named:
        """Return the answers of a batch. get: values of a column, `size` of them."""
        if self._choice.at_us is None:
            moments = self._beside.when(self.spans, get, size)
        else:
            moments = When.always(size, self._choice.at_us)
        return self._beside.name([get(name) for name in self.addresses], moments)

    def texts(self, rows: Sequence[Sequence[str]], write: Callable[[list[str]], str]) -> list[str]:
        """Return what stands behind each record. write: puts the cells of one field together."""
        places = {name: place for place, name in reversed(list(enumerate(self.names)))}
        named = self.named(lambda word: [row[places[word]] for row in rows], len(rows))
        cells = self._cells.of(named.answers) if named.answers is not None else []
        texts = [*map(write, cells), write([""] * len(self._choice.columns))]
        pieces = [[texts[one] for one in own.tolist()] for own in named.own]
        for piece, lists in zip(pieces, named.several, strict=True):
            for row, members in lists.items():
                found = [cells[one] for one in members if one >= 0]
                piece[row] = write([",".join(column) for column in zip(*found, strict=True)]) if found else piece[row]
        return pieces[0] if len(pieces) == 1 else list(map("".join, zip(*pieces, strict=True)))


def _in_words(spans: Sequence[Span], known: dict[str, str]) -> list[Span]:
    """The spans whose columns are all there, by the names that they have there."""
    found = []
    for one in spans:
        words = [known.get(word, "") if word else "" for word in (one.start, one.end, one.length)]
        if all(bool(word) == bool(mine) for word, mine in zip((one.start, one.end, one.length), words, strict=True)):
            found.append(Span(words[0], words[1], words[2], one.bounds))
    return found


class Delimited:
    """Takes bytes as they come, gives back whole records with names behind them. The first record is the header.

    Args: delimiter: "" = by the header. header: names of the columns, where the input has no header. shown:
    at a terminal, where a record is one line: a line break inside of quotes would begin another.
    """

    longest = LONGEST

    def __init__(
        self, beside: Annotator, choice: Choice, say: Say, delimiter: str = "", header: tuple[str, ...] = (),
        shown: bool = False,
    ) -> None:  # fmt: skip
        self._shown = shown
        self._beside, self._choice, self._say = beside, choice, say
        self._delimiter = delimiter or ("," if header else "")
        self._columns = Columns(header, choice, beside, say) if header else None

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole records, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(b"\n") + 1
        text = data[:cut].decode("latin-1")
        if not text:
            return b"", 0
        bom = BOM if self._columns is None and text.startswith(BOM) else ""
        self._delimiter = self._delimiter or sniffed(text.removeprefix(bom).split("\n", 1)[0])
        records = list(records_of(text[len(bom) :], self._delimiter))
        # Inside of quotes a record may go on over lines; only the last one can be unfinished.
        unfinished = 0 if last or records[-1].whole else len(records.pop().raw)
        head = self._header(records.pop(0)) if self._columns is None and records else ""
        out = bom + head + self._body(records) if head or self._columns is not None else ""
        return out.encode("latin-1"), len(text) - unfinished if out else 0

    def _header(self, record: Record) -> str:
        names = [one.encode("latin-1").decode(errors="replace") for one in record.cells or []]
        self._columns = Columns(names, self._choice, self._beside, self._say)
        added = self._write([one.encode().decode("latin-1") for one in self._columns.added])
        body, end = ended(record.raw)
        return self._on_a_line(body + added + end)

    def _on_a_line(self, raw: str) -> str:
        if not self._shown:
            return raw
        body, end = ended(raw)
        return body.replace("\n", "\\n") + end

    def _body(self, records: list[Record]) -> str:
        assert self._columns is not None
        wide, tally = len(self._columns.names), self._beside.tally
        places = [place for place, one in enumerate(records) if one.cells is not None and len(one.cells) == wide]
        filled = sum(bool(one.raw.strip("\r\n")) for one in records)
        tally.lines += filled
        tally.refuse("other columns than the header has", filled - len(places))
        raws = [one.raw for one in records]
        if places:
            rows = [records[place].cells or [] for place in places]
            for place, added in zip(places, self._columns.texts(rows, self._write), strict=True):
                body, end = ended(raws[place])
                raws[place] = body + added + end
        return "".join(map(self._on_a_line, raws))

    def _write(self, cells: list[str]) -> str:
        return self._delimiter + self._delimiter.join(quoted(cell, self._delimiter) for cell in cells)


class Record(NamedTuple):
    """A record as text with its line end, its cells (None where they cannot be told apart), whether it has ended."""

    raw: str
    cells: list[str] | None
    whole: bool


def ended(raw: str) -> tuple[str, str]:
    """Return a record's text and its line end."""
    if raw.endswith("\r\n"):
        return raw[:-2], "\r\n"
    return (raw[:-1], "\n") if raw.endswith("\n") else (raw, "")


def quoted(cell: str, delimiter: str) -> str:
    """Write a cell: safe for a spreadsheet, in quotes where it must be."""
    cell = harmless(cell)
    if any(one in cell for one in (delimiter, '"', "\r", "\n")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def lines_of(text: str) -> list[str]:
    """Lines by line feed alone, with it: str.splitlines takes other bytes for line ends too."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def records_of(text: str, delimiter: str) -> Iterator[Record]:
    """Take text apart into records, as the csv module understands quotes; each keeps its text."""
    lines = lines_of(text)
    if '"' not in text and text.count("\r") == text.count("\r\n"):
        for line in lines:
            yield Record(line, ended(line)[0].split(delimiter), True)
        return
    feed = _Feed(lines)
    while feed.place < len(lines):
        before = feed.place
        try:
            for cells in csv.reader(feed, delimiter=delimiter, strict=True):
                yield Record("".join(lines[before : feed.place]), cells, True)
                before = feed.place
        except csv.Error:
            # Where the lines ended inside of quotes the record has not ended; else it is none.
            yield Record("".join(lines[before : feed.place]), None, not feed.empty)


class _Feed:
    """Lines one by one, and how many were taken."""

    def __init__(self, lines: list[str]) -> None:
        self._lines, self.place, self.empty = lines, 0, False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.place == len(self._lines):
            self.empty = True
            raise StopIteration
        self.place += 1
        return self._lines[self.place - 1]


def sniffed(line: str) -> str:
    """The delimiter of a header: the one that makes most columns of it, blanks only where no other makes any."""
    return max(DELIMITERS, key=lambda one: (line.count(one) > 0, one != " ", line.count(one)))

"""JSON lines: names go in as text before the closing brace; every byte that was there stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from whowas.annotating.addresses import packed
from whowas.annotating.beside import Beside, Choice, Named
from whowas.annotating.clock import OK
from whowas.annotating.kinds import KINDS, WORTH, Kind, Span, spellings, value_in, words_of
from whowas.annotating.picking import UNSET, Picker

# A longer line is handed through as it is.
LONGEST = 8 << 20
# So many lines without a known address are looked into, to find fields that were not seen before.
LOOKED_INTO = 10_000
BREAK = b"\n"
BOM = b"\xef\xbb\xbf"
# Its fields are anybody's: only those that hold an address are taken.
ANYBODYS = KINDS[-1]


class Fields:
    """Which fields of JSON lines are read: those that were told, else those of known logs, as they come up."""

    def __init__(self, choice: Choice, say: Callable[[str], None]) -> None:
        self._choice, self._say = choice, say
        self._kinds: list[Kind] = []
        self._looked = 0
        self.addresses = list(choice.addresses)
        self.spans = [Span(choice.time)] if choice.time else []
        self.told = bool(choice.addresses) and bool(choice.time or choice.at_us is not None)

    def worth(self, line: bytes) -> bool:
        """Say whether a line without an address that is known may have one under another name."""
        if self.told or self._looked >= LOOKED_INTO or (self._kinds and not WORTH.search(line)):
            return False
        self._looked += 1
        return True

    def look(self, line: bytes) -> bool:
        """Look for fields of known logs in a line. Returns: whether there was one that was not known."""
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if any(one is not ANYBODYS and self._fits(one, record) for one in self._kinds):
            return False
        kind = next((one for one in KINDS if self._fits(one, record)), None)
        return kind is not None and self._take(kind, record)

    def _fits(self, kind: Kind, record: Any) -> bool:
        there = sum(_holds_address(record, name) for name in self._choice.addresses or kind.addresses)
        if there < (1 if self._choice.addresses else kind.need):
            return False
        if self._choice.time or self._choice.at_us is not None:
            return True
        return any(all(value_in(record, word) is not None for word in words_of(span)) for span in kind.times)

    def _take(self, kind: Kind, record: Any) -> bool:
        names = kind.addresses
        if kind is ANYBODYS:
            names = tuple(one for one in names if _holds_address(record, one))
        fresh = [] if self._choice.addresses else [one for one in names if one not in self.addresses]
        spans = () if self._choice.time or self._choice.at_us is not None else kind.times
        spans = tuple(span for span in spans if span not in self.spans)
        if kind not in self._kinds:
            self._kinds.append(kind)
        if not fresh and not spans:
            return False
        self.addresses += fresh
        self.spans += spans
        if fresh:
            self._say(f"{kind.name}: addresses in {', '.join(fresh)}")
        return True


def _holds_address(record: Any, name: str) -> bool:
    value = value_in(record, name)
    return any(packed(one) is not None for one in (value if isinstance(value, list) else [value]))


class Ndjson:
    """Takes bytes as they come, gives back whole lines with names beside their addresses."""

    longest = LONGEST

    def __init__(self, beside: Beside, choice: Choice, say: Callable[[str], None]) -> None:
        self._beside, self._choice, self._say = beside, choice, say
        self._fields = Fields(choice, say)
        self._picker: Picker | None = None
        self._without: list[bool] = []
        self._texts: list[dict[Any, bytes]] = []
        self._age = 0
        self._mark = f'{choice.suffix}"'.encode()

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole lines, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(BREAK) + 1
        lines = data[:cut].split(BREAK)
        # What stands behind the last line break is no line of its own, mostly.
        rows = [row for row, line in enumerate(lines) if line and not line.isspace()]
        if len(rows) == len(lines) - (not lines[-1]):
            lines[: len(rows)] = self._lines(lines[: len(rows)])
        else:
            for row, line in zip(rows, self._lines([lines[row] for row in rows]), strict=True):
                lines[row] = line
        return BREAK.join(lines), cut

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        self._beside.tally.lines += len(lines)
        if not lines:
            return lines
        bare = [line.removeprefix(BOM) for line in lines[:1]] + lines[1:]
        picker = self._decoded(bare)
        if picker is None:
            # Nothing that is known stands in any line so far.
            rows = [_is_object(line) for line in bare]
            self._beside.tally.refuse("not a JSON object", rows.count(False))
            self._beside.tally.without += rows.count(True)
            return lines
        named = self._named(picker, bare)
        return self._written(lines, named)

    def _decoded(self, lines: list[bytes]) -> Picker | None:
        """Decode; look for further fields in the first line and in those that have no address by those known."""
        fresh = not self._fields.told and self._fields.look(lines[0])
        if self._picker is None or fresh:
            self._picker = self._new_picker()
        while self._picker is None or self._missing(self._picker, lines):
            poor = [line for row, line in enumerate(lines) if self._picker is None or self._without[row]]
            if not any(self._fields.worth(line) and self._fields.look(line) for line in poor):
                break
            self._picker = self._new_picker()
        return self._picker

    def _missing(self, picker: Picker, lines: list[bytes]) -> bool:
        """Decode, and say whether some line has no address by the fields known."""
        picker.decode(lines)
        columns = [picker.column(name) for name in self._fields.addresses]
        timed = bool(self._fields.spans) or self._choice.at_us is not None
        if timed and any(column.count(UNSET) == 0 for column in columns) and None not in picker.rows:
            return False
        self._without = [
            row is not None and (not timed or all(column[number] is UNSET for column in columns))
            for number, row in enumerate(picker.rows)
        ]
        return not self._fields.told and any(self._without)

    def _new_picker(self) -> Picker | None:
        fields = self._fields
        if not fields.addresses:
            return None
        words = [*fields.addresses, *(word for span in fields.spans for word in words_of(span))]
        paths = {word: spellings(word) for word in words}
        paths |= {name + self._choice.suffix: ((name + self._choice.suffix,),) for name in fields.addresses}
        self._texts = [{} for _ in fields.addresses]
        return Picker(paths)

    def _named(self, picker: Picker, lines: list[bytes]) -> Named:
        size, tally = len(lines), self._beside.tally
        broken = np.array([row is None for row in picker.rows], dtype=bool)
        tally.refuse("not a JSON object", int(broken.sum()))
        again = self._already(picker)
        tally.refuse("names stand there already", int((again & ~broken).sum()))
        left = np.flatnonzero(~broken & ~again)
        whole = len(left) == size
        get = picker.column if whole else lambda word: [picker.column(word)[row] for row in left.tolist()]
        if self._choice.at_us is None:
            starts, ends, codes = self._beside.when(self._fields.spans, get, len(left))
        else:
            starts = ends = np.full(len(left), self._choice.at_us, dtype=np.int64)
            codes = np.full(len(left), OK, dtype=np.uint8)
        named = self._beside.name([get(name) for name in self._fields.addresses], starts, ends, codes)
        return named if whole else _spread(named, left, size)

    def _already(self, picker: Picker) -> Any:
        """Lines in which a name to be added stands already: adding it again would make two of it."""
        again = np.zeros(len(picker.rows), dtype=bool)
        if self._mark in picker.text:
            for name in self._fields.addresses:
                again |= np.array([one is not UNSET for one in picker.column(name + self._choice.suffix)], dtype=bool)
        return again

    def _written(self, lines: list[bytes], named: Named) -> list[bytes]:
        if not named.told:
            return lines
        if named.age != self._age:
            self._texts, self._age = [{} for _ in self._texts], named.age
        pieces = [self._pieces(number, named) for number in range(len(named.own))]
        added = pieces[0] if len(pieces) == 1 else list(map(b"".join, zip(*pieces, strict=True)))
        # rindex: blanks may stand behind the brace.
        return [
            line if not add else line[:-1] + add + b"}" if line[-1:] == b"}" else _inserted(line, add)
            for line, add in zip(lines, added, strict=True)
        ]

    def _pieces(self, number: int, named: Named) -> list[bytes]:
        """What goes into each line for one field."""
        known, name = self._texts[number], self._fields.addresses[number]
        head = f",{json.dumps(name + self._choice.suffix)}:".encode()
        texts = []
        for key, answer in named.told:
            text = known.get(key)
            if text is None:
                text = known[key] = head + as_json(answer, self._choice.columns)
            texts.append(text)
        texts.append(b"")
        found = [texts[one] for one in named.own[number].tolist()]
        for row, members in named.several[number].items():
            if any(one >= 0 for one in members):
                inner = b",".join(texts[one][len(head) :] or b"null" for one in members)
                found[row] = head + b"[" + inner + b"]"
        if len(known) > LOOKED_INTO:
            known.clear()
        return found


def as_json(answer: dict[str, Any], columns: tuple[str, ...]) -> bytes:
    """Write an answer as a JSON object in ASCII, without what is empty: control characters are escaped."""
    told = {}
    for name in columns:
        value = answer[name]
        if name == "labels" and value is not None:
            value = dict(value)
        if value or name == "confidence":
            told[name] = value
    return json.dumps(told, separators=(",", ":")).encode()


def _inserted(line: bytes, add: bytes) -> bytes:
    at = line.rindex(b"}")
    return line[:at] + add + line[at:]


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _spread(named: Named, rows: Any, size: int) -> Named:
    """Put the answers of some rows among all."""
    own = []
    for column in named.own:
        whole = np.full(size, -1, dtype=np.int64)
        whole[rows] = column
        own.append(whole)
    several = [{int(rows[row]): members for row, members in lists.items()} for lists in named.several]
    return Named(named.told, own, several, named.age)

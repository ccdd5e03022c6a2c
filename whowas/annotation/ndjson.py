"""JSON lines: names go in as text before the closing brace; every byte that was there stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from whowas.annotation.addresses import listed, packed
from whowas.annotation.annotator import Annotator, Choice, Named, Texts
from whowas.annotation.json_fields import UNSET, Block, FieldDecoder
from whowas.annotation.known_logs import KINDS, WORTH, Kind, Span, spellings, value_in, words_of
from whowas.annotation.when import When

# A longer line is handed through as it is.
LONGEST = 8 << 20
# So many lines without a known address are looked into, to find fields that were not seen before.
LOOKED_INTO = 10_000
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
        # How each of them may be spelled out.
        self.paths = {word: spellings(word) for word in (*choice.addresses, *filter(None, [choice.time]))}
        self.told = bool(choice.addresses) and bool(choice.time or choice.at_us is not None)

    def worth(self, line: bytes) -> bool:
        """Say whether a line without an address that is known may have one under another name."""
        if self.told or self._looked >= LOOKED_INTO or (self._kinds and not WORTH.search(line)):
            return False
        self._looked += 1
        return True

    def look(self, line: bytes) -> bool:
        """Look for fields of known logs in a line. Returns: whether there was one that was not known."""
        record = _object(line)
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
        for word in (*fresh, *(word for span in spans for word in words_of(span))):
            self.paths[word] = tuple(dict.fromkeys((*self.paths.get(word, ()), *kind.paths(word))))
        if fresh:
            self._say(f"{kind.name}: addresses in {', '.join(fresh)}")
        return True


def _holds_address(record: Any, name: str) -> bool:
    value = value_in(record, name)
    members = value if isinstance(value, list) else listed(value) or [value]
    return any(packed(one) is not None for one in members)


class Ndjson:
    """Takes bytes as they come, gives back whole lines with names beside their addresses."""

    longest = LONGEST

    def __init__(self, beside: Annotator, choice: Choice, say: Callable[[str], None]) -> None:
        self._beside, self._choice, self._say = beside, choice, say
        self._fields = Fields(choice, say)
        self._picker: FieldDecoder | None = None
        self._without: list[bool] = []
        self._texts = Texts(lambda answer: as_json(answer, choice.columns))

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole lines, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(b"\n") + 1
        if not cut:
            return b"", 0
        block = Block(data[:cut])
        self._beside.tally.lines += block.size
        picker = self._decoded(block) if block.size else None
        if picker is not None:
            named = self._named(picker, block.size)
            return (self._written(block, named) if named.answers is not None else block.data), cut
        # Nothing that is known stands in any line so far.
        objects = [_object(line) is not None for line in block.lines] if block.size else []
        self._beside.tally.refuse("not a JSON object", objects.count(False))
        self._beside.tally.without += objects.count(True)
        return block.data, cut

    def _decoded(self, block: Block) -> FieldDecoder | None:
        """Decode; look for further fields in the first line and in those that have no address by those known."""
        fresh = not self._fields.told and self._fields.look(block.first())
        if self._picker is None or fresh:
            self._picker = self._new_picker()
        while self._picker is None or self._missing(self._picker, block):
            poor = [line for row, line in enumerate(block.lines) if self._picker is None or self._without[row]]
            if not any(self._fields.worth(line) and self._fields.look(line) for line in poor):
                break
            self._picker = self._new_picker()
        return self._picker

    def _missing(self, picker: FieldDecoder, block: Block) -> bool:
        """Decode, and say whether some line has no address by the fields known."""
        picker.decode(block)
        columns = [picker.column(name) for name in self._fields.addresses]
        timed = bool(self._fields.spans) or self._choice.at_us is not None
        if timed and any(column.count(UNSET) == 0 for column in columns) and None not in picker.rows:
            return False
        self._without = [
            row is not None and (not timed or all(column[number] is UNSET for column in columns))
            for number, row in enumerate(picker.rows)
        ]
        return not self._fields.told and any(self._without)

    def _new_picker(self) -> FieldDecoder | None:
        fields = self._fields
        if not fields.addresses:
            return None
        paths = dict(fields.paths)
        paths |= {name + self._choice.suffix: ((name + self._choice.suffix,),) for name in fields.addresses}
        return FieldDecoder(paths)

    def _named(self, picker: FieldDecoder, size: int) -> Named:
        tally = self._beside.tally
        broken = np.array([row is None for row in picker.rows], dtype=bool)
        tally.refuse("not a JSON object", int(broken.sum()))
        again = self._already(picker)
        tally.refuse("names stand there already", int((again & ~broken).sum()))
        left = np.flatnonzero(~broken & ~again)
        whole = len(left) == size
        get = picker.column if whole else lambda word: [picker.column(word)[row] for row in left.tolist()]
        if self._choice.at_us is None:
            moments = self._beside.when(self._fields.spans, get, len(left))
        else:
            moments = When.always(len(left), self._choice.at_us)
        named = self._beside.name([get(name) for name in self._fields.addresses], moments)
        return named if whole else _spread(named, left, size)

    def _already(self, picker: FieldDecoder) -> Any:
        """Lines in which a name to be added stands already: adding it again would make two of it."""
        again = np.zeros(len(picker.rows), dtype=bool)
        for name in self._fields.addresses:
            there = picker.column(name + self._choice.suffix)
            if there.count(UNSET) < len(there):
                again |= np.array([one is not UNSET for one in there], dtype=bool)
        return again

    def _written(self, block: Block, named: Named) -> bytes:
        assert named.answers is not None
        texts = self._texts.of(named.answers)
        return block.with_texts([self._pieces(number, named, texts) for number in range(len(named.own))])

    def _pieces(self, number: int, named: Named, texts: list[bytes]) -> list[bytes]:
        """What goes into each line for one field."""
        head = f",{json.dumps(self._fields.addresses[number] + self._choice.suffix)}:".encode()
        # The last one stands for -1.
        whole = [*(head + text for text in texts), b""]
        found = [whole[one] for one in named.own[number].tolist()]
        for row, members in named.several[number].items():
            if any(one >= 0 for one in members):
                inner = b",".join(texts[one] if one >= 0 else b"null" for one in members)
                found[row] = head + b"[" + inner + b"]"
        return found


def as_json(answer: dict[str, Any], columns: tuple[str, ...]) -> bytes:
    """Write an answer as a JSON object in ASCII, without what is empty: control characters are escaped."""
    told = {}
    for name in columns:
        value = answer[name]
        if value or name == "confidence":
            told[name] = dict(value) if name == "labels" else value
    text = msgspec.json.encode(told)
    return text if text.isascii() else json.dumps(told, separators=(",", ":")).encode()


def _object(line: bytes) -> Any:
    """Return a line's object, whatever bytes are in its texts; None when it is none."""
    try:
        record = msgspec.json.decode(line.decode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _spread(named: Named, rows: Any, size: int) -> Named:
    """Put the answers of some rows among all."""
    own = []
    for column in named.own:
        whole = np.full(size, -1, dtype=np.int64)
        whole[rows] = column
        own.append(whole)
    several = [{int(rows[row]): members for row, members in lists.items()} for lists in named.several]
    return Named(named.answers, own, several)

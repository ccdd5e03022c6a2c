"""Some fields of JSON lines, a batch at a time; all others are skipped by the decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from whowas.annotation.known_logs import Path
from whowas.errors import ConfigError

UNSET: Any = msgspec.UNSET
BREAK, OPENS, CLOSES = b"\n{}"
BOM = b"\xef\xbb\xbf"
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class _Node:
    """An object in the lines: the type it is decoded into, and its fields: (attribute, what is below it)."""

    type: Any
    fields: dict[str, tuple[str, _Node | None]]


def _node(paths: Iterable[Path]) -> _Node:
    below: dict[str, list[Path]] = {}
    for path in paths:
        below.setdefault(path[0], []).extend([path[1:]] if len(path) > 1 else [])
    fields: dict[str, tuple[str, _Node | None]] = {}
    told = []
    for number, (key, further) in enumerate(below.items()):
        inner = _node(further) if further else None
        fields[key] = (f"f{number}", inner)
        # Where an object is looked for, another log may have a word or a list.
        kind = object if inner is None else inner.type | str | int | float | bool | list | None
        told.append((f"f{number}", kind, UNSET))
    names = {attribute: key for key, (attribute, _) in fields.items()}
    try:
        return _Node(msgspec.defstruct("Fields", told, rename=names, gc=False), fields)
    except ValueError as error:
        raise ConfigError("cannot look for a field with quotes or control characters in its name") from error


class Block:
    """Whole lines. regular: each begins and ends with a brace, and there is nothing else: no blank line, no mark.

    A line that ends with a brace before one that begins with one: no object can reach over that. So many objects as
    lines are then one on each.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        text = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(text == BREAK)
        self.size = len(ends)
        self.regular = bool(
            self.size
            and ends[-1] == len(data) - 1
            and text[0] == OPENS
            and (text[ends - 1] == CLOSES).all()
            and (text[ends[:-1] + 1] == OPENS).all()
        )
        self._lines: list[bytes] | None = None
        self._all: list[bytes] = []
        self._rows: list[int] = []
        if not self.regular:
            self._all = data.split(b"\n")
            self._rows = [row for row, line in enumerate(self._all) if line and not line.isspace()]
            self.size = len(self._rows)

    @property
    def lines(self) -> list[bytes]:
        """The lines, without their ends and without blank ones."""
        if self._lines is None:
            if self.regular:
                self._lines = self.data[:-1].split(b"\n")
            else:
                self._lines = [self._all[row].removeprefix(BOM) for row in self._rows]
        return self._lines

    def first(self) -> bytes:
        """The first line."""
        return self.data[: self.data.find(b"\n")] if self.regular else self.lines[0]

    def with_texts(self, pieces: Sequence[Sequence[bytes]]) -> bytes:
        """Return all bytes, texts put in before the last brace of each line. pieces: for each field, one a line."""
        if not self.regular:
            for row, texts in zip(self._rows, zip(*pieces, strict=True), strict=True):
                if any(texts):
                    line = self._all[row]
                    at = line.rindex(b"}")
                    self._all[row] = line[:at] + b"".join(texts) + line[at:]
            return b"\n".join(self._all)
        step = len(pieces) + 2
        out: list[bytes] = [b"}\n"] * (self.size * step)
        out[::step] = self.data.split(b"}\n")[:-1]
        for number, column in enumerate(pieces, 1):
            out[number::step] = column
        return b"".join(out)


class FieldDecoder:
    """Decodes some fields of JSON lines.

    Args: words: names of fields, each with all spellings that it may have.
    """

    def __init__(self, words: Mapping[str, Sequence[Path]]) -> None:
        self._paths = words
        self._top = _node(path for paths in words.values() for path in paths)
        self._decoder = msgspec.json.Decoder(self._top.type)
        self._known: dict[str, list[Any]] = {}
        self._below: dict[Path, list[Any]] = {}
        self.rows: list[Any] = []

    def decode(self, block: Block) -> None:
        """Decode a batch; a line that is no JSON object becomes None in `rows`."""
        self._known, self._below = {}, {}
        if block.regular:
            try:
                self.rows = self._decoder.decode_lines(block.data)
            except FAULTS:
                self.rows = []
            # Several objects may stand in one line.
            if len(self.rows) == block.size:
                return
        self.rows = [self._one(line) for line in block.lines]

    def _one(self, line: bytes) -> Any:
        try:
            return self._decoder.decode(line)
        except FAULTS:
            return None

    def column(self, word: str) -> list[Any]:
        """Return a field's value in each row, UNSET where it is not."""
        if word not in self._known:
            found, *others = (self._values(path) for path in self._paths[word])
            for other in others:
                if other.count(UNSET) < len(other):
                    found = [two if one is UNSET else one for one, two in zip(found, other, strict=True)]
            self._known[word] = found
        return self._known[word]

    def _values(self, path: Path) -> list[Any]:
        node = self._node_at(path[:-1])
        name, below = node.fields[path[-1]]
        values = self._under(path[:-1], node, name)
        if below is None:
            return values
        # An object is no value of this field: what lies in it belongs to others.
        return [UNSET if type(one) is below.type else one for one in values]

    def _under(self, path: Path, node: _Node, name: str) -> list[Any]:
        """What each row has under an attribute of the object at a path; UNSET where it has no such object."""
        above = self._objects(path)
        if not path and None not in above:
            return list(map(attrgetter(name), above))
        if path and above.count(UNSET) == len(above):
            return above
        kind = node.type
        return [getattr(one, name) if type(one) is kind else UNSET for one in above]

    def _objects(self, path: Path) -> list[Any]:
        """What stands at a path that goes on, object or not; looked up once a batch."""
        if not path:
            return self.rows
        if path not in self._below:
            node = self._node_at(path[:-1])
            self._below[path] = self._under(path[:-1], node, node.fields[path[-1]][0])
        return self._below[path]

    def _node_at(self, path: Path) -> _Node:
        node = self._top
        for key in path:
            below = node.fields[key][1]
            assert below is not None
            node = below
        return node

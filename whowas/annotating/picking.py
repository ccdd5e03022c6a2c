"""Some fields of JSON lines, a batch at a time; all others are skipped by the decoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from whowas.annotating.kinds import Path

UNSET: Any = msgspec.UNSET
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
    return _Node(msgspec.defstruct("Fields", told, rename=names, gc=False), fields)


class Picker:
    """Decodes some fields of JSON lines.

    Args: words: names of fields, each with all spellings that it may have.
    """

    def __init__(self, words: Mapping[str, Sequence[Path]]) -> None:
        self._paths = words
        self._top = _node(path for paths in words.values() for path in paths)
        self._decoder = msgspec.json.Decoder(self._top.type)
        self._known: dict[str, list[Any]] = {}
        self.rows: list[Any] = []
        self.text = b""

    def decode(self, lines: list[bytes]) -> None:
        """Decode a batch; a line that is no JSON object becomes None in `rows`."""
        self._known = {}
        self.text = text = b"\n".join(lines)
        # A line that ends with a brace before one that begins with one: no object can reach over that. So many
        # objects as lines are then one on each.
        if text.count(b"}\n{") + text.count(b"}\r\n{") == len(lines) - 1:
            try:
                self.rows = self._decoder.decode_lines(text)
            except FAULTS:
                self.rows = []
            if len(self.rows) == len(lines):
                return
        self.rows = [self._one(line) for line in lines]

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
        node: _Node | None = self._top
        values = self.rows
        whole = None not in values
        for key in path:
            assert node is not None
            kind, (name, below) = node.type, node.fields[key]
            if whole:
                values = list(map(attrgetter(name), values))
            else:
                values = [getattr(one, name) if type(one) is kind else UNSET for one in values]
            node, whole = below, False
        if node is None:
            return values
        # An object is no value of this field: what lies in it belongs to others.
        return [UNSET if type(one) is node.type else one for one in values]

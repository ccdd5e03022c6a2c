"""Rule files as trees that know their lines.

Read by YAML 1.2's rules for plain words, so that `on` and `12:30` stay what was written. What makes a small file large
in memory is refused: aliases, deep nesting, many nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from detect.sigma.refusals import Refused

MOST_BYTES = 1 << 20
MOST_DEPTH = 24
MOST_NODES = 50_000
_INT = re.compile(r"[-+]?[0-9]{1,30}|0x[0-9a-fA-F]{1,25}|0o[0-7]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None} | {
    spelt: meant
    for word, meant in (("null", None), ("true", True), ("false", False))
    for spelt in (word, word.capitalize(), word.upper())
}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Node:
    """A part of a document. value: None, bool, int, float or text; a list of nodes; a dict of nodes by key.

    text: a scalar as it was written. key_lines: where a mapping's keys stand. Lines count from 1.
    """

    value: Any
    line: int
    text: str = ""
    key_lines: dict[str, int] = field(default_factory=dict)

    def is_map(self) -> bool:
        """Say whether it is a mapping."""
        return isinstance(self.value, dict)

    def is_list(self) -> bool:
        """Say whether it is a list."""
        return isinstance(self.value, list)

    def items(self) -> list[Node]:
        """Return a list's nodes; of anything else itself, as Sigma lets one value stand for a list of one."""
        return self.value if isinstance(self.value, list) else [self]

    def plain(self) -> Any:
        """Return plain Python values."""
        if isinstance(self.value, dict):
            return {key: one.plain() for key, one in self.value.items()}
        return [one.plain() for one in self.value] if isinstance(self.value, list) else self.value


def documents(text: str) -> Iterator[Node]:
    """Yield the documents of a file, empty ones left out.

    Raises: Refused with its line, at the first place that cannot be read; documents before it have been yielded.
    """
    reader = _Reader(yaml.parse(text, Loader=_LOADER))
    try:
        yield from reader.documents()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        cause = " ".join(str(getattr(error, "problem", None) or error).split())
        raise Refused(f"it is not YAML: {cause}", "correct it", mark.line + 1 if mark else 1) from error


class _Reader:
    """Events to nodes."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._nodes = 0

    def documents(self) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                node = self._node(next(self._events), 0)
                if node.value is not None:
                    yield node

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        self._bound(event, line, depth)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(depth), line)
        return self._mapping(line, depth)

    def _bound(self, event: Any, line: int, depth: int) -> None:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent):
            raise Refused("a YAML alias (*name) is used", "write it out", line)
        if event.tag is not None and event.tag != "!":
            raise Refused("a YAML tag (!name) is used", "leave it out", line)
        if depth > MOST_DEPTH or self._nodes > MOST_NODES:
            what = f"nested deeper than {MOST_DEPTH}" if depth > MOST_DEPTH else f"of more than {MOST_NODES:,} parts"
            raise Refused(f"it is {what}", "split it up", line)

    def _sequence(self, depth: int) -> list[Node]:
        found = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, depth + 1))
        return found

    def _mapping(self, line: int, depth: int) -> Node:
        node = Node({}, line)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(event, yaml.ScalarEvent):
                raise Refused("a key is not a word", "write each key as one word", key.line)
            if key.text in node.value:
                raise Refused(f"the key '{key.text}' stands here twice", "leave one", key.line)
            node.key_lines[key.text] = key.line
            node.value[key.text] = self._node(next(self._events), depth + 1)
        return node


def _scalar(event: Any, line: int) -> Node:
    text = event.value
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("a text is not Unicode", "leave out lone surrogates", line) from None
    return Node(_resolved(text) if event.implicit[0] else text, line, text)


def _resolved(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text

"""The first values of an input, as recognition looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

LOOKED_AT = 64
LINE_KEPT = 1 << 16


class Sample:
    """Some values: as bytes, as lines of text, as the first JSON object among them."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.values = [bytes(value) for value in values[:LOOKED_AT] if value]

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The values that are JSON objects."""
        found = []
        for value in self.values:
            try:
                told = msgspec.json.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
                continue
            if isinstance(told, dict):
                found.append(told)
        return found

    @cached_property
    def is_text(self) -> bool:
        """Say whether the first value is printable ASCII: no protobuf message is."""
        first = self.values[0][:LINE_KEPT].strip() if self.values else b""
        return first.isascii() and first.translate(None, b"\t\r\n").decode().isprintable()

    @cached_property
    def lines(self) -> list[str]:
        """The values as lines of columns; what is no text, or JSON, is left out."""
        found = []
        for value in self.values:
            if value[:1] == b"{":
                continue
            try:
                found.append(value[:LINE_KEPT].decode())
            except UnicodeDecodeError:
                continue
        return found

    def has(self, *paths: str) -> bool:
        """Say whether one object has all of these: keys by their paths, `a/b` being b within a."""
        return any(all(self._reaches(one, path.split("/")) for path in paths) for one in self.objects)

    @staticmethod
    def _reaches(told: Any, path: list[str]) -> bool:
        for key in path:
            if not isinstance(told, dict) or key not in told:
                return False
            told = told[key]
        return True

    def says(self, key: str, *words: str) -> bool:
        """Say whether one object has one of these words under a key."""
        return any(one.get(key) in words for one in self.objects)

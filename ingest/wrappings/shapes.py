"""Defines what every wrapping promises, and what several of them are made of."""

from __future__ import annotations

import re
from typing import Any, Protocol, TypeVar

import msgspec

T = TypeVar("T")
# RFC 3339, with or without an offset.
STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOTHING: frozenset[bytes] = frozenset()


class Wrapping(Protocol):
    """One way in which records are wrapped. is_text: what is inside stands at the end of the line as it is.

    joins: whether a record may go on over several lines.
    """

    name: str
    is_text: bool
    joins: bool

    def opened(self, outer: bytes) -> list[bytes] | None:
        """Return what is inside, [] for a line that is well-formed and holds no record; None where it is not wrapped.

        Args: outer: a line without its end, a JSON value, or several lines that `goes_on` holds together.
        """

    def goes_on(self, line: bytes, waiting: frozenset[bytes]) -> frozenset[bytes]:
        """Return what has begun and not ended behind a line. Args: waiting: the same before it."""


class Prefix:
    """A wrapping that stands before each line."""

    is_text, joins = True, False

    def __init__(self, name: str, pattern: bytes) -> None:
        self.name = name
        self._pattern = re.compile(pattern)

    def opened(self, outer: bytes) -> list[bytes] | None:
        """See Wrapping."""
        found = self._pattern.match(outer)
        return [outer[found.end() :]] if found else None

    def goes_on(self, line: bytes, waiting: frozenset[bytes]) -> frozenset[bytes]:  # noqa: ARG002
        """See Wrapping."""
        return NOTHING


class Envelope:
    """A JSON object around records; `inside` of the family says what is in it."""

    is_text, joins = False, False
    name = ""

    def opened(self, outer: bytes) -> list[bytes] | None:
        """See Wrapping."""
        if outer[:1] != b"{" and outer.lstrip()[:1] != b"{":
            return None
        try:
            return self.inside(outer)
        except FAULTS:
            return None

    def inside(self, outer: bytes) -> list[bytes] | None:
        """Return what is inside of a JSON object. Raises: msgspec.DecodeError, also where it is another object."""
        raise NotImplementedError

    def goes_on(self, line: bytes, waiting: frozenset[bytes]) -> frozenset[bytes]:  # noqa: ARG002
        """See Wrapping."""
        return NOTHING


def decoder(shape: type[T]) -> Any:
    """Return a decoder of JSON objects of a shape."""
    return msgspec.json.Decoder(shape)


def text(told: str) -> bytes:
    """Return a text as bytes, without the line end that runtimes leave in it. Lone surrogates become question marks."""
    return told.rstrip("\r\n").encode(errors="replace")


def is_object(inner: bytes) -> bool:
    """Say whether text looks like a JSON object."""
    return inner[:1] == b"{" and inner.rstrip()[-1:] == b"}"

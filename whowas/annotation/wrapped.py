"""Annotates what stands in wrappings: records are taken out of their lines, named, and the names put into the lines.

Names go before the last brace of a line that ends with an object, else behind it; of a wrapping every byte stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ingest.wrappings import Chain, chains
from whowas.annotation.annotator import Tally

SEVERAL = "several records in one line"
TOO_LONG = "record too long"
TWICE = "names stand there already"
CONTAINERS, TABLE = ("cri", "kubectl"), "cloudwatch-csv"


class Format(Protocol):
    """Annotates the records of one format. longest: bytes of a record that is read; longer ones are handed through."""

    longest: int

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole records, annotated, and how many bytes they were. last: nothing more will come."""


class _Line(NamedTuple):
    """outer: as it came, several lines where a record was cut. inner: what was taken out; None = not asked about."""

    outer: bytes
    inner: bytes | None


class Wrapped:
    """Takes bytes as they come, gives back whole lines with names in them. inside: annotates what was taken out."""

    def __init__(self, chain: Chain, inside: Format, objects: bool, tally: Tally, suffix: str) -> None:
        """Args: objects: a record inside is a JSON object, so that names go before the brace. suffix: of names."""
        self.longest = inside.longest
        self._chain, self._inside, self._objects, self._tally = chain, inside, objects, tally
        self._mark = b"" if chain.is_text else f'{suffix}":'.encode()
        self._waiting: deque[_Line] = deque()
        self._held = b""

    def take(self, data: bytes, last: bool) -> tuple[bytes, int]:
        """Return whole lines, annotated, and how many bytes they were. last: nothing more will come."""
        cut = len(data) if last else data.rfind(b"\n") + 1
        used = 0
        for outer in self._groups(data[:cut], last):
            used += len(outer)
            self._add(outer)
        out, taken = self._inside.take(self._held, last)
        self._held = self._held[taken:]
        done = self._written(out)
        if last or len(self._held) > self._inside.longest:
            done += self._given_up()
        return done, used

    def _groups(self, data: bytes, last: bool) -> Iterator[bytes]:
        """Lines with their ends, those in one that belong together."""
        joiner = self._chain.joiner()
        start = end = 0
        while end < len(data):
            line_end = data.find(b"\n", end)
            line, end = data[end : line_end if line_end >= 0 else None], line_end + 1 if line_end >= 0 else len(data)
            if joiner is None or joiner.ends(line):
                yield data[start:end]
                start = end
        if last and start < end:
            yield data[start:end]

    def _add(self, outer: bytes) -> None:
        body = outer.rstrip(b"\r\n")
        found = self._chain.opened(body)
        inner = [body] if found is None else found
        twice = found is not None and bool(self._mark) and self._mark in body
        if len(inner) == 1 and b"\n" not in inner[0] and not twice:
            self._waiting.append(_Line(outer, inner[0]))
            self._held += inner[0] + b"\n"
            return
        self._waiting.append(_Line(outer, None))
        self._tally.lines += 1
        if inner:
            self._tally.refuse(TWICE if twice else SEVERAL)
        else:
            self._tally.without += 1

    def _written(self, out: bytes) -> bytes:
        """Put what was added to each record into its line; lines come back in the order in which they went in."""
        done: list[bytes] = []
        for told in out.split(b"\n")[:-1]:
            done += self._passed()
            line = self._waiting.popleft()
            done.append(self._with(line.outer, line.inner or b"", told))
        return b"".join([*done, *self._passed()])

    def _passed(self) -> Iterator[bytes]:
        while self._waiting and self._waiting[0].inner is None:
            yield self._waiting.popleft().outer

    def _with(self, outer: bytes, inner: bytes, told: bytes) -> bytes:
        if told == inner:
            return outer
        ends = inner.rindex(b"}") if self._objects else len(inner)
        added = told[ends : len(told) - (len(inner) - ends)]
        at = outer.rindex(b"}") if self._objects else len(outer.rstrip(b"\r\n"))
        return outer[:at] + added + outer[at:]

    def _given_up(self) -> bytes:
        """Hand through what cannot be read any more: nothing follows, or it goes on for too long."""
        left = b"".join(line.outer for line in self._waiting)
        if any(line.inner is not None for line in self._waiting):
            self._tally.lines += 1
            self._tally.refuse(TOO_LONG)
        self._waiting.clear()
        self._held = b""
        return left


def wrappings_of(lines: list[bytes]) -> tuple[Chain, list[bytes]] | None:
    """Return what wraps the first lines of a log, and what is inside; None where nothing does.

    What has an object inside counts, as deep as that goes; tables only in logs of containers: a table may begin with a
    time or a host itself.
    """
    found = None
    for chain, inner in chains(lines):
        objects = any(one.lstrip()[:1] == b"{" for one in inner)
        # What stands in a table of another one cannot be added to in its place.
        if (objects or chain.name in CONTAINERS) and TABLE not in chain.name:
            found = chain, inner
    return found

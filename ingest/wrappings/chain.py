"""Recognises wrappings, those in one another too, and takes records out of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from ingest.wrappings.azure import Azure
from ingest.wrappings.cloudwatch import EXPORT, CloudWatch, Console
from ingest.wrappings.container import KUBECTL, NODE_LOGS, Cri, Docker
from ingest.wrappings.elastic import Elastic
from ingest.wrappings.loki import Loki
from ingest.wrappings.shapes import NOTHING, Wrapping
from ingest.wrappings.syslog import CLASSIC, MODERN

# The narrow ones first: a stamp stands before many things.
WRAPPINGS: tuple[Wrapping, ...] = (
    Cri(), KUBECTL, MODERN, CLASSIC, EXPORT, NODE_LOGS,
    Docker(), Loki(), CloudWatch(), Azure(), Elastic(),
)  # fmt: skip
DEEPEST = 4
LOOKED_AT = 64
# What is joined of several lines is given up beyond that: the end of a line can have been lost.
LINES_MOST = 4096
BYTES_MOST = 16 << 20
SPLIT_MOST = 1 << 26
_JSON, _BLANK = json.JSONDecoder(), re.compile(r"\s*")


class Chain:
    """Wrappings in one another, the outermost first."""

    def __init__(self, layers: Sequence[Wrapping]) -> None:
        self.layers = tuple(layers)
        self.name = " in ".join(one.name for one in reversed(self.layers))
        self.is_text = all(one.is_text for one in self.layers)

    def opened(self, outer: bytes) -> list[bytes] | None:
        """Return the records in a line, [] where it is well-formed and has none; None where it is not wrapped."""
        found = self.layers[0].opened(outer)
        for layer in self.layers[1:]:
            if found is None:
                return None
            found = [inner for one in found for inner in _through(layer, one)]
        return found

    def joiner(self) -> Joiner | None:
        """Return what finds the lines that belong together; None where each stands alone."""
        return Joiner(self.layers[0]) if self.layers[0].joins else None


class Joiner:
    """Finds lines that belong together. Bounded: what goes on for too long is given up."""

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._waiting: frozenset[bytes] = NOTHING
        self._lines = self._bytes = 0

    def ends(self, line: bytes) -> bool:
        """Take the next line, and say whether nothing waits behind it."""
        self._waiting = self._wrapping.goes_on(line, self._waiting)
        self._lines += 1
        self._bytes += len(line)
        if self._waiting and self._lines < LINES_MOST and self._bytes < BYTES_MOST:
            return False
        self.forget()
        return True


def _through(layer: Wrapping, inner: bytes) -> list[bytes]:
    """What is inside of something inside; itself where it is not wrapped once more."""
    found = layer.opened(inner)
    if found is None and not layer.is_text and b"}" in inner:
        several = [layer.opened(one) for one in objects(inner)]
        found = None if None in several or not several else [one for some in several for one in some or ()]
    return [inner] if found is None else found


def objects(data: bytes) -> list[bytes]:
    """Return JSON objects that stand one behind another with nothing between them; [] where there are not several."""
    if len(data) > SPLIT_MOST:
        return []
    try:
        told, at, found = data.decode(), 0, []
        while at < len(told):
            _, end = _JSON.raw_decode(told, at)
            found.append(told[at:end].encode())
            at = _BLANK.match(told, end).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        return []
    return found if len(found) > 1 and all(one[:1] == b"{" for one in found) else []


def chains(sample: Sequence[bytes]) -> Iterator[tuple[Chain, list[bytes]]]:
    """Yield the wrappings around the first lines of an input, one layer more each time, with what is inside of them.

    More than half of the lines must be wrapped alike. The caller takes the first whose inside it can read.
    """
    lines = [one for one in sample[:LOOKED_AT] if one and one.strip()]
    layers: list[Wrapping] = []
    while lines and len(layers) < DEEPEST:
        found = _fitting(lines, first=not layers)
        if found is None:
            return
        layer, lines = found
        layers.append(layer)
        yield Chain(layers), lines


def _fitting(lines: Sequence[bytes], first: bool) -> tuple[Wrapping, list[bytes]] | None:
    table = Console.of(lines[0]) if first else None
    for one in (table, *WRAPPINGS) if table else WRAPPINGS:
        outers = joined(lines, one) if first and one.joins else lines
        opened = [one.opened(outer) for outer in outers]
        if 2 * sum(found is not None for found in opened) > len(opened):
            inner = [part for found in opened for part in found or () if part.strip()][:LOOKED_AT]
            return one, inner
    return None


def joined(lines: Sequence[bytes], wrapping: Wrapping) -> list[bytes]:
    """Return lines with those in one that belong together."""
    joiner, found, group = Joiner(wrapping), [], []
    for line in lines:
        group.append(line)
        if joiner.ends(line):
            found.append(b"\n".join(group))
            group = []
    return [*found, b"\n".join(group)] if group else found


def opened(value: bytes) -> list[bytes] | None:
    """Return what is inside of one value, whichever wrapping it has: one layer. None where it has none."""
    for one in WRAPPINGS:
        found = one.opened(value)
        if found is not None:
            return found
    return objects(value) or None

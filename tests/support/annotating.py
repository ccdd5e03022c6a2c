"""Bytes in, annotated bytes out, in this process; what the other tests here share."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

from enrich import History, NamingOptions
from ingest.files import Input
from whowas.annotation.annotator import Choice
from whowas.annotation.namer import BatchNamer
from whowas.annotation.run import Done, Form, Run
from whowas.annotation.times import Clock
from whowas.timestamps import zone_of

# In samples/overlay, 10.244.1.20 is this pod at this time.
WEB, AT = "web-6c9f7d5b8-hq6zt", "2026-11-21T08:39:36.000000Z"
AT_S = 1795250376


class Pieces(io.RawIOBase):
    """A pipe whose writer writes in pieces of a size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._left, self._size = data, size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        count = min(self._size, size) if size >= 0 else self._size
        head, self._left = self._left[:count], self._left[count:]
        return head


@dataclass
class Annotated:
    """What came of some bytes. said: the lines for the user."""

    data: bytes
    done: Done
    said: list[str]

    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.data.splitlines()]


def annotate(
    data: bytes,
    known: History,
    choice: Choice | None = None,
    form: Form | None = None,
    *,
    pieces: int = 1 << 20,
    unit: str | None = None,
    zone: str = "",
    naming: NamingOptions | None = None,
) -> Annotated:
    out: list[bytes] = []
    said: list[str] = []
    clock = Clock(unit, zone_of(zone) if zone else None)
    run = Run(
        BatchNamer(known, naming or NamingOptions()), choice or Choice(), form or Form(), clock, out.append, said.append
    )
    done = run.annotate(Input("-", Pieces(data, pieces), 0))  # type: ignore[arg-type]
    tally = done.tally
    assert tally.lines == tally.named + tally.without + sum(tally.unread.values()), tally
    return Annotated(b"".join(out), done, said)


def unread(found: Annotated) -> dict[str, int]:
    return dict(found.done.tally.unread)

"""Says what a list holds, item by item: objects of a cluster, audit events, series of Prometheus, streams of Loki."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from ingest.cluster.evidence.aside import Aside
from ingest.cluster.evidence.lines import DECODE_OBJECT, EvidenceReport, Line, decode_item, decode_line, listed
from ingest.cluster.evidence.list_value import RESULT, ListValue
from ingest.cluster.evidence.other_sources import Imports
from whowas.observation import Observation, newest_by_control_plane
from whowas.stages import FileReport

AUDIT = re.compile(rb'"apiVersion"\s*:\s*"audit\.k8s\.io/')
EVENT_LIST = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%b]}'
STREAMS = re.compile(rb'"resultType"\s*:\s*"streams"')
FAULTS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class File(Protocol):
    """Whose lists they are. told, report, imports: filled while reading."""

    told: FileReport
    report: EvidenceReport
    imports: Imports
    cluster: str | None

    def note(self, offset: int, reason: str) -> None:
        """Say what is wrong at a place."""

    def taken(self, line: Line) -> None:
        """Give a list the time that was told for it, where it has none."""

    def value(self, raw: bytes, offset: int, depth: int) -> Iterator[Observation]:
        """Yield what a value says that is held as a whole."""


class ListReader:
    """One list of a file."""

    def __init__(self, file: File, value: ListValue) -> None:
        self._file, self._list = file, value

    def observations(self) -> Iterator[Observation]:
        """Yield what the list says; what no item of it says is noted."""
        items = self._list.items()
        first = next(items, None)
        rest = items if first is None else self._chained(first, items)
        yield from self._kind(first[1] if first else b"")(rest)
        if self._list.fault:
            self._file.note(self._list.fault_at, self._list.fault)

    @staticmethod
    def _chained(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        yield first
        yield from rest

    def _kind(self, first: bytes) -> Callable[[Iterator[tuple[int, bytes]]], Iterator[Observation]]:
        """What the items are, by what stands before them; where that does not tell, by the first one."""
        head = self._list.head
        if self._list.path == RESULT:
            return self._streams if STREAMS.search(head) or first.startswith(b'{"stream"') else self._series
        apart = b'"apiVersion"' in head
        return self._events if AUDIT.search(head) or (not apart and b'"auditID"' in first) else self._objects

    def _events(self, items: Iterator[tuple[int, bytes]]) -> Iterator[Observation]:
        """Audit events say nothing before all of them are known."""
        file, offset = self._file, self._list.offset
        for at, raw in items:
            file.imports.take_event(EVENT_LIST % raw, offset, file.told, at)
        file.told.records += 1
        return iter(())

    def _streams(self, items: Iterator[tuple[int, bytes]]) -> Iterator[Observation]:
        for _, raw in items:
            yield from self._file.value(self._list.with_item(raw), self._list.offset, 0)

    def _series(self, items: Iterator[tuple[int, bytes]]) -> Iterator[Observation]:
        file = self._file
        with Aside() as aside:
            for _, raw in items:
                aside.add(raw)
            around, offset = self._list.around(), self._list.offset
            if file.imports.take_series(around, aside, offset, file.told):
                file.told.records += 1
            else:
                yield from file.value(around, offset, 0)

    def _objects(self, items: Iterator[tuple[int, bytes]]) -> Iterator[Observation]:
        """The list was taken at the newest time in it: all of it is read before any of it is said."""
        file, newest = self._file, 0
        with Aside() as aside:
            for at, raw in items:
                try:
                    thing = decode_item(raw, file.report)
                except FAULTS as error:
                    file.report.refused["broken_json"] += 1
                    file.note(at, f"no JSON value that could be read: {error}"[:300])
                    continue
                if thing is not None:
                    newest = max(newest, newest_by_control_plane(thing))
                    aside.add(msgspec.json.encode(thing))
            yield from self._listed(aside, newest)

    def _listed(self, aside: Aside, newest: int) -> Iterator[Observation]:
        file, offset = self._file, self._list.offset
        try:
            line = decode_line(self._list.around(), file.report)
        except FAULTS as error:
            file.note(self._list.end, f"what stands around a list's items cannot be read: {error}"[:300])
            line = Line(items=[])
        if line.type is not None or not aside:
            yield from file.value(self._list.around(), offset, 1)
            return
        file.taken(line)
        for one in listed(line, map(DECODE_OBJECT.decode, aside), newest, f"{file.told.path}@{offset}", file.cluster):
            file.told.records += 1
            file.report.observations[one.object.kind or one.verb] += 1
            yield one

"""Files of records as a source of flows: block by block, each block a batch."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ingest.files import Input, open_input
from ingest.progress import Progress
from ingest.records.files.beginnings import HEAD, RecordFiles, first_bytes
from ingest.records.files.framing import LINES, MESSAGES, Framer, Layout, recognise
from ingest.records.formats.wrapped import WrappedReader
from ingest.records.reader import Ids, Parsed, RecordOptions, Values, read_safely
from whowas.errors import BrokenInput, InputError
from whowas.stages import FileReport, Position, Refused, Report, Unreadable

# What is longer is no record. It is passed over, and what follows it is read.
LONGEST = 16 << 20
# A block of very short lines is taken apart in several steps: each line that is refused has an object of its own.
VALUES_AT_ONCE = 1 << 17
PROGRESS_SECONDS = 0.2
PLACES_KEPT = 20


def holds_records(path: str, files: RecordFiles) -> bool:
    """Say whether a path holds records of a known format. What cannot be looked at without being used up does not."""
    try:
        recognise(head := first_bytes(path), len(head) < HEAD, None, files.options)
    except (InputError, BrokenInput):
        return False
    return True


def _misfit(format: str, head: bytes, whole: bool, options: RecordOptions) -> str:
    """Say why a head does not look like the format that was asked for; "" where it does."""
    why = f"not one of its records is of the format '{format}'"
    try:
        reader = recognise(head, whole, None, options).reader
    except InputError:
        return why
    if isinstance(reader, WrappedReader):
        return f"{why}: its lines are wrapped, which is read where no format is told"
    return "" if reader.format == format else why


class RecordSource:
    """A whowas.stages.Source over files of records. `report` is brought up to date block by block."""

    def __init__(
        self,
        paths: Sequence[str],
        files: RecordFiles | None = None,
        progress: Callable[[Progress], None] | None = None,
        report: Report | None = None,
        aside: Callable[[str, int, str, bytes], None] | None = None,
    ) -> None:
        """Args: paths: files, `-` for standard input. report: one to go on with, beside another source.

        aside: is given each refused record: file, number in it from 1, reason, the record as it came.
        """
        self.report = report or Report()
        self._paths = list(paths)
        self._files = files or RecordFiles()
        self._progress = progress
        self._told = 0.0
        self._aside = aside

    def batches(self) -> Iterator[tuple[Any, Position]]:
        """Yield (record batch of flow_schema, position). A file that breaks is reported; the next one follows."""
        for path in self._paths:
            yield from self._file(path)

    def commit(self, position: Position) -> None:
        """Nothing to remember: a file can be read again."""

    def _file(self, path: str) -> Iterator[tuple[Any, Position]]:
        told = FileReport(path)
        self.report.files.append(told)
        before = self.report.bytes
        try:
            with open_input(path) as source:
                yield from _Reading(source, told, self).batches(before)
                self.tell(source, last=True)
        except InputError as error:
            told.unreadable.append(Unreadable(0, str(error)))

    def tell(self, source: Input, last: bool = False) -> None:
        """Say how far it is, some times a second at most."""
        now = time.monotonic()
        if self._progress is not None and (last or now - self._told > PROGRESS_SECONDS):
            self._told = now
            self._progress(Progress(source.path, source.consumed, source.size, records=self.report.records))

    def keep(self, told: FileReport, parsed: Parsed, values: Values, first: int) -> None:
        """Count what a block gave. Args: first: number of its first record in the file."""
        report = self.report
        report.records += len(values)
        told.records += len(values)
        report.record_flows += parsed.flows.num_rows
        report.noted_records.update(parsed.noted)
        for one in parsed.skipped:
            report.skipped[one.reason] += 1
        for one in parsed.refused:
            number = first + one.index + 1
            report.refused_records[one.reason] += 1
            if len(told.refused) < PLACES_KEPT:
                told.refused.append(Refused(number, one.reason))
            if self._aside is not None:
                self._aside(told.path, number, one.reason, values[one.index] if one.record is None else one.record)

    @property
    def files(self) -> RecordFiles:
        """How the files are read."""
        return self._files


class _Reading:
    """One file being read."""

    def __init__(self, source: Input, told: FileReport, owner: RecordSource) -> None:
        self._source = source
        self._told = told
        self._owner = owner
        self._number = 0
        self._origin = ""
        self._flows = 0
        # Values before the last record that did not end; inside of a line that is too long.
        self._stuck_at = -1
        self._passing = False

    def batches(self, before: int) -> Iterator[tuple[Any, Position]]:
        """Yield flows of whole blocks."""
        files = self._owner.files
        head, ended = self._read(HEAD)
        if not head:
            self._told.unreadable += [] if self._told.unreadable else [Unreadable(0, "the file is empty")]
            return
        layout = recognise(head, ended, files.format, files.options)
        yield from self._blocks(layout, head, ended, before)
        told = self._told
        if files.format and told.records and not self._flows:
            why = _misfit(files.format, head, ended, files.options)
            told.unreadable += [Unreadable(0, why)] if why else []

    def _blocks(self, layout: Layout, block: bytes, ended: bool, before: int) -> Iterator[tuple[Any, Position]]:
        """Yield the flows of a block, the file's first bytes, and of all behind it."""
        self._told.format = layout.reader.format
        framer = layout.framer()
        while True:
            values, waiting = framer.take(self._behind_too_long(block), last=ended)
            for first in range(0, len(values), VALUES_AT_ONCE):
                yield from self._values(layout, values[first : first + VALUES_AT_ONCE])
            self._owner.report.bytes = before + self._source.consumed
            self._owner.tell(self._source)
            if waiting > LONGEST or (ended and waiting):
                self._stuck(framer, layout, waiting)
                if layout.framing == MESSAGES:
                    return
            if ended:
                return
            block, ended = self._read(self._owner.files.block_bytes)

    def _read(self, count: int) -> tuple[bytes, bool]:
        """The next bytes, and whether they are the last."""
        block = b""
        try:
            block = self._source.read(count)
            if len(block) == count:
                return block, False
            # A stream that is damaged says so at the call after its last byte.
            self._source.read(1)
        except BrokenInput as broken:
            self._told.unreadable.append(Unreadable(broken.offset, broken.reason))
        return block, True

    def _values(self, layout: Layout, values: Values) -> Iterator[tuple[Any, Position]]:
        if not len(values):
            return
        if not self._origin:
            self._origin = _origin(self._source.path, values)
        ids = Ids(self._origin, np.arange(self._number, self._number + len(values)))
        parsed = read_safely(layout.reader, values, ids)
        self._owner.keep(self._told, parsed, values, self._number)
        self._number += len(values)
        self._flows += parsed.flows.num_rows
        if parsed.flows.num_rows:
            yield parsed.flows, Position(self._source.path, self._source.offset)

    def _stuck(self, framer: Framer, layout: Layout, waiting: int) -> None:
        """What waits will never be whole: say where, and go on behind it where records can be found again."""
        at = self._source.offset - waiting
        what = "message" if layout.framing == MESSAGES else "record"
        if self._stuck_at != self._number:
            # Once, not for each part of what is still the same.
            self._told.unreadable.append(Unreadable(at, f"a {what} that does not end, or is no {what}"))
        self._stuck_at = self._number
        self._passing = layout.framing == LINES
        framer.forget()

    def _behind_too_long(self, block: bytes) -> bytes:
        """What of a block lies behind a line that is too long."""
        if not self._passing:
            return block
        cut = block.find(b"\n") + 1
        self._passing = not cut
        return block[cut:] if cut else b""


def _origin(path: str, values: Values) -> str:
    """Name of a file and a digest of its first record: the same in a copy, another in the next rotation."""
    name = "stdin" if path == "-" else os.path.basename(path)
    first = next((one for one in values[:64] if one and not one.startswith(b"#")), b"")
    return f"{name}\0{hashlib.sha256(first).hexdigest()[:16]}"

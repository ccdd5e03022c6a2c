"""Captures as a source of flows: file by file, block by block, batch by batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ingest.files import Input, open_input
from ingest.packets import flow_table as t
from ingest.packets.capture import Block, Capture, unsupported_links
from ingest.packets.conversation import END_CAPTURE, END_FIN, END_RST
from ingest.packets.decode import layer_tables
from ingest.packets.file_order import NEVER, in_time_order
from ingest.packets.fold import OUT_MARGIN, fold
from ingest.packets.layout import LINK_TYPE, NOTED, REFUSED
from ingest.packets.link_types import link_reason
from ingest.packets.names_seen import NamesSeen
from ingest.packets.observations import Joined, Observations, Sights, picked
from ingest.packets.observing import WATCHES
from ingest.packets.options import PacketOptions
from ingest.packets.points import several_points
from ingest.packets.to_batch import to_batch
from ingest.packets.waiting_fragments import count_overdue
from ingest.packets.window import Window
from ingest.progress import Progress
from whowas.arrays import Words
from whowas.errors import InputError
from whowas.side_threads import ahead
from whowas.stages import FileReport, Position, Report, Unreadable

PROGRESS_SECONDS = 0.2
LINGER_SECONDS = 10.0
LATENESS_SECONDS = 10.0
FRAGMENT_SECONDS = 30.0
Finished = tuple[Words, Words, list[str], list[str], Sights | None] | Any
"""Conversations that are over, as `to_batch` takes them, or the batch of them."""


def _spans(options: PacketOptions) -> Words:
    spans = np.zeros(t.SPANS, dtype=np.int64)
    spans[t.IDLE] = round(options.idle_timeout_seconds * 1e6)
    spans[t.ACTIVE] = round(options.active_timeout_seconds * 1e6) or 1 << 62
    spans[t.LINGER] = round(LINGER_SECONDS * 1e6)
    spans[t.LATENESS] = round(LATENESS_SECONDS * 1e6)
    spans[t.FRAGMENTS_KEPT] = round(FRAGMENT_SECONDS * 1e6)
    return spans


class CaptureSource:
    """A whowas.stages.Source over capture files. `report` is brought up to date block by block."""

    def __init__(
        self, paths: Sequence[str], options: PacketOptions, progress: Callable[[Progress], None] | None = None
    ) -> None:
        """Args: paths: files, `-` for standard input. progress: called some times a second at most."""
        self.report = Report()
        self._paths = list(paths)
        self._options = options
        self._progress = progress
        self._tables = layer_tables(options.vxlan_ports, options.geneve_ports, options.tunnels)
        self._table = t.Table(options.max_conversations, options.batch_rows + OUT_MARGIN, _spans(options))
        self.names = NamesSeen() if options.observe else None
        self._table.numbers[t.OBSERVE] = sum(WATCHES[word] for word in set(options.observe))
        self._window = Window()
        self._observers: list[str] = []
        self._formats: list[str] = []
        self._names: dict[str, int] = {}
        self._waiting = Observations()
        self._told_at = 0.0
        self._last_time = 0
        self._bytes_before = 0
        self._span = (NEVER, 0)

    def batches(self) -> Iterator[tuple[Any, Position]]:
        """Yield (record batch of flow_schema, position). A file that breaks is reported; the next one follows.

        Packets are folded on a thread of their own, which keeps `report` and tells of progress.
        """
        for finished, position in ahead(self._finished_rows()):
            yield to_batch(*finished) if isinstance(finished, tuple) else finished, position

    def _finished_rows(self) -> Iterator[tuple[Finished, Position]]:
        position, told = Position("", 0), self._options
        joining = told.count == "once" and len(self._paths) > 1 and not told.continuous
        order = in_time_order(self._paths) if told.continuous or joining else [(path, NEVER) for path in self._paths]
        if joining:
            self._watch_points()
        for path, following in order:
            for finished, position in self._file(path):
                yield finished, position
            if not told.continuous:
                yield from self._drain(position)
                yield from self._joined(self._waiting.release(following), position)
        if told.continuous:
            yield from self._drain(position)
        yield from self._joined(self._waiting.finish(), position)
        if joining:
            self.report.files.sort(key=lambda one: self._paths.index(one.path))

    def commit(self, position: Position) -> None:
        """Nothing to remember: a capture can be read again."""

    def _file(self, path: str) -> Iterator[tuple[Finished, Position]]:
        told = FileReport(path)
        self.report.files.append(told)
        try:
            source = open_input(path)
        except InputError as error:
            told.unreadable.append(Unreadable(0, str(error)))
            return
        with source:
            capture = Capture(source, self._window, self._observers, _base_name(path), self._names)
            self._table.numbers[t.FILE_SEEN] = 0
            self._span = (NEVER, 0)
            for block in capture.blocks():
                told.format = capture.format
                told.packets += len(block.packets)
                yield from self._block(block, capture, Position(path, source.offset))
                self._tell(source)
            self._waiting.files += [self._span] * (len(self._observers) - len(self._waiting.files))
            told.format = capture.format
            told.unreadable += capture.unreadable
            self._tell(source, last=True)
            self._bytes_before = self.report.bytes

    def _count_bytes(self, source: Input) -> None:
        self.report.bytes = self._bytes_before + source.consumed

    def _tell(self, source: Input, last: bool = False) -> None:
        self._count_bytes(source)
        now = time.monotonic()
        if self._progress is not None and (last or now - self._told_at > PROGRESS_SECONDS):
            self._told_at = now
            self._progress(Progress(source.path, source.consumed, source.size, self.report.packets))

    def _block(self, block: Block, capture: Capture, position: Position) -> Iterator[tuple[Finished, Position]]:
        """Fold a block; a batch comes out whenever enough conversations are finished."""
        table, done = self._table, 0
        self._formats += [capture.format] * (len(self._observers) - len(self._formats))
        before = int(table.refused[LINK_TYPE])
        if not table.spans[t.WATCH] and several_points(block.interfaces):
            self._watch_points()
        self._fill_times(block)
        while True:
            with np.errstate(over="ignore"):  # hashing wraps; compiled code never warns
                done = fold(
                    block.data, block.packets, done, block.interfaces, self._tables, table.facts, table.keys,
                    table.pool, table.cold, table.slots, table.fragments, table.held, table.numbers, table.secret,
                    table.spans, table.out, table.out_cold, table.refused, table.noted, table.picks,
                )  # fmt: skip
            if self.names:
                self.names.take(block, table)
            if done == len(block.packets):
                break
            if table.numbers[t.WANTS_SLOTS]:
                table.grow()
            else:
                yield from self._finished(position)
        self._count(block, before)

    def _fill_times(self, block: Block) -> None:
        """A packet without a time gets that of the packet before it, 1970 when there is none; it is noted."""
        when = block.packets[:, 3]
        missing = np.flatnonzero(when < 0)
        for place in missing:
            when[place] = when[place - 1] if place else self._last_time
        if len(missing):
            self.report.noted["no_time"] += len(missing)
        self._last_time = int(when[-1])
        self._span = min(self._span[0], int(when.min())), max(self._span[1], int(when.max()))

    def _count(self, block: Block, before: int) -> None:
        """Carry the kernel's counters over to the report, once a block is folded."""
        table, report = self._table, self.report
        report.packets += len(block.packets)
        for code, reason in REFUSED.items():
            if code != LINK_TYPE and table.refused[code]:
                report.refused[reason] = int(table.refused[code])
        self._count_noted()
        if table.refused[LINK_TYPE] > before:
            for link, number in unsupported_links(block, self._tables).items():
                report.refused[link_reason(link, report.refused)] += number

    def _count_noted(self) -> None:
        for code, reason in NOTED.items():
            if self._table.noted[code]:
                self.report.noted[reason] = int(self._table.noted[code])

    def _watch_points(self) -> None:
        """From now on keep points of observation apart; their rows wait for each other, unless every one counts."""
        table, once = self._table, self._options.count == "once"
        table.spans[t.WATCH] = t.TAKING_MARKS if once else t.APART
        if once:
            table.take_marks()

    def _finished(self, position: Position) -> Iterator[tuple[Finished, Position]]:
        table = self._table
        number = int(table.numbers[t.OUT])
        table.numbers[t.OUT] = 0
        if number:
            # The next block is folded into the same room, while these are made into a batch.
            yield from self._given(table.out[:number].copy(), table.out_cold[:number].copy(), position)

    def _given(self, rows: Words, cold: Words, position: Position) -> Iterator[tuple[Finished, Position]]:
        if self._table.spans[t.WATCH] == t.TAKING_MARKS:
            self._waiting.add(rows, cold)
        else:
            yield self._told(rows, cold), position

    def _joined(self, parts: Iterator[Joined], position: Position) -> Iterator[tuple[Finished, Position]]:
        """Yield what was held, each part by start."""
        for rows, cold, sights in parts:
            order, most = np.lexsort((cold[:, t.SEQUENCE], rows[:, t.FIRST])), self._options.batch_rows
            self.report.repeated = self._waiting.repeated
            for start in range(0, len(order), most):
                some = order[start : start + most]
                yield self._told(rows[some], cold[some], picked(sights, some)), position

    def _told(self, rows: Words, cold: Words, sights: Sights | None = None) -> Finished:
        self.report.conversations += len(rows)
        finished = rows, cold, list(self._observers), list(self._formats), sights
        if self.names is None:
            return finished
        # What was told changes with the next block, and is forgotten with the row.
        batch = to_batch(*finished, self.names)
        if sights is not None:
            self.names.forget(sights.cold)
        return batch

    def _drain(self, position: Position) -> Iterator[tuple[Finished, Position]]:
        """Write out what is finished and what is still open, the latter in one order over all batches."""
        table = self._table
        yield from self._finished(position)
        with np.errstate(over="ignore"):
            count_overdue(
                NEVER, 0, table.keys[t.GROUP], table.pool, table.cold, table.slots, table.held, table.numbers,
                table.secret, table.spans, table.out, table.out_cold, table.noted,
            )  # fmt: skip
        self._count_noted()
        yield from self._finished(position)
        left = table.open_rows()
        for start in range(0, len(left), self._options.batch_rows):
            picked = left[start : start + self._options.batch_rows]
            rows, cold = table.pool[picked], table.cold[picked]
            state = rows[:, t.STATE]
            closed = np.where(state & t.CLOSED_BY_RESET, END_RST, END_FIN)
            cold[:, t.REASON] = np.where(state & t.CLOSED, closed, END_CAPTURE)
            yield from self._given(rows, cold, position)
        table.empty()


def _base_name(path: str) -> str:
    return "stdin" if path == "-" else os.path.basename(path)

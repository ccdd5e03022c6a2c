"""Captures as a source of flows: file by file, block by block, batch by batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.files import Input, open_input
from ingest.packets import flow_table as t
from ingest.packets.capture import Block, Capture, unsupported_links
from ingest.packets.conversation import END_CAPTURE, END_FIN, END_RST
from ingest.packets.decode import OPENED, OPENED_BY_DEFAULT, layer_tables
from ingest.packets.fold import OUT_MARGIN, fold
from ingest.packets.layout import LINK_TYPE, NOTED, REFUSED
from ingest.packets.link_types import link_reason
from ingest.packets.names_seen import NamesSeen
from ingest.packets.observing import WATCHES
from ingest.packets.to_batch import to_batch
from ingest.packets.waiting_fragments import count_overdue
from ingest.packets.window import Window
from ingest.progress import Progress
from whowas.arrays import Words
from whowas.errors import ConfigError, InputError
from whowas.stages import FileReport, Position, Report, Unreadable

PROGRESS_SECONDS = 0.2
LINGER_SECONDS = 10.0
LATENESS_SECONDS = 10.0
FRAGMENT_SECONDS = 30.0
# A time from which everything is long ago, us.
NEVER = 1 << 61


@dataclass(frozen=True)
class PacketOptions:
    """How captures are read.

    idle_timeout_seconds: silence that ends a conversation. active_timeout_seconds: a longer one is cut into
    rows; 0 = never. Both by the packets' times. max_conversations: open at once; beyond that rows are written
    out early (table_full). batch_rows: rows of a batch at most. continuous: the files are one capture that
    was rotated, so that a conversation may go on in the next file. tunnels: what is opened, words of decode.OPENED.
    observe: which names are looked for in first payloads, words of observing.WATCHES.
    """

    vxlan_ports: tuple[int, ...] = (4789, 8472)
    geneve_ports: tuple[int, ...] = (6081,)
    idle_timeout_seconds: float = 120.0
    active_timeout_seconds: float = 1800.0
    max_conversations: int = 1 << 20
    batch_rows: int = 1 << 15
    continuous: bool = False
    tunnels: tuple[str, ...] = OPENED_BY_DEFAULT
    observe: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for port in (*self.vxlan_ports, *self.geneve_ports):
            if not 0 < port < 1 << 16:
                raise ConfigError(f"cannot use tunnel port {port}: not a UDP port; say a number from 1 to 65535")
        unknown = [word for word in self.tunnels if word not in OPENED]
        if unknown:
            raise ConfigError(f"cannot open tunnels of kind '{unknown[0]}': not known; say some of {', '.join(OPENED)}")
        strange = [word for word in self.observe if word not in WATCHES]
        if strange:
            raise ConfigError(f"cannot observe '{strange[0]}': not known; say some of {', '.join(WATCHES)}")
        shared = set(self.vxlan_ports) & set(self.geneve_ports)
        if shared:
            raise ConfigError(f"cannot use port {min(shared)} for two kinds of tunnel; give it to one of them")
        if not 0 < self.idle_timeout_seconds < 10**9 or not 0 <= self.active_timeout_seconds < 10**9:
            raise ConfigError(
                "cannot use such timeouts: idle must be above 0, active 0 or above, both below 10^9 seconds"
            )
        if not 1 <= self.max_conversations <= 1 << 27 or self.batch_rows < 1:
            raise ConfigError("cannot use such bounds: max_conversations must be 1 to 2^27, batch_rows at least 1")


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
        self._told = 0.0
        self._last_time = 0
        self._bytes_before = 0

    def batches(self) -> Iterator[tuple[Any, Position]]:
        """Yield (record batch of flow_schema, position). A file that breaks is reported; the next one follows."""
        position = Position("", 0)
        for path in in_time_order(self._paths) if self._options.continuous else self._paths:
            for batch, position in self._file(path):
                yield batch, position
            if not self._options.continuous:
                yield from self._drain(position)
        if self._options.continuous:
            yield from self._drain(position)

    def commit(self, position: Position) -> None:
        """Nothing to remember: a capture can be read again."""

    def _file(self, path: str) -> Iterator[tuple[Any, Position]]:
        told = FileReport(path)
        self.report.files.append(told)
        try:
            source = open_input(path)
        except InputError as error:
            told.unreadable.append(Unreadable(0, str(error)))
            return
        with source:
            capture = Capture(source, self._window, self._observers, _base_name(path))
            self._table.numbers[t.FILE_SEEN] = 0
            for block in capture.blocks():
                told.format = capture.format
                told.packets += len(block.packets)
                yield from self._block(block, capture, Position(path, source.offset))
                self._tell(source)
            told.format = capture.format
            told.unreadable += capture.unreadable
            self._tell(source, last=True)
            self._bytes_before = self.report.bytes

    def _count_bytes(self, source: Input) -> None:
        self.report.bytes = self._bytes_before + source.consumed

    def _tell(self, source: Input, last: bool = False) -> None:
        self._count_bytes(source)
        now = time.monotonic()
        if self._progress is not None and (last or now - self._told > PROGRESS_SECONDS):
            self._told = now
            self._progress(Progress(source.path, source.consumed, source.size, self.report.packets))

    def _block(self, block: Block, capture: Capture, position: Position) -> Iterator[tuple[Any, Position]]:
        """Fold a block; a batch comes out whenever enough conversations are finished."""
        table, done = self._table, 0
        self._formats += [capture.format] * (len(self._observers) - len(self._formats))
        before = int(table.refused[LINK_TYPE])
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
                yield self._finished(), position
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

    def _finished(self) -> Any:
        table = self._table
        number = int(table.numbers[t.OUT])
        table.numbers[t.OUT] = 0
        return self._batch(table.out[:number], table.out_cold[:number])

    def _batch(self, rows: Words, cold: Words) -> Any:
        self.report.conversations += len(rows)
        return to_batch(rows, cold, self._observers, self._formats, self.names)

    def _drain(self, position: Position) -> Iterator[tuple[Any, Position]]:
        """Write out what is finished and what is still open, the latter in one order over all batches."""
        table = self._table
        if table.numbers[t.OUT]:
            yield self._finished(), position
        with np.errstate(over="ignore"):
            count_overdue(
                NEVER, 0, table.keys[t.GROUP], table.pool, table.cold, table.slots, table.held, table.numbers,
                table.secret, table.spans, table.out, table.out_cold, table.noted,
            )  # fmt: skip
        self._count_noted()
        if table.numbers[t.OUT]:
            yield self._finished(), position
        left = table.open_rows()
        for start in range(0, len(left), self._options.batch_rows):
            picked = left[start : start + self._options.batch_rows]
            rows, cold = table.pool[picked], table.cold[picked]
            state = rows[:, t.STATE]
            closed = np.where(state & t.CLOSED_BY_RESET, END_RST, END_FIN)
            cold[:, t.REASON] = np.where(state & t.CLOSED, closed, END_CAPTURE)
            yield self._batch(rows, cold), position
        table.empty()


def in_time_order(paths: Sequence[str]) -> list[str]:
    """Sort the files of one rotated capture by their first packets: a ring's names begin anew, and 10 sorts before 9.

    What tells no time keeps its place behind the file before it. Standard input is read once: then nothing is sorted.
    """
    if "-" in paths or len(paths) < 2:
        return list(paths)
    window, last, times = Window(), 0, []
    for path in paths:
        last = _first_time(path, window, last)
        times.append(last)
    return [path for _, _, path in sorted(zip(times, range(len(paths)), paths, strict=True))]


def _first_time(path: str, window: Window, unknown: int) -> int:
    """Time of a file's first packet, us; `unknown` where it tells none."""
    try:
        with open_input(path) as source:
            for block in Capture(source, window, [], path).blocks():
                when = int(block.packets[0, 3])
                return when if when >= 0 else unknown
    except InputError:
        pass
    return unknown


def _base_name(path: str) -> str:
    return "stdin" if path == "-" else os.path.basename(path)

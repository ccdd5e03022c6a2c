"""Where one record ends and the next begins in a file: lines, JSON objects that span them, or protobuf messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec
import numpy as np

from ingest.records.formats.recognise import reader_for
from ingest.records.formats.wrapped import WrappedReader
from ingest.records.kernels.lines import BEGIN, DEPTH, frame_objects
from ingest.records.kernels.protobuf import frames
from ingest.records.reader import PADDING, RecordOptions, RecordReader, Values
from ingest.wrappings import Joiner
from whowas.errors import InputError

LINES, OBJECTS, MESSAGES, WHOLE = "lines", "objects", "messages", "whole"

# Documents with a list of records in them, whatever stands before it: Azure, CloudWatch, Firehose.
DOCUMENT = re.compile(rb'\{[^{}]*?"(?:records|events|logEvents)"\s*:\s*\[\s*[{\]]')
ARRAY = re.compile(rb"\[\s*(?:[{\]]|$)")


def _trimmed(head: bytes, whole: bool) -> bytes:
    """A head without the line that it cuts off."""
    cut = head.rfind(b"\n")
    return head if whole or cut < 0 else head[: cut + 1]


def _objects(head: bytes, base: int) -> list[bytes]:
    framer = Framer(OBJECTS, base)
    values, _ = framer.take(head, last=True)
    return list(values[:64]) if len(values) else []


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return False


def depth_of_objects(head: bytes) -> int | None:
    """Depth at which records stand in a JSON document; None where lines are records."""
    start = head.lstrip()
    if ARRAY.match(start):
        return 1
    if not start.startswith(b"{"):
        return None
    if DOCUMENT.match(start):
        return 2
    line = start.split(b"\n", 1)[0].strip()
    return None if _is_json(line) or line.endswith(b"}") or b"\n" not in start else 0


@dataclass(frozen=True)
class Layout:
    """How a file is to be read: by whom, and cut how."""

    reader: RecordReader
    framing: str
    depth: int = 0

    def framer(self) -> Framer:
        """Return what cuts the file."""
        joiner = self.reader.chain.joiner() if isinstance(self.reader, WrappedReader) else None
        return Framer(self.framing, self.depth, joiner)


def recognise(head: bytes, whole: bool, format: str | None, options: RecordOptions) -> Layout:
    """Find out what a file holds by its first bytes. Args: whole: that is all of it.

    Raises: InputError where no format is known.
    """
    depth = depth_of_objects(head)
    if depth is None:
        sample: list[bytes] = list(Values.of_lines(_trimmed(head, whole))[:64])
    else:
        sample = _objects(head, depth)
    reader = _reader(format, sample, head, options)
    if reader.format == "goflow2-protobuf":
        return Layout(reader, MESSAGES)
    if reader.format == "netobserv-protobuf":
        return Layout(reader, WHOLE)
    return Layout(reader, LINES) if depth is None else Layout(reader, OBJECTS, depth)


def _reader(format: str | None, sample: list[bytes], head: bytes, options: RecordOptions) -> RecordReader:
    try:
        return reader_for(format, sample, options, as_told=True)
    except InputError:
        if format is not None:
            raise
        return reader_for(None, [head], options)


@dataclass
class Framer:
    """Cuts blocks of a file into values; what is not whole yet waits for the next block."""

    framing: str
    depth: int = 0
    joiner: Joiner | None = None
    waiting: bytes = b""
    state: np.ndarray = field(default_factory=lambda: np.array([0, 0, 0, -1], dtype=np.int64))

    def take(self, block: bytes, last: bool = False) -> tuple[Values, int]:
        """Return the values that are whole now, and how many bytes still wait. Args: last: nothing follows."""
        data = self.waiting + block
        values, used = getattr(self, f"_{self.framing}")(data, last)
        self.waiting = b"" if last and self.framing != MESSAGES else data[used:]
        return values, len(self.waiting)

    def forget(self) -> None:
        """Give up what waits."""
        self.waiting = b""
        self.state[:] = (0, 0, 0, -1)

    def _lines(self, data: bytes, last: bool) -> tuple[Values, int]:
        used = len(data) if last else data.rfind(b"\n") + 1
        values = Values.of_lines(memoryview(data)[:used])
        return (values, used) if self.joiner is None else self._joined(values, self.joiner, used, last)

    def _joined(self, values: Values, joiner: Joiner, used: int, last: bool) -> tuple[Values, int]:
        """Lines that belong together become one value; what has not ended waits from its first line on."""
        joiner.forget()
        firsts: list[int] = []
        lasts: list[int] = []
        first = 0
        for row, line in enumerate(values):
            if joiner.ends(line):
                firsts.append(first)
                lasts.append(row)
                first = row + 1
        if first < len(values):
            if last:
                firsts.append(first)
                lasts.append(len(values) - 1)
            else:
                used = int(values.starts[first])
        return Values(values.data, values.starts[firsts], values.ends[lasts]), used

    def _whole(self, data: bytes, last: bool) -> tuple[Values, int]:
        return Values.of([data] if last and data else []), len(data) if last else 0

    def _objects(self, data: bytes, last: bool) -> tuple[Values, int]:
        """The state tells where the scan stopped: at the end of the bytes that waited."""
        seen = len(self.waiting)
        buffer = np.frombuffer(data + PADDING, dtype=np.uint8)
        bounds = np.empty((data.count(b"}") + 1, 2), dtype=np.int64)
        count = frame_objects(buffer, seen, len(data), self.depth, self.state, bounds)
        begin = int(self.state[BEGIN])
        used = begin if begin >= 0 else len(data)
        if last and begin >= 0:
            # An object that never ends is handed on as it is, to be refused with its place.
            bounds[count] = begin, len(data)
            count, used = count + 1, len(data)
        if begin >= 0:
            self.state[BEGIN] = begin - used
        if last:
            self.state[DEPTH] = 0
        return Values(buffer, bounds[:count, 0].copy(), bounds[:count, 1].copy()), used

    def _messages(self, data: bytes, _last: bool) -> tuple[Values, int]:
        """Each value is a message with its length before it."""
        buffer = np.frombuffer(data + PADDING, dtype=np.uint8)
        edges = np.array([0]), np.array([len(data)])
        counts, broken = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.uint8)
        frames(buffer, *edges, counts, broken, np.empty((0, 2), dtype=np.int64), 0)
        bounds = np.empty((int(counts[0]), 2), dtype=np.int64)
        frames(buffer, *edges, counts, broken, bounds, 1)
        ends = bounds[:, 1].copy()
        starts = np.concatenate([[0], ends[:-1]])[: len(ends)]
        return Values(buffer, starts, ends), int(ends[-1]) if len(ends) else 0

"""Parses records into flows; no record stops the stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.records import Ids, Parsed, RecordOptions, read_safely, reader_for
from sinks.flows.dead_letters import Letter
from whowas.errors import ConfigError, InputError
from whowas.kafka import Partition, Piece
from whowas.schema import flow_schema
from whowas.settings import Input
from whowas.streaming.partition_queue import Chunk

# Offsets below, the partition above: a partition with more records than that would take centuries to fill.
OFFSET_BITS = 44

# The reason of records that nobody can read.
UNKNOWN = "unknown format"

_Kin = tuple[str, int]


class RecordParser:
    """Turns pieces into chunks, and counts. refused, skipped, noted: by topic and reason.

    unknown: by topic, why nobody can tell its format, in words.
    """

    def __init__(self, told: Input, publication_seconds: float) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.noted: Counter[tuple[str, str]] = Counter()
        self.unknown: dict[str, str] = {}
        self._format = None if told.format == "auto" else told.format
        self.options = _record_options(told)
        self._delay_us = int(publication_seconds * 1e6)
        self._readers: dict[_Kin, Any] = {}

    def parse(self, pieces: Sequence[Piece]) -> list[Chunk]:
        """Read pieces that were polled together, those of a topic in one go. Returns: a chunk a piece, as they came.

        Where nobody can tell the format they are unread; such chunks are not counted as refused.
        Raises: InputError when there is no such format as was said.
        """
        chunks: dict[int, Chunk] = {}
        together: dict[_Kin, list[int]] = {}
        for place, one in enumerate(pieces):
            if one.flows is None:
                together.setdefault(_kin(one), []).append(place)
            else:
                chunks[place] = self._read_already(one)
        for kin, places in together.items():
            chunks |= zip(places, self._of_kin(kin, [pieces[place] for place in places]), strict=True)
        return [chunks[place] for place in range(len(pieces))]

    def _of_kin(self, kin: _Kin, pieces: list[Piece]) -> list[Chunk]:
        if not self._recognise(kin, pieces):
            return [self._unread(one) for one in pieces]
        values = [value for one in pieces for value in one.values]
        numbers = np.concatenate([_numbers(one) for one in pieces])
        told = [us for one in pieces for us in one.received_us]
        received = np.array(told, dtype=np.int64) if told else None
        topic = kin[0]
        parsed = read_safely(self._readers[kin], values, Ids(pieces[0].origin or topic, numbers), received)
        self.refused.update((topic, one.reason) for one in parsed.refused)
        self.skipped.update((topic, one.reason) for one in parsed.skipped)
        self.noted.update({(topic, word): count for word, count in parsed.noted.items()})
        starts = np.cumsum([0, *(len(one.offsets) for one in pieces)])
        return [self._chunk(one, int(start), parsed) for one, start in zip(pieces, starts[:-1], strict=True)]

    def _chunk(self, piece: Piece, start: int, parsed: Parsed) -> Chunk:
        """What of a batch came of one piece; `start`: the place of its first value among all."""
        end = start + len(piece.offsets)
        low, high = np.searchsorted(parsed.rows, (start, end))  # a reader keeps the order of values
        flows = parsed.flows.slice(low, high - low)
        letters = [
            Letter(
                piece.partition,
                piece.offsets[one.index - start],
                one.reason,
                piece.values[one.index - start] if one.record is None else one.record,
            )
            for one in parsed.refused
            if start <= one.index < end
        ]
        return Chunk(
            piece.offsets[0],
            piece.offsets[-1],
            flows,
            np.array(piece.offsets, dtype=np.int64)[parsed.rows[low:high] - start],
            letters,
            len(piece.offsets),
            self._needed_us(flows),
            time.monotonic(),
        )

    def forget(self, partition: Partition) -> None:
        """Forget what the beginning of a partition has told about the rest."""
        self._readers.pop(partition, None)

    def _read_already(self, piece: Piece) -> Chunk:
        flows = piece.flows
        offsets = np.full(flows.num_rows, piece.offsets[0], dtype=np.int64)
        return Chunk(
            piece.offsets[0], piece.offsets[0], flows, offsets, (), flows.num_rows, self._needed_us(flows),
            time.monotonic(),
        )  # fmt: skip

    def knows(self, piece: Piece) -> bool:
        """Return whether there is a reader for a piece."""
        return _kin(piece) in self._readers

    def _recognise(self, kin: _Kin, pieces: list[Piece]) -> bool:
        """Find a reader by what came, or by what is said. Returns: whether there is one."""
        for piece in () if kin in self._readers else pieces:
            form = self._format or piece.format
            try:
                self._readers[kin] = reader_for(form, piece.values, self.options)
            except InputError as error:
                told = (
                    f"cannot tell the format of topic '{piece.partition.topic}' by the records from offset "
                    f"{piece.offsets[0]} of partition {piece.partition.number}: {error}; say [input] format"
                )
                if form is not None:
                    raise InputError(told) from error
                self.unknown[kin[0]] = told
            else:
                self.unknown.pop(kin[0], None)
                break
        return kin in self._readers

    def _unread(self, piece: Piece) -> Chunk:
        letters = [
            Letter(piece.partition, offset, UNKNOWN, value)
            for offset, value in zip(piece.offsets, piece.values, strict=True)
        ]
        return Chunk(
            piece.offsets[0],
            piece.offsets[-1],
            pa.RecordBatch.from_pylist([], flow_schema()),
            np.empty(0, np.int64),
            letters,
            len(piece.offsets),
            0,
            time.monotonic(),
            piece,
        )

    def counters(self) -> tuple[Counter[tuple[str, str]], ...]:
        """Return refused, skipped and noted: they go on counting."""
        return self.refused, self.skipped, self.noted

    def refuse(self, chunk: Chunk) -> None:
        """Count the records of an unread chunk, which are now kept aside."""
        self.refused[(chunk.letters[0].partition.topic, UNKNOWN)] += chunk.records

    def _needed_us(self, flows: Any) -> int:
        """Up to when the history must be known: to the flows' last ends, and for as long as publication takes.

        No end lies beyond now: a clock that says otherwise is wrong, and waiting for it would never end.
        """
        if not flows.num_rows:
            return 0
        # Flows without a time wait for nothing.
        last = pc.max(pc.add(pc.cast(flows["end_time"], pa.int64()), pc.fill_null(flows["time_after"], 0))).as_py() or 0
        return min(int(last), time.time_ns() // 1000) + self._delay_us


def _numbers(piece: Piece) -> Any:
    """A number for each record's place in its topic: the same place gives the same flow_id, whatever came beside it."""
    offsets = np.array(piece.offsets, dtype=np.int64)
    return offsets if piece.origin else offsets | (piece.partition.number << OFFSET_BITS)


def _kin(piece: Piece) -> _Kin:
    """What one reader reads: a topic, or one file of a folder, which may have a header of its own."""
    return piece.partition if piece.origin else (piece.partition.topic, -1)


def _record_options(told: Input) -> RecordOptions:
    options: dict[str, Any] = dict(told.options)
    if "fields" in options:
        options["fields"] = tuple(str(options["fields"]).split())
    try:
        return RecordOptions(**options)
    except TypeError as error:
        raise ConfigError(
            f"cannot use input.options: {error}; see docs/formats.md for what each format takes"
        ) from error

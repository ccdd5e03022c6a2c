"""Records to flows: a reader a topic, and nothing that a record holds stops the stream."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.records import Ids, RecordOptions, reader_for
from sinks.dead_letters import Letter
from whowas.brokers import Piece
from whowas.config import Input
from whowas.errors import ConfigError, InputError
from whowas.streaming.lanes import Chunk


class Parsing:
    """Turns pieces into chunks, and counts. refused, skipped: by topic and reason."""

    def __init__(self, told: Input, publication_seconds: float) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        self.skipped: Counter[tuple[str, str]] = Counter()
        self._format = None if told.format == "auto" else told.format
        self._options = _record_options(told)
        self._delay_us = int(publication_seconds * 1e6)
        self._readers: dict[str, Any] = {}

    def parse(self, piece: Piece) -> Chunk:
        """Read one piece. Raises: InputError when nobody knows the format of a topic."""
        topic = piece.partition.topic
        if topic not in self._readers:
            self._readers[topic] = self._reader(piece)
        numbers = np.array(piece.offsets, dtype=np.int64)
        received = np.array(piece.received_us, dtype=np.int64)
        parsed = self._readers[topic].read(piece.values, Ids(str(piece.partition), numbers), received)
        letters = [
            Letter(piece.partition, piece.offsets[one.index], one.reason, piece.values[one.index])
            for one in parsed.refused
        ]
        self.refused.update((topic, one.reason) for one in parsed.refused)
        self.skipped.update((topic, one.reason) for one in parsed.skipped)
        return Chunk(
            piece.offsets[0],
            piece.offsets[-1],
            parsed.flows,
            numbers[parsed.rows],
            letters,
            len(piece.offsets),
            self._needed_us(parsed.flows),
            time.monotonic(),
        )

    def _reader(self, piece: Piece) -> Any:
        try:
            return reader_for(self._format, piece.values, self._options)
        except InputError as error:
            raise InputError(
                f"cannot tell the format of topic '{piece.partition.topic}' by the records from offset "
                f"{piece.offsets[0]} of partition {piece.partition.number}: {error}; say [input] format"
            ) from error

    def _needed_us(self, flows: Any) -> int:
        """Up to when the history must be known: to the flows' last ends, and for as long as publication takes.

        No end lies beyond now: a clock that says otherwise is wrong, and waiting for it would never end.
        """
        if not flows.num_rows:
            return 0
        last = pc.max(pc.cast(flows["end_time"], pa.int64())).as_py()
        return min(int(last), time.time_ns() // 1000) + self._delay_us


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

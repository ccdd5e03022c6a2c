"""Queues the chunks of one partition: to be named, then to be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sinks.flows.dead_letters import Letter
from sinks.flows.offset_ranges import Range
from whowas.arrays import Words
from whowas.kafka import Partition, Piece


@dataclass(frozen=True)
class Chunk:
    """Records of one partition as they were polled together.

    first, last: offsets, both ends counted, of the records and of those that were passed over. flows: a batch of
    flow_schema. offsets: (flows,) the record each flow came from. letters: what could not be read. records: how
    many records, of a capture how many conversations. needed_us: up to here the history must be known before the
    flows are final. polled: time.monotonic(). unread: what it was made of, while nobody knows the format: all of it
    stands in letters, and may be read yet.
    """

    first: int
    last: int
    flows: Any
    offsets: Words
    letters: Sequence[Letter]
    records: int
    needed_us: int
    polled: float
    unread: Piece | None = None

    def weight(self) -> int:
        """Return what it counts against the bound on memory."""
        return int(self.flows.num_rows) + len(self.letters) + 1


@dataclass(frozen=True)
class Named:
    """A chunk after naming."""

    chunk: Chunk
    flows: Any


@dataclass(frozen=True)
class PartitionBatch:
    """What is written of a partition at once: chunks that follow one another."""

    partition: Partition
    parts: Sequence[Named]

    @property
    def next(self) -> int:
        """The offset that comes after it."""
        return self.parts[-1].chunk.last + 1

    def rows(self) -> int:
        """Return how many named flows it has."""
        return sum(one.flows.num_rows for one in self.parts)

    def records(self) -> int:
        """Return of how many records it was made."""
        return sum(one.chunk.records for one in self.parts)

    def weight(self) -> int:
        """Return what it counts against the bound on memory."""
        return sum(one.chunk.weight() for one in self.parts)

    def letters(self) -> list[Letter]:
        """Return the records that could not be read, in their order."""
        return [letter for one in self.parts for letter in one.chunk.letters]

    def range(self, written: int) -> Range:
        """Return what of it is not written yet, as the Parquet output takes it. written: all before it is."""
        first = max(self.parts[0].chunk.first, min(written, self.next))
        return Range(self.partition, first, self.next - 1, [_behind(one, written) for one in self.parts])


def _behind(part: Named, offset: int) -> Any:
    """The flows of records at or behind an offset."""
    if part.chunk.first >= offset:
        return part.flows
    return part.flows.filter(pa.array(part.chunk.offsets >= offset))


@dataclass
class PartitionQueue:
    """A partition that this worker owns. `claimed`: its outputs are ours alone; before, nothing is named.

    begun: the group knows where reading begins; start: where that is, on its way to the broker.
    weight, ready_weight: what all of it, and what is named of it, counts against the bound on memory. records: how
    many are held, and would be read again. provisional: by id() of a chunk that waits, what was already sent of it.
    """

    partition: Partition
    claimed: bool = False
    begun: bool = False
    start: int | None = None
    next: int = -1
    waiting: deque[Chunk] = field(default_factory=deque)
    ready: list[Named] = field(default_factory=list)
    provisional: dict[int, Any] = field(default_factory=dict)
    weight: int = 0
    ready_weight: int = 0
    records: int = 0

    def put(self, chunk: Chunk) -> None:
        """Let a chunk wait, behind the others."""
        self.waiting.append(chunk)
        self.weight += chunk.weight()
        self.records += chunk.records

    def replace(self, place: int, chunk: Chunk) -> None:
        """Put a chunk in the place of one that waits, of the same records."""
        self.weight += chunk.weight() - self.waiting[place].weight()
        self.waiting[place] = chunk

    def named(self, flows: Any) -> None:
        """The first chunk that waits has got its names."""
        chunk = self.waiting.popleft()
        self.ready.append(Named(chunk, flows))
        self.ready_weight += chunk.weight()

    def take_ready(self) -> PartitionBatch | None:
        """Take what is named, as one lot."""
        if not self.ready:
            return None
        parts, self.ready = self.ready, []
        lot = PartitionBatch(self.partition, parts)
        self.weight -= lot.weight()
        self.records -= lot.records()
        self.ready_weight = 0
        return lot

"""Defines what every reader of records promises."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from whowas.arrays import Words
from whowas.errors import ConfigError

Bytes = npt.NDArray[np.uint8]

# Behind the last value: no token of a kernel can then read past the buffer.
PADDING = b"\n" * 64
SECRET = secrets.randbits(62)
"""Keys the hash tables over texts and addresses: who writes records cannot make them collide."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value, or a record within it, that gave no flow. `reason` is short and can be counted.

    record: the bytes of the record, where they are not those of the value.
    """

    index: int
    reason: str
    record: bytes | None = None


@dataclass(frozen=True)
class Ids:
    """The place of each value: what its flows' ids are made of.

    origin: where they stand (topic and partition, or file and a digest of its head); numbers: (n,) int64 place of
    each value in it (offset, or number of the record). The same place gives the same id.
    """

    origin: str
    numbers: Words


@dataclass(frozen=True)
class Parsed:
    """flows: record batch of whowas.schema.flow_schema. rows: (flows,) int64 index of each flow's value.

    refused: what could not be read: a loss, unless it is kept aside. skipped: well-formed values that carry no flow
    (NODATA rows, other event types), counted by reason: no loss. Every value has a flow, or stands in one of both.
    noted: how many flows have times that are not those of a start and an end (whowas.flow_times), by word.
    """

    flows: Any
    rows: Words
    refused: list[Refusal] = field(default_factory=list)
    skipped: list[Refusal] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class RecordOptions:
    """How records are read.

    timezone: IANA name for local times without an offset (pmacct, nfdump); None = such records are refused.
    fields: names of the columns where lines carry none (AWS). observer: who saw the flows, where records do not tell.
    tunnel_ports: UDP ports whose flows are outer ones.
    """

    timezone: str | None = None
    fields: tuple[str, ...] = ()
    observer: str = ""
    tunnel_ports: tuple[int, ...] = (4789, 8472, 6081)

    def __post_init__(self) -> None:
        if self.timezone is None:
            return
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                f"cannot use timezone '{self.timezone}': not in the time zone database; say one like Europe/Paris"
            ) from error


class RecordReader(Protocol):
    """Reads one format. It may keep what a header said; it keeps nothing else between calls."""

    format: str

    def read(self, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
        """Turn values into flows. Never raises for what a value holds.

        Args: values: messages, or lines of a file. received_us: (n,) us since 1970, when a broker took each.
        """


class Values(Sequence[bytes]):
    """Many values in one buffer: data[starts[i]:ends[i]], with a byte below 32 or padding behind each."""

    def __init__(self, data: Bytes, starts: Words, ends: Words) -> None:
        self.data, self.starts, self.ends = data, starts, ends

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Values:
        """Join values into one buffer; what is joined already stays as it is. None (a tombstone) counts as empty."""
        if isinstance(values, Values):
            return values
        if None in values:
            values = [value or b"" for value in values]
        sizes = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
        ends = np.cumsum(sizes + 1) - 1
        data = np.frombuffer(b"\n".join(values) + PADDING, dtype=np.uint8)
        return cls(data, ends - sizes, ends)

    @classmethod
    def of_lines(cls, block: bytes | bytearray | memoryview) -> Values:
        """The lines of a block; a carriage return before the line's end is not part of it."""
        size = len(block)
        data = np.empty(size + len(PADDING), dtype=np.uint8)
        data[:size] = np.frombuffer(block, dtype=np.uint8)
        data[size:] = 10
        ends = np.flatnonzero(data[:size] == 10)
        if size and data[size - 1] != 10:
            ends = np.append(ends, size)
        starts = np.zeros(len(ends), dtype=np.int64)
        starts[1:] = ends[:-1] + 1
        returns = (ends > starts) & (data[np.maximum(ends - 1, 0)] == 13)
        return cls(data, starts, ends - returns)

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Values: ...
    def __getitem__(self, index: int | slice) -> bytes | Values:
        if isinstance(index, slice):
            return Values(self.data, self.starts[index], self.ends[index])
        return self.data[self.starts[index] : self.ends[index]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return (self[place] for place in range(len(self)))


UNREAD = "reader_failed"


def read_safely(reader: RecordReader, values: Sequence[bytes], ids: Ids, received_us: Words | None = None) -> Parsed:
    """Read values; a fault of the reader's own costs the value that it fails at, which is refused, and no other.

    A reader never raises for what a value holds. Should one do so all the same, no stream must end for it.
    """
    try:
        return reader.read(values, ids, received_us)
    except Exception:  # noqa: BLE001 - whatever it is, the values beside it are good
        if len(values) == 1:
            return replace(reader.read([], ids, None), refused=[Refusal(0, UNREAD)])
    packed = Values.of(values)
    parts = []
    for first, last in ((0, len(packed) // 2), (len(packed) // 2, len(packed))):
        times = None if received_us is None else received_us[first:last]
        part = Ids(ids.origin, ids.numbers[first:last])
        parts.append((first, read_safely(reader, packed[first:last], part, times)))
    return merge(parts)


def merge(parts: Sequence[tuple[int, Parsed]]) -> Parsed:
    """Put together what was read of slices of one input. Args: parts: (index of the slice's first value, parsed)."""
    if len(parts) == 1 and parts[0][0] == 0:
        return parts[0][1]
    import pyarrow as pa

    from whowas.schema import flow_schema

    batches = [one.flows for _, one in parts if one.flows.num_rows] or [pa.RecordBatch.from_pylist([], flow_schema())]
    flows = batches[0]
    if len(batches) > 1:
        flows = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()[0]
    empty = [np.empty(0, dtype=np.int64)]
    return Parsed(
        flows,
        np.concatenate([*(one.rows + base for base, one in parts), *empty]),
        [Refusal(base + bad.index, bad.reason, bad.record) for base, one in parts for bad in one.refused],
        [Refusal(base + bad.index, bad.reason, bad.record) for base, one in parts for bad in one.skipped],
        sum((one.noted for _, one in parts), Counter()),
    )

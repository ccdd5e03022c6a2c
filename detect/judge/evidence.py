"""The flows that findings show, or may come to show: rows of batches, packed when their batch is let go.

A row has a number, its reference: the batch's number and the row in it. Only rows that were asked for are kept. Packed
they are Arrow IPC, compressed, in up to two blocks a batch: rows that a finding shows, and rows that one may come to
show, which are many and needed for minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import zstandard

from detect.judge.flow_text import LABELS, text_of
from whowas.arrays import Words
from whowas.schema import is_nested, table_schema

ROW_BITS = 32
ROW = (1 << ROW_BITS) - 1
CACHED_ROWS = 200_000
# What a block at hand costs beside its rows, counted in rows: it has half a hundred columns, however few its rows are.
BLOCK_ROWS = 500
CACHED_FLOWS = 4096
SPARSE = 4


class Block(NamedTuple):
    """Rows of one batch. number: twice the batch's, one more for what a finding may come to show. rows: (n,) int32,
    ascending. keep_us: they are needed until event time has passed that.
    """

    number: int
    keep_us: int
    rows: bytes
    data: bytes


class _Open:
    """A batch that is still whole."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.shown = np.zeros(batch.num_rows, dtype=np.bool_)
        self.possible = np.zeros(batch.num_rows, dtype=np.bool_)
        self.keep_us = [0, 0]

    def blocks(self, number: int) -> Iterator[tuple[Block, Words, Any]]:
        """Yield its rows packed, their numbers, and a batch of them."""
        for tier, wanted in enumerate((self.shown, self.possible & ~self.shown)):
            rows = np.flatnonzero(wanted)
            if 4 * len(rows) > 3 * len(wanted):
                # To pick rows of so many columns costs more than the few that nobody asked for.
                rows = np.arange(len(wanted))
            if len(rows):
                batch = _picked(self.batch, rows)
                places = rows.astype(np.int32).tobytes()
                yield Block(2 * number + tier, self.keep_us[tier], places, _pack(batch)), rows, batch


class EvidenceRows:
    """Rows by reference.

    Args: first: the number of the next batch. load: reads a packed block. load_flow: reads a row that was put aside
        alone. Both return None for what is gone.
    """

    def __init__(
        self, first: int, load: Callable[[int], Block | None], load_flow: Callable[[int], dict[str, Any] | None]
    ) -> None:
        self.next = first
        self._load = load
        self._load_flow = load_flow
        self._open: dict[int, _Open] = {}
        self._packed: dict[int, Block] = {}
        self._read: OrderedDict[int, tuple[Words, Any]] = OrderedDict()
        self._read_rows = 0
        self._flows: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self.held_rows = 0

    def hold(self, batch: Any) -> int:
        """Keep a batch until `pack`. Returns: the reference of its first row."""
        number, self.next = self.next, self.next + 1
        self._open[number] = _Open(batch)
        self.held_rows += batch.num_rows
        return number << ROW_BITS

    def show(self, reference: int, keep_us: int) -> None:
        """Keep a row of a batch that is held: a finding shows it."""
        held = self._open.get(reference >> ROW_BITS)
        if held is not None:
            held.shown[reference & ROW] = True
            held.keep_us[0] = max(held.keep_us[0], keep_us)

    def want(self, first: int, rows: Words, keep_us: int) -> None:
        """Keep rows of the batch whose first row has the reference `first`: a finding may come to show them."""
        if len(rows):
            held = self._open[first >> ROW_BITS]
            held.possible[rows] = True
            held.keep_us[1] = max(held.keep_us[1], keep_us)

    def pack(self) -> None:
        """Let go of whole batches."""
        for number, held in self._open.items():
            for block, rows, batch in held.blocks(number):
                self._packed[block.number] = block
                self._keep(block.number, rows, batch)
        self._open.clear()
        self.held_rows = 0

    def unwritten(self) -> list[Block]:
        """Return the packed blocks that are not durable."""
        return list(self._packed.values())

    def written(self) -> None:
        """They are durable now."""
        self._packed.clear()

    def flows(self, references: Sequence[int]) -> list[dict[str, Any]]:
        """Return rows as Python values of table_schema; rows that are gone are left out."""
        self.fetch(references)
        return [flow for one in references if (flow := self.flow(one)) is not None]

    def flow(self, reference: int) -> dict[str, Any] | None:
        """Return one row; None when it is gone."""
        if reference not in self._flows:
            self.fetch([reference])
        return self._flows.get(reference)

    def fetch(self, references: Iterable[int]) -> None:
        """Have rows at hand, many at a time: a batch or block is looked into once for all of them."""
        wanted: dict[int, list[int]] = {}
        for one in references:
            if one in self._flows:
                self._flows.move_to_end(one)
            else:
                wanted.setdefault(one >> ROW_BITS, []).append(one & ROW)
        while len(self._flows) > CACHED_FLOWS:
            self._flows.popitem(last=False)
        for number, rows in wanted.items():
            for row, flow in self._look_up(number, rows):
                self._flows[number << ROW_BITS | row] = flow

    def texts(self, reference: int, columns: Iterable[str]) -> list[str | None]:
        """Return what one row says in some columns, as people read it."""
        held = self._open.get(reference >> ROW_BITS)
        if held is None:
            flow = self.flow(reference) or {}
        else:
            bases = {one.partition(".")[0] for one in columns}
            flow = {base: _value(base, held.batch.column(base)[reference & ROW].as_py()) for base in bases}
        return [text_of(flow, one) for one in columns]

    def _look_up(self, number: int, rows: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        if number in self._open:
            yield from zip(rows, as_flows(self._open[number].batch.take(pa.array(rows))), strict=True)
            return
        left = np.unique(rows)
        for tier in (0, 1):
            block = self._block(2 * number + tier)
            if block is not None:
                there, batch = block
                found = left[np.isin(left, there)]
                yield from zip(
                    found.tolist(), as_flows(batch.take(pa.array(np.searchsorted(there, found)))), strict=True
                )
                left = np.setdiff1d(left, found)
        for row in left.tolist():
            flow = self._load_flow(number << ROW_BITS | row)
            if flow is not None:
                yield row, flow

    def _block(self, number: int) -> tuple[Words, Any] | None:
        if number in self._read:
            self._read.move_to_end(number)
            return self._read[number]
        block = self._packed.get(number) or self._load(number)
        return None if block is None else self._keep(number, *_unpack(block))

    def _keep(self, number: int, rows: Words, batch: Any) -> tuple[Words, Any]:
        """Have a block at hand; the ones not looked at for longest go. Evidence is mostly of the last minutes."""
        self._read[number] = rows, batch
        self._read_rows += len(rows) + BLOCK_ROWS
        while self._read_rows > CACHED_ROWS and len(self._read) > 1:
            self._read_rows -= len(self._read.popitem(last=False)[1][0]) + BLOCK_ROWS
        return rows, batch


def as_flows(many: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch as Python values of table_schema, labels as dicts."""
    columns = {name: _values(many.column(name)) for name in many.schema.names}
    for side in LABELS:
        if side in columns:
            columns[side] = [_value(side, one) for one in columns[side]]
    nothing: list[Any] = [None] * many.num_rows
    names = table_schema().names
    rows = zip(*(columns.get(name, nothing) for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _values(column: Any) -> list[Any]:
    """A column as Python values, each word made once."""
    if not pa.types.is_dictionary(column.type):
        values: list[Any] = column.to_pylist()
        return values
    places = column.indices.to_pylist()
    words = {one: column.dictionary[one].as_py() for one in set(places) if one is not None}
    return [words.get(one) for one in places]


def _value(column: str, value: Any) -> Any:
    return dict(value) if column in LABELS and value is not None else value


def _picked(batch: Any, rows: Words) -> Any:
    """Rows of a batch. Of few rows words are written out: their dictionaries may be far larger than they are."""
    if len(rows) < batch.num_rows:
        batch = batch.take(pa.array(rows))
    columns, fields = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if column.null_count == len(column):
            continue
        if pa.types.is_dictionary(column.type):
            column = _narrowed(_compact(column))
        columns.append(column)
        fields.append(pa.field(field.name, column.type))
    if not columns:
        columns, fields = [pa.nulls(len(rows))], [pa.field("", pa.null())]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _pack(batch: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as out:
        out.write_batch(batch)
    # All columns at once: Arrow would compress each buffer by itself, and most are small.
    return zstandard.compress(sink.getvalue(), 1)


def _compact(column: Any) -> Any:
    if len(column.dictionary) <= 16 or len(column.dictionary) <= len(column) // SPARSE:
        return column
    if is_nested(column.type):
        return column.dictionary.take(column.indices)
    return column.cast(column.type.value_type).dictionary_encode()


def _narrowed(column: Any) -> Any:
    """Half of what is written are places in dictionaries: in two octets where they fit."""
    if not pa.types.is_dictionary(column.type) or len(column.dictionary) > 1 << 15:
        return column
    return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int16()), column.dictionary)


def _unpack(block: Block) -> tuple[Words, Any]:
    """Rows, and a batch of the columns that are not null."""
    told = pa.ipc.open_stream(zstandard.decompress(block.data)).read_next_batch()
    rows = np.frombuffer(block.rows, np.int32).astype(np.int64)
    return rows, told

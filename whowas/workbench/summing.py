"""Adds up an hour of flows: reads its files once, column by column as codes, and counts by number.

Words are compared once a row group, not once a flow; rows are compared as integers, never by a hash alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whowas.arrays import Indices, Words
from whowas.errors import InputError
from whowas.query import parquet_files
from whowas.schema import COLUMNS, is_nested
from whowas.workbench import summing_kernels as kernels
from whowas.workbench.hours import Hour
from whowas.workbench.numbering import Lists, Sums, WordList, indices
from whowas.workbench.rollup_sql import AN_HOUR, DETAILS, GROUP, SIDES

MINUTE = 60_000_000
ROWS = 65_536
NESTED = ("labels", "images", "candidates")
CANDIDATE = ("kind", "namespace", "name", "workload")
PLAIN = tuple(dict.fromkeys(one for one in (*GROUP, *DETAILS) if one not in ("name", *NESTED)))
"""Words of an end, in the order in which an identity holds their codes; cluster before, NESTED behind them."""
LINK_WORDS = ("protocol", "direction")
COUNTED = ("bytes_out", "bytes_in", "packets_out", "packets_in")
NUMBERS = ("dst_port", "protocol_number", *COUNTED)
READ = frozenset(
    ["start_time", "cluster", *LINK_WORDS, *NUMBERS]
    + [f"{side}_{what}" for side in SIDES for what in ("ip", *PLAIN, *NESTED)]
)
_WORDS = frozenset(
    one.name for one in COLUMNS if pa.types.is_dictionary(one.type) or (is_nested(one.type) and one.name in READ)
)


class Summed:
    """What an hour's flows add up to. `read` takes all of its files; the rest are tables of numbers.

    identities: cluster, PLAIN, NESTED as codes. groups: cluster, GROUP, candidates as codes. links: two groups, and
    port, protocol, its number, direction. minutes: (bucket, link). ends: (address, identity, side, hour).
    """

    def __init__(self) -> None:
        self.words = {one: WordList() for one in ("cluster", "ip", *PLAIN, *LINK_WORDS)}
        # The name of a Service or a node is one column of groups.
        self.words["node"] = self.words["service"]
        self.inner = WordList()
        self.nested = {one: Lists() for one in NESTED}
        self.elements = Lists()
        self.identities, self.groups, self.links = Lists(), Lists(), Lists()
        self.minutes, self.ends = Lists(), Lists()
        self.edge_sums, self.end_sums = Sums(), Sums()
        self.buckets, self.hours = WordList(), WordList()
        self.group_of: Indices = np.zeros(0, np.int32)

    def read(self, hour: Hour, check: Callable[[], None]) -> None:
        """Add up every file that can be read. check: is called often. Raises: InputError."""
        files = hour.as_files()
        sound = parquet_files.without_damaged(files).paths()
        if not sound:
            raise InputError("none of its files can be read")
        for path in sound:
            try:
                for batch in batches(path):
                    check()
                    self.add(batch, hour)
            except (pa.ArrowException, ValueError, OSError) as error:
                raise InputError(f"cannot read '{path}': {str(error).partition(chr(10))[0]}") from error

    def add(self, batch: Any, hour: Hour) -> None:
        """Add some flows."""
        table = Columns(batch, hour)
        starts, there = table.starts()
        sides = [self._identity(table, side) for side in SIDES]
        self._regroup()
        ports = (table.number("dst_port"), table.number("protocol_number"))
        words = [self.words[one].codes(table.words(one)) for one in LINK_WORDS]
        links = self.links.rows(*(self.group_of[one] for one in sides), ports[0], words[0], ports[1], words[1])
        flows = np.ones(len(starts), np.int64)
        counted = [flows, table.both("bytes"), table.both("packets"), starts, starts]
        minute = _coded(self.buckets, starts, there, MINUTE)
        at = self.minutes.rows(minute, links)
        self.edge_sums.add(at, self.minutes.known, counted, there)
        hours = _coded(self.hours, starts, there, AN_HOUR)
        for side, identity in enumerate(sides):
            address = self.words["ip"].codes(table.words(f"{SIDES[side]}_ip"))
            at = self.ends.rows(address, identity, np.full(len(starts), side, np.int32), hours)
            self.end_sums.add(at, self.ends.known, counted, there)

    def _identity(self, table: Columns, side: str) -> Indices:
        codes = [self.words["cluster"].codes(table.words("cluster"))]
        codes += [self.words[one].codes(table.words(f"{side}_{one}")) for one in PLAIN]
        codes += [self._lists(one, table.column(f"{side}_{one}")) for one in NESTED]
        # Who else may have held an address is asked of ambiguous ends alone.
        sure = self.words["confidence"].code("ambiguous")
        codes[-1] = np.where(codes[1 + PLAIN.index("confidence")] == sure, codes[-1], 0)
        return self.identities.rows(*codes)

    def _lists(self, name: str, column: Any) -> Indices:
        """Codes of maps and lists, 0 where there is none."""
        if column is None or column.null_count == len(column):
            return np.zeros(len(column) if column is not None else 0, np.int32)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        offsets = column.offsets.to_numpy().astype(np.int64)
        if name == "labels":
            parts = [column.keys, column.items]
        elif name == "images":
            parts = [column.values]
        else:
            parts = [column.values.field(one) for one in CANDIDATE]
        codes = [self.inner.codes(one) for one in parts]
        if name == "candidates":
            codes = [self.elements.rows(*codes)]
        flat = np.stack(codes, axis=1).astype(np.int32).reshape(-1)
        found = self.nested[name].number(flat, offsets * len(codes)) + 1
        return found if not column.null_count else np.where(column.is_valid().to_numpy(False), found, 0)

    def _regroup(self) -> None:
        """Say of new identities of which group they are."""
        rows = self.identities.listed(len(self.group_of), len(PLAIN) + len(NESTED) + 1)
        if not len(rows):
            return
        told = dict(zip(PLAIN, rows[:, 1:].T, strict=False))
        kinds = self.words["kind"]
        service, node = (told["kind"] == kinds.code(one) for one in ("service", "node"))
        told["name"] = np.where(service, told["service"], np.where(node, told["node"], 0))
        found = self.groups.rows(rows[:, 0], *(told[one] for one in GROUP), rows[:, -1])
        self.group_of = np.concatenate([self.group_of, found])


class Columns:
    """Columns of a batch of flows; one that is not there is null."""

    def __init__(self, batch: Any, hour: Hour) -> None:
        self._batch, self._hour = batch, hour
        self._there = set(batch.schema.names)

    def column(self, name: str) -> Any:
        """A column as it is."""
        return self._batch.column(name) if name in self._there else pa.nulls(self._batch.num_rows)

    def words(self, name: str) -> Any:
        """A column of words. What a folder's name tells goes before what a file does."""
        if name == "cluster" and "cluster" in self._hour.keys:
            word = self._hour.cluster or None
            count = self._batch.num_rows
            return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([word], pa.string()))
        return self.column(name)

    def number(self, name: str) -> Indices:
        """A column of small numbers, -1 where there is none."""
        told: Indices = pc.fill_null(self.column(name).cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
        return told

    def both(self, what: str) -> Words:
        """What was counted of both directions."""
        left, right = (
            pc.fill_null(self.column(f"{what}_{way}").cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
            for way in ("out", "in")
        )
        found = np.empty(len(left), np.int64)
        kernels.both(left, right, found)
        return found

    def starts(self) -> tuple[Words, Any]:
        """Starts in us, 0 where there is none; and where there is one."""
        column = self.column("start_time")
        if not pa.types.is_null(column.type):
            column = column.cast(pa.timestamp("us", column.type.tz))
        there = column.is_valid().to_numpy(zero_copy_only=False)
        return pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), there


def _coded(known: WordList, starts: Words, there: Any, size: int) -> Indices:
    """Codes of buckets, 0 without a time."""
    buckets = np.floor_divide(starts, size)
    changes = np.flatnonzero(np.diff(buckets)) + 1
    if len(changes) < 1024:
        # In order of time, as files are: a few runs.
        firsts = np.concatenate([[0], changes]).astype(np.int64)[: len(buckets)]
        codes = np.array([known.code(int(one)) for one in buckets[firsts]], np.int32)
        found = np.repeat(codes, np.diff(np.concatenate([firsts, [len(buckets)]])))
    else:
        several, place = np.unique(buckets, return_inverse=True)
        found = np.array([known.code(int(one)) for one in several], np.int32)[place]
    return np.where(there, found, 0).astype(np.int32)


def batches(path: str) -> Iterator[Any]:
    """Yield what roll-ups are made of, words and the words of lists as dictionaries. Raises: as pyarrow."""
    with pq.ParquetFile(path) as about:
        told = [about.schema.column(place) for place in range(len(about.schema))]
        words = [one.path for one in told if one.path.split(".")[0] in _WORDS and one.physical_type == "BYTE_ARRAY"]
        names = [name for name in about.schema_arrow.names if name in READ]
    # Row group by row group: lists of dictionaries cannot be put together over their ends.
    with pq.ParquetFile(path, read_dictionary=words, memory_map=True) as file:
        for group in range(file.metadata.num_row_groups):
            yield from file.iter_batches(ROWS, row_groups=[group], columns=names, use_threads=False)


__all__ = ["CANDIDATE", "NESTED", "PLAIN", "Summed", "indices"]

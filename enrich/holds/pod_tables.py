"""Pods and their holds as columns: what a million of them cost is bytes, not objects.

A `Batch` is what evidence says of some pods by itself: bounds before anybody else's evidence, the watching and
the clocks of nodes are taken into account (enrich/holds/derive.py does that). It travels as one blob.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from enrich.holds.pod_track import PodTrack
from enrich.holds.versions import Labels, Version
from whowas.arrays import Indices, Words
from whowas.timestamps import BEFORE_ALL

POD, HOST_POD, SERVICE, NODE = 0, 1, 2, 3
SEGMENTS = pa.schema(
    [
        ("ip", pa.binary(16)),
        ("pod", pa.int32()),
        *((name, pa.int64()) for name in ("start_min", "start_max", "end_min", "end_max", "seen", "told")),
        ("finished", pa.bool_()),
        ("source", pa.string()),
        # "" is the cluster's own.
        ("network", pa.string()),
    ]
)
# What is the same for many is kept once.
SHARED = ("namespace", "node", "workload", "workload_kind", "note", "service_account")
PODS = pa.schema(
    [
        ("uid", pa.string()),
        ("name", pa.string()),
        *((name, pa.string()) for name in SHARED),
        ("kind", pa.int8()),
        *((name, pa.int64()) for name in ("deletion", "ahead", "behind")),
        ("versions", pa.int32()),
    ]
)
STATE = ("labels", "services", "images", "ports")
VERSIONS = pa.schema([("since", pa.int64()), *((name, pa.string()) for name in STATE)])
SHARED_OF = {PODS: SHARED, VERSIONS: STATE, SEGMENTS: ("network",)}
# Threads for tables of two thousand rows cost more than they bring.
ONE_THREAD = pa.ipc.IpcReadOptions(use_threads=False)
# For so few rows Arrow's compute module is not imported: that takes longer than to take them one by one.
FEW = 4096
# A told that nobody told.
NEVER = BEFORE_ALL


@dataclass(frozen=True)
class Batch:
    """Pods, their holds (row of `pods` in `pod`) and their versions (as many a pod as `versions` says, in order).

    What is in SHARED_OF is dictionary-encoded.
    """

    pods: Any
    segments: Any
    versions: Any

    def to_bytes(self) -> bytes:
        """Return one blob, compressed."""
        made = pa.BufferOutputStream()
        for table in (self.pods, self.segments, self.versions):
            with pa.ipc.new_stream(made, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
                writer.write_table(table)
        whole: bytes = made.getvalue().to_pybytes()
        return whole

    @classmethod
    def from_bytes(cls, blob: bytes) -> Batch:
        """Read what to_bytes wrote. Raises: pyarrow.ArrowInvalid."""
        source = pa.BufferReader(blob)
        tables = []
        for schema in (PODS, SEGMENTS, VERSIONS):
            with pa.ipc.open_stream(source, options=ONE_THREAD) as reader:
                tables.append(_shared(reader.read_all(), schema))
        return cls(*tables)

    def without(self, uids: set[str]) -> Batch:
        """Return the batch without some pods."""
        keep = np.array([uid not in uids for uid in self.pods["uid"].to_pylist()], dtype=bool)
        moved = np.cumsum(keep) - 1
        pod = self.segments["pod"].to_numpy()
        segments = self.segments.filter(pa.array(keep[pod]))
        segments = segments.set_column(1, SEGMENTS.field("pod"), pa.array(moved[pod[keep[pod]]], pa.int32()))
        mine = np.repeat(keep, self.pods["versions"].to_numpy())
        return Batch(self.pods.filter(pa.array(keep)), segments, self.versions.filter(pa.array(mine)))


def join(batches: Sequence[Batch]) -> Batch:
    """Put batches one behind the other; what many pods share becomes one word for all."""
    at = 0
    segments = []
    for one in batches:
        moved = wrapped(one.segments["pod"].to_numpy() + np.int32(at), pa.int32())
        segments.append(one.segments.set_column(1, SEGMENTS.field("pod"), moved))
        at += one.pods.num_rows
    tables = ([one.pods for one in batches], segments, [one.versions for one in batches])
    schemas = (PODS, SEGMENTS, VERSIONS)
    return Batch(*(_joined(parts, schema) for parts, schema in zip(tables, schemas, strict=True)))


def _joined(parts: list[Any], schema: Any) -> Any:
    if not parts:
        return _empty(schema)
    return parts[0].combine_chunks() if len(parts) == 1 else pa.concat_tables(parts).combine_chunks()


def _empty(schema: Any) -> Any:
    word = pa.dictionary(pa.int32(), pa.string())
    kinds = [(one.name, word if one.name in SHARED_OF[schema] else one.type) for one in schema]
    return pa.schema(kinds).empty_table()


def _shared(table: Any, schema: Any) -> Any:
    """Keep what is the same for many once."""
    for name in SHARED_OF[schema]:
        place = schema.get_field_index(name)
        if not pa.types.is_dictionary(table.schema.field(place).type):
            table = table.set_column(place, name, table.column(place).dictionary_encode())
    return table


@dataclass
class Rows:
    """Gathers tracks into a Batch, column by column."""

    pods: list[list[Any]] = field(default_factory=lambda: [[] for _ in PODS])
    segments: list[list[Any]] = field(default_factory=lambda: [[] for _ in SEGMENTS])
    versions: list[list[Any]] = field(default_factory=lambda: [[] for _ in VERSIONS])

    def add(self, pod: PodTrack, workload: tuple[str, str, str], versions: Sequence[Version]) -> None:
        """Add one pod. workload: kind, name, what is doubtful about it."""
        row = len(self.pods[0])
        kind, name, note = workload
        told = (
            pod.uid, pod.name, pod.namespace, pod.node, name, kind, note, pod.service_account,
            HOST_POD if pod.host_network else POD, pod.deletion, pod.ahead, pod.behind, len(versions),
        )  # fmt: skip
        for column, value in zip(self.pods, told, strict=True):
            column.append(value)
        for one in pod.segments():
            bounds = (
                one.ip, row, one.start_min, one.start_max, one.end_min, one.end_max, one.seen,
                NEVER if one.told is None else one.told, one.finished, one.source, one.network,
            )  # fmt: skip
            for column, value in zip(self.segments, bounds, strict=True):
                column.append(value)
        for version in versions:
            words = (
                version.since, spelled(version.labels), version.services, "\n".join(version.images),
                " ".join(version.ports),
            )  # fmt: skip
            for column, value in zip(self.versions, words, strict=True):
                column.append(value)

    def batch(self) -> Batch:
        """Return what was gathered."""
        parts = ((self.pods, PODS), (self.segments, SEGMENTS), (self.versions, VERSIONS))
        return Batch(*(_table(columns, schema) for columns, schema in parts))


def _table(columns: list[list[Any]], schema: Any) -> Any:
    arrays = [
        _words(column) if one.name in SHARED_OF[schema] else _array(column, one.type)
        for column, one in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=schema.names)


def _array(column: list[Any], kind: Any) -> Any:
    try:
        return pa.array(column, kind)
    except UnicodeEncodeError:
        return pa.array(_readable(column), kind)


def _words(column: list[str]) -> Any:
    """Return a column that keeps what is the same for many once."""
    # Not Arrow's dictionary_encode, whose module takes longer to import than a question takes to answer.
    known: dict[str, int] = {}
    numbers = [known.setdefault(word, len(known)) for word in column]
    try:
        return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(list(known), pa.string()))
    except UnicodeEncodeError:
        return _words(_readable(column))


def _readable(column: list[str]) -> list[str]:
    """What came from an attacker can hold half of a surrogate pair: it is shown as a question mark, not refused."""
    return [one.encode("utf-8", "replace").decode() for one in column]


@lru_cache(maxsize=1 << 16)
def spelled(labels: Labels) -> str:
    """Return labels as one JSON object, "" for none."""
    return msgspec.json.encode(dict(labels)).decode() if labels else ""


@lru_cache(maxsize=1 << 16)
def read_labels(text: str) -> Labels:
    """Return labels that `spelled` wrote."""
    return tuple(msgspec.json.decode(text, type=dict[str, str]).items()) if text else ()


def values(column: Any, rows: Any) -> list[Any]:
    """Return some rows of a column as Python values. rows: (n,) of integers."""
    if _few(rows):
        return [column[row].as_py() for row in rows.tolist()]
    found: list[Any] = column.take(wrapped(rows, pa.int64())).to_pylist()
    return found


def taken(column: Any, rows: Words) -> Any:
    """Return some rows of an array, or all in another order, as an array."""
    if _few(rows):
        return pa.array([column[row].as_py() for row in rows.tolist()], column.type)
    return column.take(wrapped(rows, pa.int64()))


def _few(rows: Words) -> bool:
    return len(rows) <= FEW and "pyarrow.compute" not in sys.modules


def wrapped(numbers: npt.NDArray[Any], kind: Any) -> Any:
    """Return whole numbers as an Arrow array of a type of that width: the same bytes."""
    flat = np.ascontiguousarray(numbers, dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])


def chunk(table: Any, name: str) -> Any:
    """Return a column as one array."""
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def codes(column: Any) -> tuple[Indices, list[str]]:
    """Return a shared column as numbers and the words they mean."""
    return column.indices.to_numpy(), column.dictionary.to_pylist()

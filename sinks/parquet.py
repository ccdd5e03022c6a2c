"""Named flows as Parquet: Hive partitions cluster/event_day/event_hour, sorted, searchable, whole or absent.

Files: zstd, rows sorted by start_time, dictionary pages, page index, bloom filters on addresses and pod
uids, so that "this address, that hour" reads a few pages. The partition columns are in the folder names
only, as Hive, Spark, Trino and DuckDB expect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.durable import Folder, durable
from whowas.schema import check, named_schema

BLOOMED = ("src_ip", "dst_ip", "src_ip16", "dst_ip16", "src_pod_uid", "dst_pod_uid")
NO_CLUSTER = "__HIVE_DEFAULT_PARTITION__"
HOUR_US = 3_600_000_000

Place = tuple[str, int]
"""Cluster as a folder name, and hours since 1970: what a file's rows have in common."""


@dataclass(frozen=True)
class ParquetOptions:
    """How much is held before a file is written, and what happens to an earlier run's files."""

    rows_held: int = 65_536
    row_group_rows: int = 65_536
    existing: str = "refuse"


@dataclass
class _Partition:
    """Rows of one cluster and hour that wait for their file."""

    batches: list[Any] = field(default_factory=list)
    rows: int = 0


class ParquetSink:
    """Writes batches of named flows below `out`.

    Args: out: folder. run: short text, the same for the same input, that names this run's files.
    """

    def __init__(self, out: str | Path, run: str, options: ParquetOptions | None = None) -> None:
        self.files: list[str] = []
        self.bytes_written = 0
        self._options = options or ParquetOptions()
        self._out = Path(out)
        self._run = run
        self._folder = Folder(self._out, "*.parquet", run, self._options.existing)
        self._waiting: dict[Place, _Partition] = {}
        self._held = 0
        self._claimed = False

    def check(self) -> None:
        """Claim the folder; refuse what an earlier run left unless told otherwise. Raises: OutputError."""
        self._folder.claim()
        self._claimed = True

    def write(self, flows: Any) -> None:
        """Sort the rows of a batch into their partitions; write the fullest when too much is held."""
        check(flows, named_schema())
        for key, part in split(flows):
            waiting = self._waiting.setdefault(key, _Partition())
            waiting.batches.append(part)
            waiting.rows += part.num_rows
            self._held += part.num_rows
        while self._held > self._options.rows_held:
            self._write_out(max(self._waiting, key=lambda key: (self._waiting[key].rows, key)))

    def _write_out(self, key: Place) -> None:
        partition = self._waiting.pop(key)
        self._held -= partition.rows
        table = in_order(partition.batches)
        path = self._path(key)
        with durable(path) as handle:
            encode(handle, table, self._options.row_group_rows)
        self.files.append(str(path))
        self.bytes_written += path.stat().st_size

    def _path(self, key: Place) -> Path:
        return self._out / hive_folder(key) / f"whowas-{self._run}-{len(self.files):05d}.parquet"

    def flush(self) -> None:
        """Write all that waits; on return it is on disk under its final name."""
        for key in sorted(self._waiting):
            self._write_out(key)

    def close(self) -> None:
        """Flush and unlock the folder."""
        if self._claimed:
            self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Forget what waits, keep the finished files, unlock the folder."""
        self._waiting.clear()
        self._held = 0
        if self._claimed:
            self._folder.release()
            self._claimed = False


def hive_folder(place: Place) -> Path:
    """Return the folder of a cluster and hour, below the output's."""
    day, of_day = divmod(place[1], 24)
    return Path(f"cluster={place[0]}", f"event_day={_civil(day)}", f"event_hour={of_day:02d}")


def encode(handle: BinaryIO, table: Any, row_group_rows: int = 65_536) -> None:
    """Write a table of `in_order` as a Parquet file."""
    with pq.ParquetWriter(handle, table.schema, **_writer_options(table)) as writer:
        writer.write_table(table, row_group_size=row_group_rows)


def _civil(days: int) -> str:
    """Days since 1970 as YYYYMMDD. Hostile clocks reach past year 9999, where datetime ends."""
    return str(np.datetime64(days, "D")).replace("-", "")


def split(flows: Any) -> list[tuple[Place, Any]]:
    """Cut a batch by cluster and hour of start_time, rows of a part in their order."""
    starts = pc.cast(flows["start_time"], pa.int64()).to_numpy()
    hours = pa.array(np.floor_divide(starts, HOUR_US))
    clusters = pc.fill_null(pc.cast(flows["cluster"], pa.string()), "")
    keys = pa.table({"cluster": clusters, "hour": hours}).group_by(["cluster", "hour"]).aggregate([]).to_pylist()
    whole = len(keys) == 1
    parts = []
    for key in sorted(keys, key=lambda one: (one["cluster"], one["hour"])):
        mask = None if whole else pc.and_(pc.equal(clusters, key["cluster"]), pc.equal(hours, key["hour"]))
        name = _folder_name(key["cluster"])
        parts.append(((name, key["hour"]), flows if whole else flows.filter(mask)))
    return parts


def _folder_name(cluster: str) -> str:
    """A cluster's name as a folder, escaped as Hive does it; no name leads out of the folder."""
    if not cluster:
        return NO_CLUSTER
    return cluster.replace(".", "%2E") if set(cluster) == {"."} else quote(cluster, safe=" ._-")


def in_order(batches: list[Any]) -> Any:
    """One table without its partition column, by start_time; ties by flow_id, so that order is a fact."""
    table = pa.Table.from_batches(batches).drop_columns(["cluster"]).unify_dictionaries()
    order = pc.sort_indices(table, sort_keys=[("start_time", "ascending"), ("flow_id", "ascending")])
    # Column by column on whole arrays: taking from a chunked table costs twice as much.
    columns = [column.combine_chunks() for column in table.columns]
    return pa.table([one if one.null_count == len(one) else one.take(order) for one in columns], schema=table.schema)


def _writer_options(table: Any) -> dict[str, Any]:
    words = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    distinct = {name: max(len(pc.unique(table[name])), 1) for name in BLOOMED}
    return {
        "compression": "zstd",
        "use_dictionary": [*words, "vlan.list.element", *_nested_words(table.schema)],
        "write_page_index": True,
        "write_page_checksum": True,
        "sorting_columns": pq.SortingColumn.from_ordering(
            table.schema, [("start_time", "ascending"), ("flow_id", "ascending")]
        ),
        "bloom_filter_options": {name: {"ndv": ndv, "fpp": 0.01} for name, ndv in distinct.items()},
        "store_schema": True,
        "write_statistics": [one.name for one in table.schema if _is_range(one.type)],
    }


def _is_range(kind: Any) -> bool:
    """Statistics are for what is asked for in ranges: times, numbers, addresses; in names they skip nothing."""
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_fixed_size_binary(kind))


def _nested_words(schema: Any) -> list[str]:
    """Parquet paths of the text inside maps and lists, which repeats from row to row."""
    paths = []
    for side in ("src", "dst"):
        paths += [f"{side}_labels.key_value.{part}" for part in ("key", "value")]
        paths.append(f"{side}_images.list.element")
        kind = schema.field(f"{side}_candidates").type.value_type
        paths += [f"{side}_candidates.list.element.{kind.field(i).name}" for i in range(kind.num_fields)]
    return paths

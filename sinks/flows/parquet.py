"""Named flows as Parquet: Hive partitions (whowas/flow_folders.py), sorted, searchable, whole or absent.

Files: zstd, rows sorted by start_time, page index, and of every name, address and pod uid a dictionary (a
bloom filter where that would be too large), so that "this address, that hour" reads a few pages. No folder is
called as a column is: readers would have to agree on which of both is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.files.durable import durable
from sinks.files.output_folder import OutputFolder, Run
from sinks.flows.parquet_encoding import footer, spread, writer_options
from sinks.flows.sorting import in_order, some
from whowas.flow_folders import NO_CLUSTER, HourPartition, cluster_key, hour_folder
from whowas.schema import check, named_schema
from whowas.side_threads import Behind

HOUR_US = 3_600_000_000


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

    What is written appears when the sink is closed, all of it at once. A file is made on a second core while the next
    batches come (whowas/side_threads.py). Args: out: folder. run: whose files these are. folder: makes what lets files
    appear, where that is no plain folder (sinks/flows/delta.py).
    """

    def __init__(
        self,
        out: str | Path,
        run: Run | str,
        options: ParquetOptions | None = None,
        folder: Callable[[Path, Run, str], OutputFolder] | None = None,
    ) -> None:
        self.files: list[str] = []
        self.bytes_written = 0
        self._options = options or ParquetOptions()
        self._out = Path(out)
        self._run = run if isinstance(run, Run) else Run(run)
        self._folder = (folder or self._plain)(self._out, self._run, self._options.existing)
        self._waiting: dict[HourPartition, _Partition] = {}
        self._held = 0
        self._behind = Behind()
        self._claimed = False

    def check(self) -> None:
        """Claim the folder; refuse what an earlier run left unless told otherwise. Raises: OutputError."""
        self._folder.claim()
        self._claimed = True

    def _plain(self, out: Path, run: Run, existing: str) -> OutputFolder:
        return OutputFolder(out, ".parquet", run, existing, self._recover)

    def _recover(self) -> None:
        from sinks.flows.compaction import Compaction  # which encodes with this module

        Compaction(self._out).recover()

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

    def _write_out(self, key: HourPartition) -> None:
        partition = self._waiting.pop(key)
        self._held -= partition.rows
        name = self._folder.called(str(hour_folder(key) / f"whowas-{self._run.name}-{len(self.files):05d}.parquet"))
        self.files.append(str(self._out / name))
        path = self._folder.place(name)
        self._behind.do(lambda: self._make(path, partition.batches))

    def _make(self, path: Path, batches: list[Any]) -> None:
        table = in_order(batches)
        batches.clear()
        with durable(path) as handle:
            encode(handle, table, self._options.row_group_rows)
        self.bytes_written += path.stat().st_size

    def flush(self) -> None:
        """Write all that waits; on return it is on disk, and appears with the rest."""
        for key in sorted(self._waiting):
            self._write_out(key)
        self._behind.wait()

    def close(self) -> None:
        """Flush, let the files appear, unlock the folder."""
        if self._claimed:
            self.flush()
            self._folder.publish()
        self.abandon()

    def abandon(self) -> None:
        """Forget what waits and what has not appeared; unlock the folder."""
        self._behind.give_up()
        self._waiting.clear()
        self._held = 0
        # Also where a signal came between the lock and the word of it.
        self._folder.release()
        self._claimed = False


def encode(handle: BinaryIO, table: Any, row_group_rows: int = 65_536) -> None:
    """Write a table of `in_order` as a Parquet file."""
    made = spread(table)
    with pq.ParquetWriter(handle, made.schema, **writer_options(made)) as writer:
        writer.write_table(made, row_group_size=row_group_rows)
        writer.add_key_value_metadata(footer(table))


def split(flows: Any) -> list[tuple[HourPartition, Any]]:
    """Cut a batch by cluster and hour of start_time (the first of 1970 without one), rows of a part in their order."""
    hours = np.floor_divide(pc.fill_null(flows["start_time"].cast(pa.int64()), 0).to_numpy(), HOUR_US)
    clusters = flows["cluster"]
    words = [*(cluster_key(one or "") for one in clusters.dictionary.to_pylist()), NO_CLUSTER]
    index = pc.fill_null(clusters.indices, len(words) - 1).to_numpy()
    if len(hours) and (hours == hours[0]).all() and (index == index[0]).all():
        return [((words[index[0]], int(hours[0])), flows)]
    order = np.lexsort((hours, index))
    ends = np.flatnonzero((np.diff(hours[order]) != 0) | (np.diff(index[order]) != 0)) + 1
    groups = np.split(order, ends) if len(order) else []
    parts = [((words[index[rows[0]]], int(hours[rows[0]])), some(flows, rows)) for rows in groups]
    return sorted(parts, key=lambda one: one[0])

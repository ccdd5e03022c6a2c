"""Named flows as a replay or a stream left them: Parquet files, read in about the order of time with flat memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.flows.live_files import live_files
from whowas.errors import InputError
from whowas.flow_folders import CLUSTER_KEY, OLD_CLUSTER_KEY, told_cluster
from whowas.schema import PARTITIONS, is_nested, table_schema
from whowas.timestamps import BEFORE_ALL

BATCH_ROWS = 65_536
# A flipped byte gives names that are no text, numbers that do not fit, columns that are not there.
FAULTS = (OSError, pa.ArrowException, ValueError, TypeError, LookupError, ArithmeticError)
NEEDED = ("flow_id", "start_time")


class Part(NamedTuple):
    """One row group of a file. low_us: start of its first flow; what does not tell comes first."""

    low_us: int
    path: str
    group: int


class Seen(NamedTuple):
    """How far a reading has come, in flows."""

    path: str
    consumed: int
    total: int


@dataclass
class FlowFiles:
    """The files of a folder, or one file. unreadable: (path, reason) of what was left out or broke off."""

    folder: str
    parts: list[Part] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def find(cls, folder: str) -> FlowFiles:
        """Look at every file. Raises: InputError when there are no flows."""
        where, found = Path(folder), cls(folder)
        if not where.exists():
            raise InputError(
                f"cannot read flows '{folder}': no such folder; make them with 'whowas replay … --out {folder}'"
            )
        paths = sorted(live_files(where)) if where.is_dir() else [folder]
        if not paths:
            raise InputError(f"cannot read flows '{folder}': no Parquet file in it; name the --out of a replay")
        for path in paths:
            found._look(path)
        if not found.files:
            path, why = found.unreadable[0]
            raise InputError(f"cannot read flows '{path}': {why}; name the --out of a replay")
        found.parts.sort()
        return found

    def _look(self, path: str) -> None:
        try:
            self._take(path, pq.read_metadata(path))
        except FAULTS as error:
            self.unreadable.append((path, _first_line(error)))

    def _take(self, path: str, about: Any) -> None:
        """Take a file in by its metadata, whole or not at all. Raises: FAULTS."""
        leaves = {about.schema.column(n).path: n for n in range(len(about.schema))}
        missing = [name for name in NEEDED if name not in leaves]
        if missing:
            self.unreadable.append((path, f"it holds no named flows: there is no column '{missing[0]}'"))
            return
        groups = range(about.num_row_groups)
        parts = [Part(_low_us(about.row_group(n).column(leaves["start_time"])), path, n) for n in groups]
        self.parts += parts
        self.files += 1
        self.rows += about.num_rows

    def batches(self, seen: Callable[[Seen], None] | None = None) -> Iterator[tuple[Any, int]]:
        """Yield (record batch of table_schema, us before which no flow begins that is still to come)."""
        done = 0
        for part in self.parts:
            try:
                for batch in _read(part):
                    yield batch, part.low_us
                    done += batch.num_rows
                    if seen is not None:
                        seen(Seen(part.path, done, self.rows))
            except FAULTS as error:
                self.unreadable.append((part.path, _first_line(error)))


def _first_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is damaged: a text in it is no UTF-8"
    return str(error).partition("\n")[0] or "it is damaged"


def _low_us(column: Any) -> int:
    told = column.statistics
    if told is None or not told.has_min_max:
        return BEFORE_ALL
    return int(pa.scalar(told.min, pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py())


def _read(part: Part) -> Iterator[Any]:
    with pq.ParquetFile(part.path, pre_buffer=False) as file:
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[part.group]):
            # Arrow hands on what is no UTF-8 as text; whoever looks at it then would fail.
            batch.validate(full=True)
            yield fitted(batch, told_cluster(os.path.dirname(part.path)) or None)


def fitted(batch: Any, cluster: str | None) -> Any:
    """Return a batch of a file as one of table_schema.

    What is missing is null. cluster: as the folder tells it, for files of version 1, which have no such column.
    """
    arrays = []
    for want in table_schema():
        if want.name in batch.schema.names:
            arrays.append(_cast(batch.column(want.name), want.type))
        else:
            value = cluster if want.name == "cluster" else None
            arrays.append(pa.repeat(pa.scalar(value, _plain(want.type)), batch.num_rows))
            arrays[-1] = _cast(arrays[-1], want.type)
    return pa.RecordBatch.from_arrays(arrays, schema=table_schema())


def dataset(folder: str | os.PathLike[str]) -> Any:
    """Open all files below a folder as a pyarrow Dataset, with the columns of table_schema and of PARTITIONS.

    With files of version 1 among them `cluster` is text that is not dictionary-encoded: Arrow makes no such column of
    a folder's name. Raises: FileNotFoundError.
    """
    import pyarrow.dataset as ds

    schema = pa.schema([*table_schema(), *PARTITIONS.items()])
    found: dict[str, list[str]] = {CLUSTER_KEY: [], OLD_CLUSTER_KEY: []}
    for path in sorted(map(Path, live_files(folder))):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            parents = f"/{path}"
            # Folders of others around ours may be called as ours once were.
            old = f"/{OLD_CLUSTER_KEY}=" in parents and f"/{CLUSTER_KEY}=" not in parents
            found[OLD_CLUSTER_KEY if old else CLUSTER_KEY].append(str(path))
    if found[OLD_CLUSTER_KEY]:
        schema = schema.set(schema.get_field_index("cluster"), pa.field("cluster", pa.string()))
    parts = []
    for key, paths in found.items():
        if paths:
            keys = ds.partitioning(pa.schema([(key, pa.string()), *PARTITIONS.items()]), flavor="hive")
            parts.append(ds.dataset(paths, schema, format="parquet", partitioning=keys, exclude_invalid_files=False))
    return ds.dataset(parts) if len(parts) > 1 else parts[0] if parts else ds.dataset(Path(folder), schema)


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _cast(column: Any, kind: Any) -> Any:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind) and not is_nested(kind) and not pa.types.is_dictionary(column.type):
        return pc.dictionary_encode(column.cast(kind.value_type)).cast(kind)
    return column.cast(kind)

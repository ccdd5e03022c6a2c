"""What is done with a store beside recording: looked at, checked, exported, imported, compacted, pruned."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import whowas
from enrich.evidence import EvidenceStore
from enrich.objects import ClusterTrack
from enrich.upkeep import Facts, compact, facts, problems, prune, spans_within
from ingest.cluster import EvidenceReport, in_order, read_observations
from ingest.cluster.slice import write_slice
from ingest.files import find_inputs
from whowas.errors import OutputError
from whowas.moments import rfc3339
from whowas.observation import KubeObject, Observation

AT_ONCE = 2000
FOR_EVER = 1 << 62


@dataclass(frozen=True)
class Imported:
    """What became of one file. events: that said something new; None: the same file had been imported before."""

    path: str
    events: int | None


def export_slice(store: str, out: str, low_us: int | None = None, high_us: int | None = None) -> int:
    """Write the part of a store that speaks of any time from low to high into one file. Returns: lines of evidence.

    The file is whole or not there at all. Raises: StoreError, OutputError.
    """
    from enrich.evidence_read import Reading
    from enrich.stored import opened

    low, high = low_us if low_us is not None else -FOR_EVER, high_us if high_us is not None else FOR_EVER
    told: dict[str, Any] = {"whowas": whowas.__version__}
    told |= {"from": rfc3339(low)} if low_us is not None else {}
    told |= {"to": rfc3339(high)} if high_us is not None else {}
    with opened(store) as database, _Whole(out) as handle:
        reading = Reading(database)

        def every() -> Iterator[Observation]:
            yield from spans_within(database, reading.clusters, low, high)
            yield from reading.observations(low, high)

        return write_slice(handle, told, every())


class _Whole:
    """A file that appears under its name when all of it is durable."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> Any:
        folder = os.path.dirname(os.path.abspath(self._path))
        try:
            self._handle = tempfile.NamedTemporaryFile(dir=folder, prefix=".whowas-", delete=False)
        except OSError as error:
            raise OutputError(
                f"cannot write '{self._path}': {error.strerror}; give a file in a folder you can write to"
            ) from None
        return self._handle

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._handle.flush()
            os.fsync(self._handle.fileno())
            self._handle.close()
            os.chmod(self._handle.name, 0o644)
            os.replace(self._handle.name, self._path)
        else:
            self._handle.close()
            os.unlink(self._handle.name)


def import_files(
    store: str,
    paths: Sequence[str],
    *,
    cluster: str | None = None,
    report: EvidenceReport | None = None,
    progress: Callable[[Any], None] | None = None,
) -> list[Imported]:
    """Add evidence of files to a store, which is made when it is not there. The same file twice changes nothing.

    An import that is cut off is begun again from nothing. Raises: StoreError, InputError.
    """
    told = report or EvidenceReport()
    found = []
    with EvidenceStore(store, write=True) as kept:
        for path in in_order(find_inputs(paths)):
            row = kept.begin_import(os.path.basename(path), _digest(path))
            if row is None:
                found.append(Imported(path, None))
                continue
            events = _import(kept, row, read_observations([path], cluster, told, progress))
            kept.end_import(row)
            found.append(Imported(path, events))
    return found


def _import(kept: EvidenceStore, row: int, observations: Iterator[Observation]) -> int:
    """Store what a file says, and when its recorder was looking."""
    clocks: dict[str, ClusterTrack] = {}
    events, quiet = 0, False
    while group := list(islice(observations, AT_ONCE)):
        for one in group:
            if one.verb == "START":
                quiet = one.span is not None
                for track in clocks.values():
                    track.begin()
            elif one.span is None and not quiet:
                name = one.cluster or "default"
                clocks.setdefault(name, ClusterTrack(name)).look(one)
        events += kept.write([one for one in group if one.verb != "START"], source=row).events
    spans = [
        Observation("WATCHED", KubeObject(), high, high, name, "", (low, high))
        for name, track in clocks.items()
        for low, high in track.recordings
    ]
    kept.write(spans, source=row)
    return events


def _digest(path: str) -> str:
    """Name a file by what is in it."""
    check = hashlib.sha256()
    with open(path, "rb") as handle:
        while part := handle.read(1 << 20):
            check.update(part)
    return check.hexdigest()


def export_holds(store: str, out: str) -> int:
    """Write every hold of a store as one row of a Parquet file, for DuckDB, Spark and notebooks. Returns: rows.

    Columns: enrich.holds_table.SCHEMA. Raises: StoreError, OutputError.
    """
    import pyarrow.parquet as pq

    from enrich.holds_table import SCHEMA, holds_batches
    from enrich.stored import StoredHistory

    stored = StoredHistory(store)
    stored.close()
    rows = 0
    with _Whole(out) as handle, pq.ParquetWriter(handle, SCHEMA, compression="zstd") as writer:
        for known in stored.history.clusters.values():
            for batch in holds_batches(known):
                writer.write_batch(batch)
                rows += batch.num_rows
    return rows


__all__ = [
    "Facts",
    "Imported",
    "compact",
    "export_holds",
    "export_slice",
    "facts",
    "import_files",
    "problems",
    "prune",
]

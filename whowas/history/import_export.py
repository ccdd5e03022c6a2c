"""Inspects, checks, exports, imports, compacts and prunes a store."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from enrich.holds.cluster_track import ClusterTrack
from enrich.store.evidence_store import EvidenceStore
from enrich.store.info import Facts, facts
from enrich.store.prune import compact, prune
from enrich.store.salvage import Lost, salvage
from enrich.store.verify import problems
from enrich.store.watch_spans import spans_within
from ingest.cluster import EvidenceReport, read_observations, together
from ingest.cluster.evidence.reader import wrong
from ingest.cluster.evidence.slice import write_slice
from whowas.errors import InputError, OutputError
from whowas.history.evidence_files import EvidenceFiles, find_evidence
from whowas.history.queries import WHAT_IS_ONE, why_none
from whowas.history.whole_file import WholeFile
from whowas.observation import KubeObject, Observation
from whowas.sqlite_file import is_database
from whowas.timestamps import AFTER_ALL, BEFORE_ALL, rfc3339
from whowas.version import __version__

AT_ONCE = 2000
DEFAULT = "default"
# Longer than a kubelet's status may stay unpublished, or an event be on its way.
MARGIN = 60_000_000


@dataclass(frozen=True)
class Imported:
    """What became of one file. events: that said something new; None: the same file had been imported before."""

    path: str
    events: int | None


def export_slice(
    store: str,
    out: str,
    low_us: int | None = None,
    high_us: int | None = None,
    *,
    replace: bool = False,
    salvaged: bool = False,
) -> int:
    """Write the part of a store that speaks of any time from low to high into one file. Returns: lines of evidence.

    Inside of that time it answers as the store does, or less surely where only what lies before or after tells that
    somebody with several addresses in turn was not there. It reaches out by MARGIN on both sides: what nobody reported
    to have ended is believed to go on only when some time has passed. The file is whole or not there at all.
    Args: replace: put it in the place of one that is there, which is refused else. salvaged: something of it is lost.
    Raises: StoreError, OutputError.
    """
    from enrich.store.database import opened
    from enrich.store.reader import StoreReader

    low = BEFORE_ALL if low_us is None else low_us - MARGIN
    high = AFTER_ALL if high_us is None else high_us + MARGIN
    told: dict[str, Any] = {"whowas": __version__}
    told |= {"from": rfc3339(low_us)} if low_us is not None else {}
    told |= {"to": rfc3339(high_us)} if high_us is not None else {}
    told |= {"salvaged": True} if salvaged else {}
    also, never = (set(), set()) if (low_us, high_us) == (None, None) else _holding(store, low, high)
    with opened(store) as database, WholeFile(out, store, replace) as handle:
        reading = StoreReader(database)

        def every() -> Iterator[Observation]:
            yield from spans_within(database, reading.clusters, low, high)
            yield from reading.observations(low, high, also, never)

        return write_slice(handle, told, every())


def _holding(store: str, low: int, high: int) -> tuple[set[str], set[str]]:
    """Return the UIDs of all that may have held an address from low to high, and of those who did at other times only.

    A pod deleted by force is gone long before anybody knows that its address is free; and one that is still
    there may have been over long ago, which only those prove who came after it.
    """
    import numpy as np

    from enrich.history.sealed import load

    stored = load(store)
    inside: set[str] = set()
    outside: set[str] = set()
    for known in stored.history.clusters.values():
        uids = known.entities.uids()
        rows = (known.bounds[:, 0] <= high) & (known.bounds[:, 3] >= low)
        inside.update(uids[entity] for entity in np.unique(known.entity_of[rows]).tolist())
        outside.update(uids[entity] for entity in np.unique(known.entity_of[~rows]).tolist())
    return inside, outside - inside


@contextlib.contextmanager
def salvaged(store: str, out: str, *, replace: bool = False) -> Iterator[tuple[str, Lost]]:
    """Make a sound store of what can be read of a damaged one, for as long as it is looked at.

    out: what is to be exported from it stands there in the end. Yields: its path, and what is lost.
    Raises: StoreError, OutputError.
    """
    WholeFile(out, store, replace)
    folder = os.path.dirname(os.path.abspath(out))
    try:
        # As large as the store itself: not where temporary files may lie in memory.
        with tempfile.TemporaryDirectory(prefix=".whowas-", dir=folder) as within:
            fresh = os.path.join(within, "store")
            yield fresh, salvage(store, fresh)
    except OSError as error:
        raise OutputError(f"cannot write '{out}': {error.strerror}; make room, or give another file") from error


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
    told = EvidenceReport() if report is None else report
    files, taken = _evidence(paths)
    found = []
    with EvidenceStore(store, write=True) as kept:
        digests = {path: _digest(path, cluster, taken.get(path)) for path in files}
        fresh = [path for path in files if not kept.imports.was_imported(digests[path])]
        found += [Imported(path, None) for path in files if path not in fresh]
        for group in together(fresh):
            if kept.imports.was_imported(digests[group[0]]):  # the same content under another name, just now
                found.append(Imported(group[0], None))
                continue
            row = kept.imports.begin({os.path.basename(path): digests[path] for path in group})
            events = _import(kept, row, read_observations(group, cluster, told, progress, taken), told)
            kept.imports.end(row)
            found.append(Imported(", ".join(group), events))
    return found


def _evidence(words: Sequence[str]) -> EvidenceFiles:
    """Return the files to import. Raises: InputError, before a store is made for nothing."""
    found = find_evidence(words)
    for path in found.paths:
        if path == "-":
            raise InputError("cannot import standard input: it cannot be read twice; write it to a file first")
        if not os.path.isfile(path):
            raise InputError(f"cannot import '{path}': it is no file, and cannot be read twice; write it to one first")
        if is_database(path):
            raise InputError(
                f"cannot import '{path}': it is a store; make a slice of it with 'whowas history export {path} OUT'"
            )
        if (told := wrong(path)) is not None:
            raise InputError(f"cannot import '{path}': {why_none(told)}; {WHAT_IS_ONE}")
    return found


def _import(kept: EvidenceStore, row: int, observations: Iterator[Observation], told: EvidenceReport) -> int:
    """Store what files say, and when its recorder was looking."""
    clocks: dict[str, ClusterTrack] = {}
    clusters: dict[str, None] = {}
    nameless: list[Observation] = []
    events, quiet = 0, False
    while group := list(islice(observations, AT_ONCE)):
        mine = []
        for one in group:
            if one.verb == "START":
                quiet = one.span is not None
                for track in clocks.values():
                    track.begin()
                continue
            if one.verb == "GAP" and one.cluster is None:
                nameless.append(one)
                continue
            mine.append(one)
            name = one.cluster or DEFAULT
            clusters[name] = None
            if one.span is None and not quiet:
                clocks.setdefault(name, ClusterTrack(name)).look(one)
        written = kept.write(mine, source=row)
        events += written.events
        told.refused.update(written.refused)
    # A gap without a name lies in all clusters that the file speaks of.
    gaps = [one._replace(cluster=name) for one in nameless for name in clusters or (DEFAULT,)]
    spans = [
        Observation("WATCHED", KubeObject(), high, high, name, "", (low, high))
        for name, track in clocks.items()
        for low, high in track.recordings
    ]
    told.refused.update(kept.write(gaps + spans, source=row).refused)
    return events


def _digest(path: str, cluster: str | None, taken: int | None) -> str:
    """Name a file by what is in it, by whom it is taken to speak of, and by when it is told to be of."""
    check = hashlib.sha256()
    try:
        with open(path, "rb") as handle:
            while part := handle.read(1 << 20):
                check.update(part)
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}; check the file and its rights") from None
    return f"{check.hexdigest()} {cluster or ''}{'' if taken is None else f'@{taken}'}".strip()


def export_holds(store: str, out: str, *, replace: bool = False) -> int:
    """Write every hold of a store as one row of a Parquet file, for DuckDB, Spark and notebooks. Returns: rows.

    Columns: enrich.history.holds_table.SCHEMA. Raises: StoreError, OutputError.
    """
    import pyarrow.parquet as pq

    from enrich.history.holds_table import SCHEMA, holds_batches
    from enrich.history.sealed import load

    stored = load(store)
    rows = 0
    with WholeFile(out, store, replace) as handle, pq.ParquetWriter(handle, SCHEMA, compression="zstd") as writer:
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
    "salvaged",
]

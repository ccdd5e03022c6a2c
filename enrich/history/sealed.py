"""A history that was derived once, kept as it is for the next time: mapped in milliseconds, whatever its size.

It lies in the user's own cache folder, made of one state of one store by one version of the rules; of any other, or
damaged, it is refused and derived again. docs/decisions/0024-sealed-index.md says why so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from enrich.history.entities import Entities, Holds
from enrich.history.history import ClusterHistory, History
from enrich.history.open_ports import OpenPorts
from enrich.history.sealed_file import RefusedError, SealedFile, write_sealed
from enrich.history.states import Lines, States
from enrich.history.stored import StoredHistory
from enrich.history.time_index import Index
from enrich.holds.derive import Clock, Spans, Table
from enrich.holds.pod_ports import PortKey
from enrich.holds.pod_tables import ONE_THREAD, STATE, Batch
from enrich.holds.service_node_track import ThingTrack
from enrich.holds.untold import Span, Untold
from enrich.holds.versions import Bounds
from enrich.store.database import HISTORY, open_database
from enrich.store.fingerprint import TICK_NS, FileState, file_state, fingerprint, settled_for
from enrich.store.kept_beside import HOLDS_LEAST, make_room, place_of
from whowas.errors import WhowasError
from whowas.sqlite_file import snapshot

FAULTS = (msgspec.MsgspecError, pa.ArrowException)
# A store that a recorder writes to is another in a minute.
QUIET_NS = 60_000_000_000
FIXED = ("bounds", "seen", "told", "conflicts", "kinds", "entity_of", "first", "reach", "pairs", "table")


class _Cluster(msgspec.Struct, array_like=True):
    """What of a cluster is no array."""

    name: str
    covered: Spans
    gaps: Spans
    ranges: tuple[str, ...]
    known_until: int
    untold: list[Span]
    untold_ranges: dict[str, tuple[str, ...]]
    clocks: dict[str, Clock]
    things: list[ThingTrack]
    nodes: list[str]
    node_ports: list[tuple[PortKey, list[tuple[int, Bounds]]]]
    host_ports: list[tuple[tuple[PortKey, str], list[tuple[int, bytes | None, Bounds]]]]


class _Told(msgspec.Struct, array_like=True):
    """All clusters, in their order, how many events of each kind there are, and what the caller keeps beside them."""

    clusters: list[_Cluster]
    counts: dict[str, int]
    beside: bytes


class Stored(NamedTuple):
    """What a store says. counts: events by kind. mapped: it was there already, derived. beside: as it was kept."""

    history: History
    counts: Counter[str]
    mapped: bool
    beside: bytes = b""


def load(path: str, *, least: int = HOLDS_LEAST, quiet_ns: int = QUIET_NS) -> Stored:
    """Return what a store says now: mapped where that was kept, else derived, and kept for the next time.

    Args: least: of fewer holds nothing is kept. quiet_ns: nor while somebody has just written. Raises: StoreError.
    """
    place = place_of(path)
    before = None if place is None else _look(path)
    if place is not None and before is not None and place.exists():
        found = mapped(place, before.key)
        if found is not None:
            return found
    stored = StoredHistory(path)
    stored.close()
    holds = sum(len(one.holds) for one in stored.history.clusters.values())
    if place is not None and before is not None and holds >= least:
        # Between two looks that see the same nothing else was there to be derived of.
        with contextlib.suppress(WhowasError):
            if settled_for(before.state) >= max(quiet_ns, TICK_NS) and _look(path) == before:
                keep(place, before.key, stored.history, stored.counts)
    return Stored(stored.history, stored.counts, False)


def kept(path: str) -> History | None:
    """Return what a store says, where that was kept; nothing is derived. Raises: StoreError."""
    place = place_of(path)
    look = _look(path) if place is not None and place.exists() else None
    found = None if place is None or look is None else mapped(place, look.key)
    return None if found is None else found.history


def seal(path: str, *, least: int = HOLDS_LEAST) -> bool:
    """Derive what a store says, for the next time. Returns: whether it is kept. Raises: StoreError."""
    try:
        time.sleep(max(0, TICK_NS - settled_for(file_state(path))) / 1e9)
    except OSError:
        return False
    load(path, least=least, quiet_ns=0)
    place = place_of(path)
    return place is not None and place.exists()


def mapped(place: Path, key: bytes) -> Stored | None:
    """Return what was kept; None, and remove it, where it cannot be used."""
    with contextlib.suppress(RefusedError, OSError, KeyError, ValueError, TypeError, *FAULTS):
        found = _opened(SealedFile(place, key))
        os.utime(place)
        return found
    with contextlib.suppress(OSError):
        place.unlink()
    return None


class _Look(NamedTuple):
    """What a store was at a moment. key: of it, and of what derives it."""

    key: bytes
    state: FileState


def _look(path: str) -> _Look | None:
    """Look at a store, None where its files cannot be. Raises: StoreError."""
    database = open_database(path, write=False)
    try:
        with HISTORY.make_sense(path, "read"), snapshot(database):
            database.execute("SELECT times FROM rewritten").fetchone()
            # After the snapshot has begun: what is written from now on shows in its time, what came before in both.
            state = file_state(path)
            return _Look(hashlib.sha256(fingerprint(database, state) + rules()).digest(), state)
    except OSError:
        return None
    finally:
        database.close()


def keep(place: Path, key: bytes, history: History, counts: Counter[str], beside: bytes = b"") -> None:
    """Keep a history for whoever comes with the same key. A cache that fails costs time, and nothing else."""
    with contextlib.suppress(OSError, UnicodeError, OverflowError, TypeError, *FAULTS):
        several = list(history.clusters.values())
        told = _Told([_small(one) for one in several], dict(counts), beside)
        make_room(place)
        write_sealed(place, key, msgspec.msgpack.encode(told), _arrays(several))


@lru_cache(maxsize=1)
def rules() -> bytes:
    """Return what all that derives is made of: its sources, and the versions of what it stands on."""
    versions = (sys.version, sys.byteorder, np.__version__, pa.__version__, msgspec.__version__)
    seen = hashlib.sha256(repr(versions).encode())
    root = Path(__file__).resolve().parents[2]
    paths = sorted([*root.glob("enrich/*/*.py"), *root.glob("whowas/*.py")])
    for one in paths:
        seen.update(f"{one.name}\0".encode() + one.read_bytes())
    return seen.digest()


def _arrays(several: Sequence[ClusterHistory]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for number, one in enumerate(several):
        mine: dict[str, Any] = {name: getattr(one, name) for name in FIXED}
        mine |= one.index._asdict()
        states = one.states
        mine |= {"own": states.own.first, "since": states.own.since, "homes": states.homes}
        mine |= {"pods": _blob(one.entities.pods), "versions": _blob(states.versions.table.select(STATE))}
        mine["source"] = _blob(pa.table({"source": one.holds.source}))
        arrays |= {f"{number}/{name}": array for name, array in mine.items()}
    return arrays


def _small(one: ClusterHistory) -> _Cluster:
    untold, opened, entities = one.untold, one.opened, one.entities
    return _Cluster(
        one.name, one.covered, one.gaps, one.ranges, one.known_until, list(untold.spans), dict(untold.ranges),
        entities.clocks, list(entities.things), entities.nodes()[1],
        list(opened.node_ports.items()), list(opened.host_ports.items()),
    )  # fmt: skip


def _blob(table: Any) -> Any:
    made = pa.BufferOutputStream()
    with pa.ipc.new_stream(made, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return np.frombuffer(made.getvalue(), dtype=np.uint8)


def _opened(sealed: SealedFile) -> Stored:
    told = msgspec.msgpack.decode(sealed.told, type=_Told)
    clusters = {one.name: _cluster(sealed, number, one) for number, one in enumerate(told.clusters)}
    return Stored(History(clusters), Counter(told.counts), True, told.beside)


def _cluster(sealed: SealedFile, number: int, told: _Cluster) -> ClusterHistory:
    def part(name: str) -> Any:
        return sealed[f"{number}/{name}"]

    fixed = {name: part(name) for name in FIXED}
    pods = _table(part("pods"))
    lines = Lines(part("own"), part("since"))
    states = States(Batch(pods, None, _table(part("versions"))), told.things, part("homes"), told.nodes, lines)
    halves = fixed["pairs"].view(">i8").astype(np.int64).reshape(-1, 2)
    source = _table(part("source"))["source"].combine_chunks()
    rows = Table(
        halves, fixed["bounds"], fixed["bounds"], fixed["seen"], fixed["conflicts"], fixed["kinds"],
        fixed["entity_of"], source,
    )  # fmt: skip
    return ClusterHistory(
        name=told.name, entities=Entities(pods, told.things, told.clocks), states=states,
        holds=Holds(rows, fixed["first"], halves),
        covered=told.covered, gaps=told.gaps, ranges=told.ranges,
        opened=OpenPorts(dict(told.node_ports), dict(told.host_ports)),
        index=Index(*(part(name) for name in Index._fields)), known_until=told.known_until,
        untold=Untold(tuple(told.untold), told.untold_ranges), **fixed,
    )  # fmt: skip


def _table(blob: Any) -> Any:
    with pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(blob)), options=ONE_THREAD) as reader:
        return reader.read_all()

"""A store looked at from outside: what is in it, whether it is sound, what can leave it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from enrich.holds.clock_skew import proven
from enrich.holds.pod_tables import Batch
from enrich.store.database import in_words, opened, rewritten, transaction
from enrich.store.encoding import DERIVED, KINDS, MEMBERS, SPANS, VERB, VERBS
from enrich.store.evidence_store import EvidenceStore
from enrich.store.outbox import end_epoch, open_epoch
from enrich.store.packing import HOUR, check_of, from_blob, pack
from enrich.store.reader import DECODE
from enrich.store.replica import Position, position
from enrich.store.writer_state import RECORDER
from whowas.errors import StoreError
from whowas.observation import KubeObject, Observation


@dataclass(frozen=True)
class ClusterFacts:
    """One cluster of a store. Times in us; spans and gaps as (kind, from, to)."""

    name: str
    objects: dict[str, int]
    living: int
    events: int
    watched: list[tuple[str, int, int]] = field(default_factory=list)
    gaps: list[tuple[str, int, int]] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What is in a store."""

    path: str
    version: int
    bytes: int
    events: int
    packed_events: int
    clusters: list[ClusterFacts]
    sources: list[str]
    telling: Telling | None = None
    replica: Position | None = None


@dataclass(frozen=True)
class Telling:
    """What of a store goes to a topic. store: its name there. begun_us: when all was told last; None: nothing goes on.

    snapshot: whether all of that is in the outbox, or was. messages: since then. waiting, bytes: what is in the outbox.
    """

    store: str
    begun_us: int | None
    snapshot: bool
    messages: int
    waiting: int
    bytes: int


def facts(path: str) -> Facts:
    """Say what is in a store. Raises: StoreError."""
    with opened(path) as database:
        one = database.execute(
            "SELECT (SELECT count(*) FROM event), (SELECT coalesce(sum(events), 0) FROM block)"
        ).fetchone()
        version = database.execute("PRAGMA user_version").fetchone()[0]
        clusters = [
            _cluster(database, row, name) for row, name in database.execute("SELECT id, name FROM cluster").fetchall()
        ]
        sources = [name for (name,) in database.execute("SELECT name FROM source WHERE digest IS NOT NULL")]
        telling = _telling(database)
    size = sum(os.path.getsize(path + tail) for tail in ("", "-wal") if os.path.exists(path + tail))
    return Facts(path, version, size, one[0] + one[1], one[1], clusters, sources, telling, position(path))


def _telling(database: sqlite3.Connection) -> Telling | None:
    run = database.execute
    # A store of the version before has no such table.
    if not run("SELECT 1 FROM sqlite_master WHERE name = 'publishing'").fetchone():
        return None
    if not run("SELECT 1 FROM publishing").fetchone():
        return None
    now, store = open_epoch(database), run("SELECT store FROM identity").fetchone()[0]
    waiting = run("SELECT count(*), coalesce(sum(length(value)), 0) FROM outbox").fetchone()
    if now is None:
        return Telling(store, None, False, 0, *waiting)
    return Telling(store, now.epoch, now.whole, now.last, *waiting)


def _cluster(database: sqlite3.Connection, row: int, name: str) -> ClusterFacts:
    kinds = database.execute("SELECT kind, count(*) FROM object WHERE cluster = ? GROUP BY kind", (row,)).fetchall()
    living = database.execute(
        "SELECT count(*) FROM object WHERE cluster = ? AND block IS NULL AND gone_us IS NULL", (row,)
    ).fetchone()[0]
    events = database.execute(
        "SELECT (SELECT count(*) FROM event JOIN object ON object.id = event.object WHERE cluster = ?) + "
        "(SELECT coalesce(sum(events), 0) FROM block WHERE cluster = ?)",
        (row, row),
    ).fetchone()[0]
    spans = database.execute(
        "SELECT kind, low_us, high_us, gap FROM span WHERE cluster = ? ORDER BY low_us", (row,)
    ).fetchall()
    cursors = dict(database.execute("SELECT kind, version FROM cursor WHERE cluster = ?", (row,)))
    return ClusterFacts(
        name,
        {KINDS[kind]: count for kind, count in kinds},
        living,
        events,
        [(kind, low, high) for kind, low, high, sort in spans if sort == 0],
        [(kind, low, high) for kind, low, high, sort in spans if sort == 1],
        cursors,
    )


def problems(path: str) -> Iterator[str]:
    """Yield what is not sound in a store: nothing when all is well. Raises: StoreError when it is no store."""
    try:
        with opened(path) as database:
            for (word,) in database.execute("PRAGMA integrity_check"):
                if word != "ok":
                    yield f"the database: {word}"
            yield from _odd_blocks(database)
            yield from _odd_events(database)
    except StoreError as error:
        # That it is damaged is the answer here, not a reason not to answer.
        if not isinstance(error.__cause__, sqlite3.DatabaseError) or isinstance(
            error.__cause__, sqlite3.OperationalError
        ):
            raise
        yield f"the database: {error.__cause__}"


def _odd_blocks(database: sqlite3.Connection) -> Iterator[str]:
    """Name each block that is not what was written, or not all of it."""
    counted: dict[int, int] = dict(
        database.execute("SELECT block, count(*) FROM object WHERE block IS NOT NULL GROUP BY block")
    )
    dropped: dict[int, int] = dict(database.execute("SELECT block, count(*) FROM dropped GROUP BY block"))
    for (block,) in database.execute("SELECT id FROM block").fetchall():
        objects, *told = database.execute(
            "SELECT objects, events, checksum, evidence, derived FROM block WHERE id = ?", (block,)
        ).fetchone()
        why = _block_problem(*told)
        if why:
            yield f"block {block}: {why}"
        if counted.pop(block, 0) + dropped.get(block, 0) != objects:
            yield f"block {block}: some of its {objects} objects are missing"
    for block in counted:
        yield f"block {block}: it is missing, and objects point to it"


def _block_problem(events: int, check: bytes, evidence: bytes, derived: bytes) -> str:
    if check_of(evidence) + check_of(derived) != check:
        return "its checksum does not fit"
    try:
        found = len(from_blob(evidence))
        Batch.from_bytes(derived)
    except Exception as error:  # noqa: BLE001 - whatever the decoders say, the block cannot be read
        return f"it cannot be read: {error}"
    return "" if found == events else f"it has {found} events instead of {events}"


def _odd_events(database: sqlite3.Connection) -> Iterator[str]:
    """Name each event that cannot be read, and count those that belong to nobody."""
    for number, verb, body in database.execute("SELECT id, verb, body FROM event"):
        if not 0 <= verb < len(VERBS):
            yield f"event {number}: it has the unknown verb {verb}"
        elif body is not None and VERBS[verb] not in MEMBERS:
            try:
                DECODE.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield f"event {number}: it cannot be read: {error}"
    orphans = database.execute(
        "SELECT count(*) FROM event WHERE object NOT IN (SELECT id FROM object WHERE block IS NULL)"
    ).fetchone()[0]
    if orphans:
        yield f"events of no object: {orphans:,}"


def spans_within(database: sqlite3.Connection, names: dict[int, str], low: int, high: int) -> Iterator[Observation]:
    """Yield when somebody was looking and when not, cut to low .. high (us), and how far clocks are off."""
    for cluster, kind, sort, first, last in database.execute(
        "SELECT cluster, kind, gap, low_us, high_us FROM span ORDER BY low_us"
    ):
        start, end = max(first, low), min(last, high)
        if start <= end:
            yield Observation(SPANS[sort], KubeObject(kind=kind), end, end, names[cluster], "", (start, end))
    for cluster, node, proof, *off in database.execute("SELECT * FROM clock"):
        yield proven(names[cluster], node, proof, off[0], off[1])


def compact(path: str, progress: Callable[[int], None] | None = None) -> int:
    """Pack what is over and give room back. Returns: objects packed. Raises: StoreError."""
    with EvidenceStore(path, write=True, make=False) as store, in_words(path, "compact"):
        packed = _pack_all(store, progress)
        _give_back(store)
    return packed


def _pack_all(store: EvidenceStore, progress: Callable[[int], None] | None = None) -> int:
    packed = 0
    while count := pack(store.database, budget_seconds=1.0):
        packed += count
        if progress is not None:
            progress(packed)
    return packed


def _give_back(store: EvidenceStore) -> None:
    store.database.execute("VACUUM")
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def prune(path: str, before_us: int) -> int:
    """Forget what was over before a time. What still lives keeps all its evidence. Returns: objects forgotten.

    Of the time before nothing is claimed any more: it counts as not watched. Raises: StoreError.
    """
    with EvidenceStore(path, write=True, make=False) as store, in_words(path, "prune"):
        _pack_all(store)
        count = forget(store, before_us)
        _give_back(store)
    return count


def forget(store: EvidenceStore, before_us: int) -> int:
    """As prune, in a store that is open for writing, without giving the room back. Returns: objects forgotten."""
    # Containers of a pod deleted by force may go on for a while: what has just gone may hold its address still.
    over = before_us - HOUR
    with in_words(store.path, "prune"), transaction(store.database):
        run = store.database.execute
        run("CREATE TEMP TABLE leaving AS SELECT id FROM object WHERE block IN "
            "(SELECT id FROM block WHERE high_us < ?1) OR (gone_us < ?1 AND block IS NULL)", (over,))  # fmt: skip
        # Of what stands between pods that stay and their workloads the names are kept, and nothing else.
        run("CREATE TEMP TABLE named AS SELECT DISTINCT json_extract(owner, '$[1]') AS uid, cluster FROM object "
            "WHERE owner IS NOT NULL AND id NOT IN (SELECT id FROM leaving)")  # fmt: skip
        run("CREATE TEMP TABLE staying AS SELECT id FROM object WHERE id IN (SELECT id FROM leaving) "
            "AND (uid, cluster) IN (SELECT uid, cluster FROM named)")  # fmt: skip
        count: int = run("SELECT (SELECT count(*) FROM leaving) - (SELECT count(*) FROM staying)").fetchone()[0]
        for table in ("address", "event"):
            run(f"DELETE FROM {table} WHERE object IN (SELECT id FROM leaving)")  # noqa: S608 - words of ours
        run("UPDATE object SET block = NULL WHERE id IN (SELECT id FROM staying)")
        run("DELETE FROM object WHERE id IN (SELECT id FROM leaving) AND id NOT IN (SELECT id FROM staying)")
        run("DELETE FROM dropped WHERE block IN (SELECT id FROM block WHERE high_us < ?)", (over,))
        run("DELETE FROM block WHERE high_us < ?", (over,))
        run("DELETE FROM span WHERE high_us < ?", (before_us,))
        run("UPDATE span SET low_us = ?1 WHERE low_us < ?1", (before_us,))
        _keep_standing(store.database, before_us)
        for table in ("leaving", "named", "staying"):
            run(f"DROP TABLE {table}")
        rewritten(store.database)
        # A topic forgets it too: by a snapshot of what is left.
        end_epoch(store.database)
    store.reread()
    return count


def _keep_standing(database: sqlite3.Connection, at: int) -> None:
    """Say of what stood then that it did: that it was watched since it was last seen is forgotten with the time.

    What stands, and was watched at that time, was shown by nobody to have gone before.
    """
    run = database.execute
    for kind in DERIVED:
        run("DELETE FROM event WHERE body IS NULL AND verb = ? AND received_us < ? AND object IN (SELECT id FROM "
            "object WHERE kind = ? AND gone_us IS NULL AND block IS NULL)", (VERB["LISTED"], at, kind))  # fmt: skip
        run("INSERT INTO event(object, verb, received_us, not_before_us) SELECT id, ?1, ?2, ?2 FROM object "
            "WHERE kind = ?3 AND gone_us IS NULL AND block IS NULL AND (SELECT max(coalesce(received_us, "
            "not_before_us)) FROM event WHERE object = object.id AND verb < ?4) < ?2 AND EXISTS(SELECT 1 FROM span "
            "WHERE span.cluster = object.cluster AND span.kind = ?5 AND gap = 0 AND source = ?6 AND low_us = ?2) AND "
            "NOT EXISTS(SELECT 1 FROM span WHERE span.cluster = object.cluster AND span.kind IN ('', ?5) AND gap = 1 "
            "AND low_us <= ?2)", (VERB["LISTED"], at, kind, VERB["JOINED"], KINDS[kind], RECORDER))  # fmt: skip

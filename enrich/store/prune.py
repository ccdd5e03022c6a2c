"""Compacts a store, and forgets what was over before a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from enrich.store.database import HISTORY, rewritten
from enrich.store.encoding import DERIVED, KINDS, VERB
from enrich.store.evidence_store import EvidenceStore
from enrich.store.kept_beside import drop
from enrich.store.outbox import end_epoch
from enrich.store.packing import HOUR, pack, renew
from enrich.store.writer_state import RECORDER
from whowas.sqlite_file import transaction


def compact(path: str, progress: Callable[[int], None] | None = None) -> int:
    """Pack what is over, renew what older rules derived, free the room. Returns: objects packed. Raises: StoreError."""
    with EvidenceStore(path, write=True, make=False) as store, HISTORY.make_sense(path, "compact"):
        renew(store.database)
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
    with EvidenceStore(path, write=True, make=False) as store, HISTORY.make_sense(path, "prune"):
        _pack_all(store)
        count = forget(store, before_us)
        _give_back(store)
    return count


def forget(store: EvidenceStore, before_us: int) -> int:
    """As prune, in a store that is open for writing, without giving the room back. Returns: objects forgotten."""
    # An end without a time of its own counts as old as can be: whoever was seen later is not over.
    # Containers of a pod deleted by force may go on for a while: what has just gone may hold its address still.
    over = before_us - HOUR
    with HISTORY.make_sense(store.path, "prune"), transaction(store.database):
        run = store.database.execute
        run("CREATE TEMP TABLE leaving AS SELECT id FROM object WHERE block IN "
            "(SELECT id FROM block WHERE high_us < ?1) OR (gone_us < ?1 AND block IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM event WHERE event.object = object.id AND coalesce(received_us, not_before_us) >= ?1))",
            (over,))  # fmt: skip
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
    store.invalidate()
    drop(store.path)
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

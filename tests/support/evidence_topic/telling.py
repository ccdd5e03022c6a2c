"""Stores that tell what changes, and replicas that are told, without a broker between them."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.store.pieces import pieces

from enrich.store.evidence_store import EvidenceStore
from enrich.store.outbox import OutboxReader
from enrich.store.packing import pack
from enrich.store.replica import ReplicaStore
from ingest.cluster.evidence.messages import from_message, to_messages
from whowas.observation import Observation

SECOND = 1_000_000


def telling(path: Path, most: int = 1 << 30) -> EvidenceStore:
    """A store whose changes go into its outbox."""
    return EvidenceStore(path, write=True, pack=to_messages, outbox_most=most)


def messages(path: Path) -> Iterator[bytes]:
    """Everything that lies in an outbox, in its order."""
    reader = OutboxReader(str(path))
    found = reader.look(most=1 << 30)
    assert found.epoch is not None
    assert found.epoch.whole, "the snapshot is not finished"
    reader.close()
    return (value for _, value in found.rows)


def write(path: Path, told: list[Observation], seed: int, begin_at: float) -> None:
    """Write in random transactions by one writer after the other, and pack in between.

    begin_at: after which part of it a topic is first told.
    """
    dice = random.Random(seed)
    done = 0
    begun = False
    listing: set[Any] = set()
    store = telling(path)
    for piece in pieces(told, dice):
        if not begun and done >= len(told) * begin_at:
            begun = True
            assert store.outbox is not None
            store.outbox.begin()
        assert not store.write(piece).refused
        done += len(piece)
        for one in piece:
            key = (one.cluster, one.object.kind)
            listing = listing | {key} if one.verb == "LISTED" else listing - {key}
        if dice.random() < 0.1:
            pack(store.database, settled_us=dice.choice([0, 10 * SECOND]))
        if begun and dice.random() < 0.3:
            assert store.outbox is not None
            store.outbox.step(0.0001)
        if not listing and dice.random() < 0.2:
            store.close()
            store = telling(path)
    assert store.outbox is not None
    if not begun:
        store.outbox.begin()
    while store.outbox.step(10):
        pass
    store.close()


def tell(path: Path, told: Iterator[bytes], seed: int = 1, name: str = "one") -> None:
    """Take messages into a replica in random groups, leave and come back, pack."""
    dice = random.Random(seed)
    replica = ReplicaStore(str(path), "topic")
    for offset, message in enumerate(told, 1):
        origin = replica.origin(name)
        origin.number += 1
        replica.take(origin, from_message(message, "", Counter()), offset, b"")
        step = dice.random()
        if step < 0.1:
            replica.close()
            replica = ReplicaStore(str(path), "topic")
        elif step < 0.2:
            pack(replica._store.database, settled_us=dice.choice([0, 10 * SECOND]))
    replica.close()


def events(path: Path) -> dict[tuple[str, str], list[Any]]:
    """Every event that is not packed away, by cluster and UID, in its order."""
    database = sqlite3.connect(path)
    rows = database.execute(
        "SELECT cluster.name, uid, verb, received_us, not_before_us, version, body FROM event JOIN object ON "
        "object.id = event.object JOIN cluster ON cluster.id = object.cluster ORDER BY event.id"
    ).fetchall()
    database.close()
    found: dict[tuple[str, str], list[Any]] = {}
    for cluster, uid, *rest in rows:
        found.setdefault((cluster, uid), []).append(rest)
    return found

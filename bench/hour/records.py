"""Three records of one hour: what a second watcher saw, what the apiserver's audit log says, what the store has."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from enrich.store.blocks import ALL_EVENTS, Stored, from_blob
from enrich.store.encoding import KIND, VERBS, reduced
from ingest.cluster import EvidenceReport, read_observations

POD = KIND["Pod"]
# (UID, resourceVersion): each write of a pod has one of its own.
Write = tuple[str, int]


class Seen(NamedTuple):
    """An event: its verb, when it was received (us), and what it said, as a store keeps it."""

    verb: str
    at: int
    said: int


def witnessed(path: Path) -> dict[Write, Seen]:
    """What the second watcher saw, by write. Raises: AssertionError when it has a hole, or saw a write twice."""
    found: dict[Write, Seen] = {}
    report = EvidenceReport()
    for one in read_observations([str(path)], "test", report):
        assert one.verb != "GAP", "the second watcher has a hole"
        meta = one.object.metadata
        if one.object.kind != "Pod" or one.verb not in VERBS or meta is None or meta.resourceVersion is None:
            continue
        write = (meta.uid, int(meta.resourceVersion))
        assert write not in found, f"the second watcher saw {write} twice"
        found[write] = Seen(one.verb, one.received_us or 0, hash(reduced(one.object)))
    assert report.whole(), report.to_json()
    return found


def audited(folder: Path) -> dict[Write, str]:
    """Every write of a pod that the apiserver says it answered with success: its verb and subresource."""
    found: dict[Write, str] = {}
    for path in sorted(folder.glob("audit*.log")):
        with path.open("rb") as lines:
            for line in lines:
                told = _answered(line)
                if told is not None:
                    found[told[0]] = told[1]
    return found


def _answered(line: bytes) -> tuple[Write, str] | None:
    try:
        one: dict[str, Any] = json.loads(line)
    except ValueError:  # cut off when the apiserver was killed
        return None
    meta = (one.get("responseObject") or {}).get("metadata") or {}
    if one.get("stage") != "ResponseComplete" or one["responseStatus"].get("code", 500) >= 300:
        return None
    if one["verb"] in ("get", "list", "watch") or "uid" not in meta or "resourceVersion" not in meta:
        return None
    what = " ".join(filter(None, (one["verb"], one["objectRef"].get("subresource", ""))))
    return (meta["uid"], int(meta["resourceVersion"])), what


def stored(path: Path) -> Iterator[tuple[Write, Seen]]:
    """Every event of a pod in the store, as rows or packed away; `said` of the body that was in force."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    uids = dict(database.execute("SELECT id, uid FROM object WHERE kind = ?", (POD,)))
    at_home = dict(database.execute("SELECT id, block FROM object WHERE kind = ?", (POD,)))
    body: dict[int, int] = {}
    for one in _events(database, at_home):
        if one.object not in uids or one.verb >= VERBS.index("JOINED"):
            continue
        if one.body is not None:
            body[one.object] = hash(bytes(one.body))
        seen = Seen(VERBS[one.verb], one.received_us or 0, body.get(one.object, 0))
        yield (uids[one.object], one.version or 0), seen
    database.close()


def _events(database: sqlite3.Connection, at_home: dict[int, int | None]) -> Iterator[Stored]:
    yield from map(Stored._make, database.execute(ALL_EVENTS))
    for block, blob in database.execute("SELECT id, evidence FROM block"):
        # What was taken out of a block again stands in rows.
        yield from (one for one in from_blob(blob) if at_home.get(one.object) == block)


def gaps(path: Path) -> list[tuple[int, int]]:
    """When, as the store says, nobody looked at pods; us."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = database.execute("SELECT low_us, high_us FROM span WHERE gap = 1 AND kind IN ('', 'Pod') ORDER BY 1")
    rows = list(found)
    database.close()
    return rows


def living(path: Path) -> set[str]:
    """The UIDs of the pods that, as the store knows, are not gone."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = {uid for (uid,) in database.execute("SELECT uid FROM object WHERE kind = ? AND gone_us IS NULL", (POD,))}
    database.close()
    return rows

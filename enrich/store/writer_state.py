"""Keeps a writer's state between two transactions."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from enrich.holds.clock_skew import Clocks
from enrich.holds.endpoint_slices import Slices
from enrich.store.database import HISTORY
from enrich.store.encoding import VERB
from whowas.observation import Meta, Owner

# Who wrote: the recorder, or else the row of an imported file.
RECORDER = 0
LISTS = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class Cursor:
    """Up to where a kind of object is known: resume a watch from `version`; `received_us`: last word of the server."""

    version: str
    received_us: int


class Standing(NamedTuple):
    """An object that stands: its row, its kind, and a hash of its last body (0: only referred to, never seen)."""

    row: int
    kind: int
    said: int


@dataclass
class ClusterState:
    """What the writer remembers of a cluster."""

    row: int
    name: str
    living: dict[str, Standing] = field(default_factory=dict)
    slices: dict[int, Slices] = field(default_factory=dict)
    watching: dict[str, int] = field(default_factory=dict)


class WriterState:
    """What the writer remembers of the file, so as not to ask it for every observation."""

    def __init__(self, path: str, database: sqlite3.Connection) -> None:
        self._path, self._database = path, database
        self.clusters: dict[str, ClusterState] = {}
        self.clocks = Clocks()
        # What a list that is not complete yet has shown, by cluster and kind.
        self.listed: dict[tuple[str, str], set[str]] = {}
        # The time that all items of that list carry.
        self.lists: dict[tuple[str, str], int | None] = {}

    def forget(self) -> None:
        """Read everything from the file again. What a list has shown so far stands nowhere else, and stays."""
        self.clusters.clear()
        self.clocks = Clocks()

    def standing(self) -> int:
        """Return how many objects stand, of the clusters spoken of."""
        return sum(len(known.living) for known in self.clusters.values())

    def cluster(self, name: str) -> ClusterState:
        """Return what is known of a cluster, as the file has it."""
        known = self.clusters.get(name)
        if known is None:
            with HISTORY.make_sense(self._path, "read"):
                known = self._read(name)
        return known

    def _read(self, name: str) -> ClusterState:
        found = self._database.execute("SELECT id FROM cluster WHERE name = ?", (name,)).fetchone()
        if found is None:
            found = (self._database.execute("INSERT INTO cluster(name) VALUES(?)", (name,)).lastrowid,)
        known = self.clusters[name] = ClusterState(int(found[0]), name)
        rows = self._database.execute(
            "SELECT id, uid, kind, (SELECT body FROM event WHERE object = object.id AND body IS NOT NULL "
            "AND verb < ? ORDER BY id DESC LIMIT 1) FROM object "
            "WHERE block IS NULL AND gone_us IS NULL AND cluster = ?",
            (VERB["VANISHED"], known.row),
        )
        for row, uid, kind, body in rows:
            known.living[uid] = Standing(row, kind, 0 if body is None else hash(as_bytes(body)))
        return known

    def slices(self, known: ClusterState, source: int) -> Slices:
        """Return what EndpointSlices said last, by the recorder or by one file."""
        if source not in known.slices:
            made = known.slices[source] = Slices()
            rows = self._database.execute(
                "SELECT uid, service, pods FROM slice WHERE cluster = ? AND source = ?", (known.row, source)
            )
            with HISTORY.make_sense(self._path, "read"):
                for uid, service, pods in rows:
                    made.restore(uid, service, frozenset(LISTS.decode(pods)))
        return known.slices[source]


def as_bytes(value: object) -> bytes:
    """Return what a column of bytes holds. Raises: TypeError: of a number bytes() would make so many zeros."""
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} in place of bytes")
    return value


def write_owner(meta: Meta) -> str | None:
    """Return what is to stand in object.owner: the controller's kind, UID and name, as a JSON list."""
    owner = next((one for one in meta.ownerReferences or () if one.controller), None)
    return msgspec.json.encode([owner.kind, owner.uid, owner.name]).decode() if owner else None


def read_owner(text: str | None) -> Owner | None:
    """Read what stands in object.owner."""
    if not text:
        return None
    kind, uid, name = LISTS.decode(text)
    return Owner(kind, name, uid, True)

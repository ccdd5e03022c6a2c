"""The append-only store of evidence: one SQLite file that one recorder writes and any number read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from whowas.observation import Observation


@dataclass(frozen=True)
class Cursor:
    """Up to where a kind of object is known: resume a watch from `version`; `received_us`: last word of the server."""

    version: str
    received_us: int


@dataclass(frozen=True)
class Written:
    """What one transaction added: events that said something new, and how many objects of a kind stand now."""

    events: int
    objects: int


class EvidenceStore:
    """Evidence of one or more clusters in a file. One writer at a time, readers beside it.

    Raises: StoreError (a WhowasError): no such store, no store at all, a newer version, another recorder writes,
    disk full, locked, damaged.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = False) -> None:
        """Open; with `write` create where there is none, and hold the recorder's lock until close()."""
        raise NotImplementedError

    def cursors(self, cluster: str) -> dict[str, Cursor]:
        """Return the durable cursor of each kind ("Pod", "Service", …) of a cluster."""
        raise NotImplementedError

    def write(self, observations: Sequence[Observation]) -> Written:
        """Store observations and move the cursors, in one transaction: durable on return, or nothing happened.

        An event sets its kind's cursor to its resourceVersion, BOOKMARK and RELISTED to theirs. RELISTED also
        marks as vanished every object of the kind that was not LISTED since the RELISTED or START before.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file and of the recorder's lock."""
        raise NotImplementedError

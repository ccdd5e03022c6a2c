"""Represents a finding while it may still grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detect.judge.state import DONE, OPEN, SILENCED, UNTOLD

Texts = tuple[tuple[str, str | None], ...]
Entry = tuple[int, int, int, int]


@dataclass(slots=True)
class OpenFinding:
    """A finding. evidence: (start time, id in two, reference) of the earliest flows. end_us: when nothing more comes.

    told: count in the last alert sent, at `told_at` by the wall clock. waits: held back by the rate limit.
    silenced: the count at which a silence covered it, 0 if none does. granted: it may be told, and was not yet.
    """

    rule: str
    identity: int
    uid: str
    group: Texts
    window_us: int
    end_us: int
    count: int = 0
    first_us: int = 0
    last_us: int = 0
    evidence: list[Entry] = field(default_factory=list)
    distinct: set[int] | None = None
    told: int = 0
    told_at: float = 0.0
    revision: int = -1
    closed: bool = False
    waits: bool = False
    granted: bool = False
    silenced: int = 0
    put_aside: set[int] = field(default_factory=set)

    @property
    def state(self) -> int:
        """How the state files it."""
        if not self.closed:
            return OPEN
        if self.count == self.told:
            return DONE
        return SILENCED if self.silenced == self.count else UNTOLD

    def body(self) -> dict[str, Any]:
        """What the state keeps of it."""
        return {
            "uid": self.uid,
            "group": self.group,
            "window_us": self.window_us,
            "end_us": self.end_us,
            "count": self.count,
            "first_us": self.first_us,
            "last_us": self.last_us,
            "evidence": self.evidence,
            "distinct": None if self.distinct is None else np.array(sorted(self.distinct), np.int64).tobytes(),
            "told": self.told,
            "revision": self.revision,
            "silenced": self.silenced,
        }

    @classmethod
    def of(cls, rule: str, identity: int, state: int, body: dict[str, Any]) -> OpenFinding:
        """Make one of what the state kept."""
        distinct = body.pop("distinct")
        body["group"] = tuple((column, value) for column, value in body["group"])
        body["evidence"] = [tuple(one) for one in body["evidence"]]
        made = cls(rule, identity, **body, closed=state != OPEN)
        made.put_aside = {entry[3] for entry in made.evidence}
        made.distinct = None if distinct is None else set(np.frombuffer(distinct, np.int64).tolist())
        return made

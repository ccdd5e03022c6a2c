"""What differs between the records of one run. Every list is empty when the store is right."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.hour import records
from bench.hour.readers import holds_of
from bench.hour.records import Seen, Write
from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack
from enrich.store.verify import problems
from whowas.recorder.writer import stored_bytes

EVENTS = ("ADDED", "MODIFIED", "DELETED")
# Between the receipt of one event by two watchers on a busy machine.
APART_US = 2_000_000
EXAMPLES = 5


@dataclass
class Findings:
    """figures: what was compared. differences: what is wrong, in words; by kind of difference."""

    figures: dict[str, Any] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=dict)

    def differ(self, kind: str, found: Iterable[object]) -> None:
        """Note what differs; also that nothing does."""
        self.differences[kind] = [str(one) for one in found]

    def count(self) -> int:
        """How many differences there are."""
        return sum(map(len, self.differences.values()))

    def short(self) -> dict[str, Any]:
        """Figures, and of each kind of difference the number and some examples."""
        told = {kind: {"count": len(several), "examples": several[:EXAMPLES]}
                for kind, several in self.differences.items()}  # fmt: skip
        return {"figures": self.figures, "differences": told}


class Gaps:
    """When nobody looked, and how far outside of that something lies."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._spans = sorted(spans)
        self._lows = [low for low, _ in self._spans]

    def outside(self, at: int) -> int:
        """How far a time is from the nearest gap, us; 0 in one."""
        place = bisect_right(self._lows, at)
        near = self._spans[max(place - 1, 0) : place + 1]
        return min((max(low - at, at - high, 0) for low, high in near), default=1 << 62)


def compare(store: Path, witness: Path, audit: Path, standing: set[str]) -> Findings:
    """Compare the store with both records. standing: the UIDs of the pods that the apiserver has now."""
    found = Findings()
    seen, answered = records.witnessed(witness), records.audited(audit)
    kept = list(records.stored(store))
    gaps = Gaps(spans := records.gaps(store))
    found.figures |= {
        "writes witnessed": len(seen), "writes in the audit log": len(answered), "pods": len({uid for uid, _ in seen}),
        "events stored": len(kept), "verbs": dict(Counter(one.verb for _, one in kept)), "gaps": len(spans),
        "gap seconds": round(sum(high - low for low, high in spans) / 1e6, 1),
    }  # fmt: skip
    _events(found, seen, kept, gaps)
    found.differ("in the audit log, seen by nobody", set(answered) - seen.keys())
    only = Counter(one.verb for write, one in seen.items() if write not in answered)
    found.figures["writes that the audit log does not show"] = dict(only)
    alive = records.living(store)
    found.differ("gone, but stand in the store", alive - standing)
    found.differ("stand, but gone in the store", standing - alive)
    return found


def _events(found: Findings, seen: dict[Write, Seen], kept: list[tuple[Write, Seen]], gaps: Gaps) -> None:
    events = [(write, one) for write, one in kept if one.verb in EVENTS]
    times = Counter(write for write, _ in events)
    by_write = dict(events)
    missing = [write for write in seen if write not in by_write]
    away = {write: gaps.outside(seen[write].at) for write in missing}
    within = [distance for distance in away.values() if distance <= APART_US]
    found.figures["writes that lie in gaps"] = len(within)
    found.figures["furthest outside of its gap, ms"] = max(within, default=0) // 1000
    found.differ("lost", (f"{seen[write].verb} {write} at {seen[write].at}, {distance / 1e6:.1f} s from a gap"
                          for write, distance in away.items() if distance > APART_US))  # fmt: skip
    found.differ("doubled", (write for write, count in times.items() if count > 1))
    found.differ("made up", (f"{one.verb} {write}" for write, one in events
                             if write not in seen or seen[write].verb != one.verb))  # fmt: skip
    found.differ("not as it was said", (f"{one.verb} {write}" for write, one in events
                                        if write in seen and seen[write].said != one.said))  # fmt: skip
    deleted = {uid: one.at for (uid, _), one in seen.items() if one.verb == "DELETED"}
    found.differ("vanished, but not in a gap", (write for write, one in kept if one.verb == "VANISHED"
                 and gaps.outside(deleted.get(write[0], 0)) > APART_US))  # fmt: skip


def keep(store: Path, folder: Path) -> Findings:
    """Verify, pack everything, export: is what comes out what went in?"""
    found = Findings()
    found.differ("verify", problems(str(store)))
    done = _whowas("history", "verify", str(store))
    found.differ("whowas history verify", [done.stderr + done.stdout] if done.returncode else [])
    before = Counter(records.stored(store))
    packed = folder / "packed.db"
    with contextlib.closing(sqlite3.connect(store)) as source, contextlib.closing(sqlite3.connect(packed)) as copy:
        source.backup(copy)
    with EvidenceStore(packed, write=True) as kept:
        found.figures["packed"] = 0
        while count := pack(kept.database, settled_us=0):
            found.figures["packed"] += count
        kept.database.execute("VACUUM")
        kept.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found.differ("verify, packed", problems(str(packed)))
    found.differ("events that packing changed", _both_ways(before, Counter(records.stored(packed))))
    found.figures |= {"bytes": stored_bytes(str(store)), "bytes packed": packed.stat().st_size}
    out = folder / "slice.jsonl.zst"
    done = _whowas("history", "export", str(store), str(out), "--json")
    found.differ("export", [done.stderr] if done.returncode else [])
    if done.returncode == 0:
        found.figures["export"] = {name: n for name, n in json.loads(done.stdout).items() if name != "file"}
        _same_holds(found, store, packed, out)
    return found


def _both_ways(one: Counter[Any], other: Counter[Any]) -> list[Any]:
    return [*(one - other).elements(), *(other - one).elements()]


def _same_holds(found: Findings, store: Path, packed: Path, out: Path) -> None:
    """The holds of the store, of the packed one and of the export are the same, but for where they are told."""
    from whowas import load_history

    live = _untold(load_history(str(store)))
    found.figures["holds"] = live.total()
    for name, path in (("packed", packed), ("exported", out)):
        found.differ(f"holds, {name}", _both_ways(live, _untold(load_history(str(path)))))


def _untold(history: Any) -> Counter[Any]:
    return Counter(row[:-1] for row in holds_of(history))


def _whowas(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "whowas", *words], capture_output=True, text=True, timeout=600)

"""Flows of the past under other policies: what would be cut, what let through, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detect.policy.directions import DENIED
from detect.policy.distinct import packed
from detect.policy.flow_verdicts import COLUMNS, FlowJudge
from detect.policy.moments import Judge
from detect.policy.trial import Trial
from detect.policy.verdicts import PASSES, Verdict
from whowas.policy.loading import Known
from whowas.query.parquet_files import find, relation, without_damaged
from whowas.timestamps import rfc3339

CUT, LET, UNSURE = "cut", "allowed", "unsure"
BATCH = 1 << 17
ENDS = ("namespace", "workload", "pod", "service", "node", "ip")
READ = ("dst_port", "protocol", *(f"{side}_{name}" for side in ("src", "dst") for name in ENDS))


class Pair(NamedTuple):
    """Two ends and a port, as a line of the answer. The words are namespace/workload, or an address."""

    cluster: str
    source: str
    target: str
    port: int | None
    protocol: str


@dataclass
class Change:
    """What becomes of a pair's flows. what: cut, allowed, or unsure. before, after: verdicts.

    watched: somebody looked at policies when these flows began. reason: the first flow's.
    """

    what: str
    pair: Pair
    before: str
    after: str
    reason: str
    watched: bool = True
    flows: int = 0
    first_us: int = 0
    last_us: int = 0

    def add(self, times: Any) -> None:
        """Count flows that began at these times (us)."""
        low, high = int(times.min()), int(times.max())
        self.first_us, self.last_us = (
            (min(low, self.first_us), max(high, self.last_us)) if self.flows else (low, high)
        )  # fmt: skip
        self.flows += len(times)

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        told = {"change": self.what, **self.pair._asdict(), "before": self.before, "after": self.after}
        return told | {
            "reason": self.reason, "watched": self.watched, "flows": self.flows, "first": rfc3339(self.first_us),
            "last": rfc3339(self.last_us),
        }  # fmt: skip


def heaviest(changes: Iterable[Change], what: str) -> list[Change]:
    """Return the changes of one kind, those of most flows first."""
    found = [one for one in changes if one.what == what]
    return sorted(found, key=lambda one: (-one.flows, one.pair.source, one.pair.target, one.pair.port or 0))


@dataclass
class Simulated:
    """What a trial would have done. judged: flows with a verdict; unjudged: with an end that nobody could name."""

    changes: dict[tuple[str, Pair, str, str, bool], Change] = field(default_factory=dict)
    flows: int = 0
    unjudged: int = 0
    same: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def of(self, what: str) -> list[Change]:
        """Return the changes of one kind, those of most flows first."""
        return heaviest(self.changes.values(), what)

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "flows": self.flows, "same": self.same, "unjudged": self.unjudged,
            **{what: [one.to_json() for one in self.of(what)] for what in (CUT, LET, UNSURE)},
            "unreadable": [{"path": path, "reason": why} for path, why in self.unreadable],
        }  # fmt: skip


def simulate(
    known: Known, trial: Trial, folders: Sequence[str], seen: Callable[[int], None] = lambda _: None
) -> Simulated:
    """Judge every flow below some folders twice: as it was, and under the trial. Raises: InputError."""
    files = without_damaged(find(folders))
    found = Simulated(unreadable=list(files.unreadable))
    judges: dict[str, tuple[FlowJudge, FlowJudge]] = {}
    for cluster, flows in batches(files):
        name = cluster or next(iter(known.timelines), "")
        if name not in judges:
            timeline = known.timeline(name)
            judges[name] = FlowJudge(Judge(timeline)), FlowJudge(Judge(timeline, trial))
        _compare(found, name, flows, *judges[name])
        seen(found.flows)
    return found


def batches(files: Any, where: str = "true") -> Iterator[tuple[str, Any]]:
    """Yield (cluster, table) of the flows, each of one cluster. where: SQL that picks them."""
    import duckdb

    if not files.groups:
        return
    columns = ", ".join(dict.fromkeys((*COLUMNS, *READ, "cluster")))
    with duckdb.connect() as link:
        asked = f"SELECT {columns} FROM ({relation(link, files)}) WHERE {where}"  # noqa: S608
        reader = link.sql(asked).to_arrow_reader(BATCH)
        for batch in reader:
            table = pa.Table.from_batches([batch])
            names = table["cluster"].cast(pa.string()).fill_null("")
            for name in names.unique().to_pylist():
                yield name, table.filter(pc.equal(names, name))


def _compare(found: Simulated, cluster: str, flows: Any, was: FlowJudge, tried: FlowJudge) -> None:
    before, after = was.judged(flows), tried.judged(flows)
    # Where there were no policies, fewer questions were told apart than under the trial.
    pairs = packed(before.rows * len(after.verdicts) + after.rows)
    order = np.argsort(pairs.rows, kind="stable")
    ends = np.cumsum(np.bincount(pairs.rows, minlength=pairs.size))
    times = flows["start_time"].cast(pa.int64()).fill_null(0).to_numpy()
    told = flows.select(READ)
    found.flows += flows.num_rows
    for place in range(pairs.size):
        mine = order[(ends[place - 1] if place else 0) : ends[place]]
        old, new = before.verdicts[before.rows[mine[0]]], after.verdicts[after.rows[mine[0]]]
        what = changed(old, new)
        if new is None:
            found.unjudged += len(mine)
        elif what is None:
            found.same += len(mine)
        else:
            row = told.slice(int(mine[0]), 1).to_pylist()[0]
            _count(found, pair_of(cluster, row), what, old, new).add(times[mine])


def pair_of(cluster: str, row: dict[str, Any]) -> Pair:
    """Return the two ends of a flow in words. Args: row: its columns READ."""
    source, target = (_called(row, side) for side in ("src", "dst"))
    return Pair(cluster, source, target, row["dst_port"], row["protocol"] or "")


def _called(row: dict[str, Any], side: str) -> str:
    parts = (row[f"{side}_namespace"], row[f"{side}_workload"] or row[f"{side}_pod"] or row[f"{side}_service"])
    return "/".join(part for part in parts if part) or row[f"{side}_node"] or row[f"{side}_ip"] or "?"


def _count(found: Simulated, pair: Pair, what: str, old: Verdict | None, new: Verdict) -> Change:
    before, after = old.as_seen() if old else "not judged", new.as_seen()
    key = (what, pair, before, after, not new.seen)
    if key not in found.changes:
        found.changes[key] = Change(what, pair, before, after, new.reason, not new.seen)
    return found.changes[key]


def changed(old: Verdict | None, new: Verdict | None) -> str | None:
    """Say what a trial changes of a flow that was seen; None where nothing is known to change.

    Where nobody watched policies, those that were seen are taken for all there were: a Change says so.
    """
    before, after = old and old.as_seen(), new and new.as_seen()
    if after is None or before == after:
        return None
    if after == DENIED:
        return CUT
    if after in PASSES:
        return LET if before == DENIED else None
    return UNSURE

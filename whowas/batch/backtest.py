"""Rules over named flows of the past: the findings that these flows would have given live, and what each rule costs."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detect.judge.judge import Judge
from detect.judge.silences import Silences
from detect.judge.state import State
from detect.matching.matcher import Matcher
from detect.model import LEVELS, Correlation, Finding, FlowRule, RuleInfo, RuleSet
from detect.views import ocsf
from detect.views.remediation import DataLocations
from sinks.files.append_only import line
from sinks.files.durable import durable
from whowas.batch.flow_files import FlowFiles, Seen
from whowas.errors import OutputError
from whowas.timestamps import BEFORE_ALL, rfc3339

COST_ROWS = 65_536
AT_ONCE = 1000


@dataclass
class RuleCount:
    """What a rule found. flows: those that count to its findings. cost_ns: of one flow, on one core, asked alone."""

    info: RuleInfo
    kind: str
    findings: int = 0
    flows: int = 0
    first_us: int | None = None
    last_us: int | None = None
    cost_ns: float | None = None

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        self.findings += 1
        self.flows += finding.count
        self.first_us = finding.first_us if self.first_us is None else min(self.first_us, finding.first_us)
        self.last_us = finding.last_us if self.last_us is None else max(self.last_us, finding.last_us)

    def to_json(self) -> dict[str, Any]:
        """The counts with stable keys."""
        return {
            "id": self.info.id,
            "name": self.info.name,
            "title": self.info.title,
            "level": self.info.level,
            "kind": self.kind,
            "findings": self.findings,
            "flows": self.flows,
            "first": None if self.first_us is None else rfc3339(self.first_us),
            "last": None if self.last_us is None else rfc3339(self.last_us),
            "cost_ns": None if self.cost_ns is None else round(self.cost_ns, 1),
        }


@dataclass
class Result:
    """What a backtest came to. findings: written. below: left out by level. top: the most important, first.

    counts: of the judge, by reason: what was late, limited or silenced. silences_over: ids of those that had ended
    before the last flow began, and can go from their file. newest_us: when that was.
    """

    flows: int = 0
    files: int = 0
    findings: int = 0
    below: int = 0
    newest_us: int = 0
    seconds: float = 0.0
    rules: list[RuleCount] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    silences_over: list[str] = field(default_factory=list)
    top: list[Finding] = field(default_factory=list)
    out: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result with stable keys; findings themselves stand in the file."""
        return {
            "flows": self.flows,
            "files": self.files,
            "findings": self.findings,
            "below_level": self.below,
            "seconds": round(self.seconds, 3),
            "rules": [one.to_json() for one in self.rules],
            "counts": dict(self.counts),
            "unreadable": [{"path": path, "reason": why} for path, why in self.unreadable],
            "silences_over": self.silences_over,
            "out": self.out,
        }


@dataclass(frozen=True)
class Wishes:
    """What to do with findings. level: the least that counts. shown: how many of the most important are kept."""

    out: str | None = None
    replace: bool = False
    level: str = LEVELS[0]
    shown: int = 3
    history: str | None = None


def backtest(
    ruleset: RuleSet,
    flows: FlowFiles,
    wishes: Wishes = Wishes(),
    silences: Silences | None = None,
    seen: Callable[[Seen], None] | None = None,
) -> Result:
    """Judge every flow by the rules; write what is found as OCSF, a line each, when all is read.

    Raises: OutputError when the file is there already or cannot be written.
    """
    _check(wishes)
    began = time.monotonic()
    result = Result(files=flows.files, out=wishes.out, rules=_counts(ruleset))
    judge = Judge(ruleset, State(None), silences=silences)
    sample: list[Any] = []
    found = _findings(judge, _sampled(flows.batches(seen), sample, result))
    _tell(found, result, wishes, DataLocations(wishes.history or "HISTORY", flows.folder))
    result.counts = Counter({why: count for why, count in judge.counts.items() if count and why != "flows"})
    result.unreadable = flows.unreadable
    result.silences_over = [one.id for one in (silences or Silences()).expired(result.newest_us)]
    result.seconds = time.monotonic() - began
    _cost(ruleset, sample, result)
    judge.close()
    return result


def _sampled(batches: Iterator[tuple[Any, int]], sample: list[Any], result: Result) -> Iterator[tuple[Any, int]]:
    for batch, before in batches:
        result.flows += batch.num_rows
        result.newest_us = max(result.newest_us, pc.max(batch.column("start_time")).cast(pa.int64()).as_py() or 0)
        if sum(map(len, sample)) < COST_ROWS:
            sample.append(batch)
        yield batch, before


def _findings(judge: Judge, batches: Iterator[tuple[Any, int]]) -> Iterator[Finding]:
    """Yield each finding once, when no more flows can come to it, and let it go then."""
    passed = BEFORE_ALL
    for batch, before in batches:
        if before > passed:
            # No flow is late, whatever the order of the files: nothing that is to come begins before this.
            judge.advance(before + judge.lateness_us)
            passed = before
            yield from _over(judge)
        judge.judge(batch)
    judge.finish()
    yield from _over(judge)


def _over(judge: Judge) -> Iterator[Finding]:
    while found := judge.pending(AT_ONCE, over=True):
        yield from found
        judge.acknowledge(found)
    judge.commit()


def _check(wishes: Wishes) -> None:
    if wishes.out is None:
        return
    where = Path(wishes.out)
    if where.is_dir():
        raise OutputError(f"cannot write '{wishes.out}': it is a folder; name a file")
    if where.exists() and not wishes.replace:
        raise OutputError(f"cannot write '{wishes.out}': it is there already; name another, or say --existing replace")


def _counts(ruleset: RuleSet) -> list[RuleCount]:
    told = [RuleCount(one.info, kind(one)) for one in ruleset.rules if not one.silent]
    return told + [RuleCount(one.info, kind(one)) for one in ruleset.correlations]


def kind(rule: FlowRule | Correlation) -> str:
    """Return what a rule looks at: flow, first_seen, or the correlation's type."""
    if isinstance(rule, Correlation):
        return rule.type
    return "first_seen" if rule.first_seen else "flow"


def _tell(found: Iterable[Finding], result: Result, wishes: Wishes, places: DataLocations) -> None:
    kept = _kept(found, result, wishes)
    if wishes.out is None:
        for _ in kept:
            pass
        return
    with durable(Path(wishes.out)) as file:
        for one in kept:
            file.write(line(ocsf.view(one, places)))


def _kept(found: Iterable[Finding], result: Result, wishes: Wishes) -> Iterator[Finding]:
    """Count findings, keep the most important, and yield those of the level that is wanted."""
    counts = {one.info.id: one for one in result.rules}
    least = LEVELS.index(wishes.level)
    top: list[tuple[tuple[int, int, str], Finding]] = []
    for one in found:
        if LEVELS.index(one.rule.level) < least:
            result.below += 1
            continue
        counts[one.rule.id].add(one)
        result.findings += 1
        top.append(((LEVELS.index(one.rule.level), one.count, one.uid), one))
        if len(top) > wishes.shown:
            top = heapq.nlargest(wishes.shown, top, key=lambda pair: pair[0])
        yield one
    result.top = [one for _, one in sorted(top, key=lambda pair: pair[0], reverse=True)]


def _cost(ruleset: RuleSet, sample: list[Any], result: Result) -> None:
    """Ask each rule alone about the first flows, repeated where they are few; twice, and keep the better time."""
    if not sample:
        return
    flows = pa.Table.from_batches(sample)
    flows = pa.concat_tables([flows] * -(-COST_ROWS // flows.num_rows)).combine_chunks()
    costs = {one.info.name: _took(one, flows) / flows.num_rows * 1e9 for one in ruleset.rules}
    looked = {one.info.id: one.rules for one in ruleset.correlations}
    for count in result.rules:
        names = looked.get(count.info.id, (count.info.name,))
        count.cost_ns = sum(costs[name] for name in names)


def _took(rule: FlowRule, flows: Any) -> float:
    matcher, best = Matcher(RuleSet((rule,))), float("inf")
    for _ in range(2):
        began = time.perf_counter()
        matcher.match(flows)
        best = min(best, time.perf_counter() - began)
    return best

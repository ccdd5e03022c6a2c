"""The judge: batches of named flows in, findings out; the same findings however flows are cut, and in whatever order
they come within the lateness; exactly once over any end of the process.

    judge = Judge(rules, State("rules.db"))
    while ...:
        judge.judge(batch, "flows/3", next_offset)    # skip what lies before judge.judged("flows/3")
        judge.advance(watermark_us)
        judge.commit()                                 # then commit the offsets elsewhere
        found = judge.pending()
        ...deliver...; judge.acknowledge(found)               # durable with the next commit; else it is told again

One thread calls it. docs/decisions/0012-findings.md says why it is so.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import pyarrow.compute as pc

from detect.judge.checkpoint import Checkpoint
from detect.judge.correlation import Correlator
from detect.judge.evidence import EvidenceRows
from detect.judge.findings import FindingRule, Findings
from detect.judge.first_seen import Firsts
from detect.judge.flow_batch import FlowBatch
from detect.judge.hashing import Hashes
from detect.judge.limits import AlertRate, Limits
from detect.judge.matches import Matches, judged
from detect.judge.rule_signatures import signatures
from detect.judge.silences import Silences
from detect.judge.state import State
from detect.judge.timeline import LEAST, NEVER
from detect.model import Finding, FlowRule, RuleSet
from whowas.arrays import Words

LATENESS_US = 300_000_000


class Matching(Protocol):
    """Says which rows of a batch which flow rule matches."""

    def match(self, batch: Any) -> Mapping[str, Any]:
        """Return ascending row numbers by name of the rule; rules without a match may be absent."""


class Judge:
    """Counts, groups and correlates what rules match.

    Args: state: where it is remembered; None: in memory. lateness_us: how far behind the watermark flows may still
        come. matcher: who matches; None: detect.matching.matcher. clock: seconds of wall time, for updates and rates.
    Raises: ConfigError for rules it cannot honour, StoreError.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        state: State | None = None,
        lateness_us: int = LATENESS_US,
        silences: Silences | None = None,
        limits: Limits | None = None,
        *,
        matcher: Matching | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ruleset, self.lateness_us = ruleset, lateness_us
        self.limits = limits or Limits()
        self.state = state or State()
        self._matcher = matcher or _matcher(ruleset)
        self._places = {one.info.name: place for place, one in enumerate(ruleset.rules)}
        self._clock, self._rate = clock, AlertRate(self.limits.alerts_per_minute, clock)
        self._silences = silences or Silences()
        self._hashes = Hashes()
        dropped = self.state.bind(signatures(ruleset))
        self.counts: Counter[str] = Counter(self.state.fact("counts", {}))
        self.counts["rules_changed"] += len(dropped)
        self.horizon_us: int = self.state.fact("horizon_us", LEAST)
        self._origins = self.state.progress()
        self._moved: set[str] = set()
        self._rows = EvidenceRows(self.state.fact("next_batch", 0), self.state.block, self.state.flow)
        self.correlators = self._make_correlators()
        self._firsts = self._make_firsts()
        self.findings = Findings(self._tellers(), self.state, self._rows, self.limits, self.counts)
        self._checkpoint = Checkpoint(
            self.state, self.limits, self._rows, self.findings, self.correlators, self.firsts, self.counts
        )
        if silences is not None:
            self.findings.release()

    def _make_correlators(self) -> list[Correlator]:
        places = self._places | {one.info.id: place for place, one in enumerate(self.ruleset.rules)}
        made = [Correlator(one, places, self.limits, self._rows) for one in self.ruleset.correlations]
        for one in made:
            one.restore(self.state.events(one.rule.info.id), self.horizon_us)
        return made

    def _make_firsts(self) -> dict[int, Firsts]:
        began = self.state.began()
        made = {
            place: Firsts(one, self.limits, self._rows)
            for place, one in enumerate(self.ruleset.rules)
            if one.first_seen is not None
        }
        for one in made.values():
            one.began_us = began.get(one.info.id)
            one.restore(self.state.seen(one.info.id), self.state.events(one.info.id), self.horizon_us)
        return made

    def _tellers(self) -> Iterable[FindingRule]:
        for rule in self.ruleset.rules:
            yield FindingRule(rule.info, aside=rule.first_seen is not None)
        for one in self.ruleset.correlations:
            yield FindingRule(one.info, one.timespan_us, aside=True)

    @property
    def firsts(self) -> list[Firsts]:
        """What first_seen rules remember."""
        return list(self._firsts.values())

    # Taking flows.

    def judged(self, origin: str) -> int:
        """Return the offset of `origin` before which everything was judged; -1 where nothing was."""
        return self._origins.get(origin, -1)

    def judge(self, batch: Any, origin: str | None = None, next_offset: int = -1) -> None:
        """Take a batch of final named flows.

        Args: batch: RecordBatch or Table of named_schema or table_schema. next_offset: of `origin`, behind this batch;
            a batch that lies before what was judged is left out, and counted as `repeated`.
        """
        if origin is not None:
            if next_offset <= self.judged(origin):
                self.counts["repeated"] += batch.num_rows
                return
            self._origins[origin] = next_offset
            self._moved.add(origin)
        batch = self._timed(batch)
        if not batch.num_rows:
            return
        look = FlowBatch(batch, self._hashes)
        matched = {self._places[name]: rows for name, rows in self._matcher.match(look.batch).items()}
        self._began(look)
        self.counts["flows"] += look.rows
        if matched:
            self._take(look, matched)
        if self._rows.held_rows > self.limits.held_rows:
            self._rows.pack()

    def _timed(self, batch: Any) -> Any:
        """Leave out flows without a time: no window is theirs."""
        untold = batch.column("start_time").null_count
        if not untold:
            return batch
        self.counts["untimed"] += untold
        return batch.filter(pc.is_valid(batch.column("start_time")))

    def _began(self, look: FlowBatch) -> None:
        """first_seen learns from when flows are seen at all, not from when its rule first matches."""
        if self._firsts:
            starts = look.starts[look.starts >= self.horizon_us]
            for one in self.firsts:
                if len(starts):
                    one.began(int(starts.min()))

    def _take(self, look: FlowBatch, matched: Mapping[int, Any]) -> None:
        first = self._rows.hold(look.batch)
        self._count_late(look, matched)
        for place, rule in enumerate(self.ruleset.rules):
            rows = matched.get(place)
            if rows is None or not len(rows):
                continue
            rows = np.asarray(rows, np.int64)
            if place in self._firsts:
                self._firsts[place].judge(look, rows, first, self.horizon_us, self.counts)
            elif not rule.silent:
                self._count(look, rule, rows, first)
        for one in self.correlators:
            self._add_events(one, one.judge(look, matched, first, self.horizon_us, self.counts))

    def _count_late(self, look: FlowBatch, matched: Mapping[int, Any]) -> None:
        late = look.starts < self.horizon_us
        if late.any():
            hit = np.zeros(look.rows, np.bool_)
            for rows in matched.values():
                hit[np.asarray(rows, np.int64)] = True
            self.counts["late"] += int((hit & late).sum())

    def _count(self, look: FlowBatch, rule: FlowRule, rows: Words, first: int) -> None:
        info = rule.info
        rows = look.in_order(rows)
        keys = look.keys(info.group_by, rows)
        windows_of = look.starts[rows] // info.window_us
        if info.group_by or windows_of[0] != windows_of[-1]:
            order = np.lexsort((windows_of, keys))
            rows, keys = rows[order], keys[order]
        found = Matches(keys, look.starts[rows], *look.ids_of(rows), first + rows)
        self.findings.add(
            info.id,
            found,
            self.horizon_us,
            lambda at: tuple((one, look.text(one, int(rows[at]))) for one in info.group_by),
        )

    def _add_events(self, of: Correlator | Firsts, events: Words) -> None:
        if len(events):
            info = of.rule.info if isinstance(of, Correlator) else of.info
            found = judged(events)
            counts_values = isinstance(of, Correlator) and of.rule.type == "value_count"
            found = found if counts_values else found._replace(values=None)
            self.findings.add(info.id, found, self.horizon_us, lambda at: of.texts(events[at]))

    # Time.

    def advance(self, watermark_us: int) -> None:
        """Say up to when flows have come: what starts `lateness_us` before that, or earlier, is late from now on."""
        self._advance(watermark_us - self.lateness_us)

    def _advance(self, horizon_us: int) -> None:
        if horizon_us <= self.horizon_us:
            return
        before, self.horizon_us = self.horizon_us, horizon_us
        for one in self.correlators:
            self._add_events(one, one.advance(before, horizon_us))
        for first in self.firsts:
            self._add_events(first, first.advance(horizon_us))
        self.findings.close(horizon_us)

    def finish(self) -> None:
        """There are no more flows: every window is closed, every condition final."""
        self._advance(NEVER)

    # Telling.

    @property
    def silences(self) -> Silences:
        """What is not to be told. Set it when the file has changed: what it kept back may now be told."""
        return self._silences

    @silences.setter
    def silences(self, silences: Silences) -> None:
        self._silences = silences
        self.findings.release()

    def pending(
        self, most: int | None = None, *, over: bool = False, skip: Container[str] = frozenset()
    ) -> list[Finding]:
        """Return the findings with news that are to be told now, the worst first; the same again until they are told.

        A finding is told when it is new, when its count has passed a power of two, after some minutes if it grew, and
        when its window closes, then with its last count.
        Args: most: how many at once. over: only those whose window has closed, which are told once then. skip: uids of
            those that are being told already.
        """
        return self.findings.pending(self._silences, self._rate, self._clock(), most, over, skip)

    def waiting(self) -> int:
        """Return how many findings `pending` would tell, silences and rates apart."""
        return self.findings.waiting(self._clock())

    def acknowledge(self, findings: Iterable[Finding]) -> None:
        """These have arrived. Durable with the next commit; after an end before it they are told again."""
        self.findings.acknowledge(findings, self._clock())

    # Remembering.

    def commit(self) -> None:
        """Make everything durable: progress, findings, events, and what was told; all or nothing.

        Raises: StoreBusyError where it can be tried again (nothing was written, nothing is lost), StoreError.
        """
        self._checkpoint.commit(self.horizon_us, {one: self._origins[one] for one in self._moved})
        self._moved.clear()

    def close(self) -> None:
        """Let go of the state. What was not committed is gone, and will be judged again."""
        self.state.close()


def _matcher(ruleset: RuleSet) -> Matching:
    """DuckDB is a large import, and not needed where a matcher is given."""
    from detect.matching.matcher import Matcher

    return Matcher(ruleset)

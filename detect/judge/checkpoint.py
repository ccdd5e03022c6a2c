"""Writes a judge's progress, findings and events in one transaction, and forgets what is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from detect.judge.correlation import Correlator
from detect.judge.evidence import EvidenceRows
from detect.judge.findings import Findings
from detect.judge.first_seen import Firsts
from detect.judge.limits import Limits
from detect.judge.state import DONE, SILENCED, UNTOLD, State
from detect.judge.timeline import LEAST, NEVER
from whowas.arrays import Words


class Checkpoint:
    """Makes the parts of a judge durable together: all or nothing."""

    def __init__(
        self,
        state: State,
        limits: Limits,
        rows: EvidenceRows,
        findings: Findings,
        correlators: Sequence[Correlator],
        firsts: Sequence[Firsts],
        counts: Counter[str],
    ) -> None:
        self._state, self._limits, self._rows, self._findings = state, limits, rows, findings
        self._correlators, self._firsts, self._counts = correlators, firsts, counts

    def commit(self, horizon_us: int, progress: Mapping[str, int]) -> None:
        """Write what is new. progress: next offsets of the origins that moved. Raises: StoreBusyError, StoreError."""
        self._rows.pack()
        snapshots = {one.info.id: one.snapshot() for one in self._firsts}
        with self._state.transaction():
            self._findings.save()
            self._state.keep_blocks(self._rows.unwritten())
            self._save_events()
            for rule, snapshot in snapshots.items():
                if snapshot is not None:
                    self._state.keep_seen(rule, *snapshot)
                    self._state.drop_events(rule, snapshot[0])
            self._state.keep_progress(progress)
            self._save_facts(horizon_us)
            self._forget(horizon_us)
        self._written()

    def _save_events(self) -> None:
        for one in self._correlators:
            self._save_new(one.rule.info.id, one.unwritten())
        for first in self._firsts:
            self._save_new(first.info.id, first.unwritten())

    def _save_new(self, rule: str, events: Words | None) -> None:
        if events is not None and len(events):
            self._state.keep_events(rule, events)

    def _save_facts(self, horizon_us: int) -> None:
        self._state.keep_fact("counts", dict(self._counts))
        self._state.keep_fact("horizon_us", horizon_us)
        self._state.keep_fact("next_batch", self._rows.next)
        self._state.keep_began({one.info.id: one.began_us for one in self._firsts if one.began_us is not None})

    def _forget(self, horizon_us: int) -> None:
        """Drop what is over, by event time."""
        if horizon_us in (LEAST, NEVER):
            return
        for one in self._correlators:
            # Marks are found again from the events of two timespans: see restore.
            self._state.drop_events(one.rule.info.id, horizon_us - 2 * one.rule.timespan_us)
        over = horizon_us - self._limits.keep_us
        self._state.drop_findings(DONE, over)
        self._counts["silenced_expired"] += self._state.drop_findings(SILENCED, over)
        waiting = self._state.oldest(UNTOLD)
        if waiting is None or waiting > over:
            self._state.drop_rows(horizon_us)

    def _written(self) -> None:
        self._findings.saved()
        self._rows.written()
        for one in self._correlators:
            one.written()
        for first in self._firsts:
            first.written()

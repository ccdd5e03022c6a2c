"""Gathers audit logs and Prometheus answers over all evidence files.

Both have to be known as a whole before they say anything: audit events lie in several files beside each other, and
one metric says what another means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from ingest.cluster.audit.audit_log import AuditLog
from ingest.cluster.audit.events import audit_events, is_audit
from ingest.cluster.evidence.prometheus import ANSWER, MARK, PodMetrics
from whowas.observation import KubeObject, Observation
from whowas.stages import FileReport, Unreadable

# Of one file; each has its text.
NOTED_MOST = 1000
FAULTS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Imports:
    """What was recognised so far. refused: counts by reason, filled while reading. annotations: which are kept."""

    def __init__(self, refused: Counter[str], annotations: frozenset[str]) -> None:
        self._refused = refused
        self._audit = AuditLog(annotations)
        self._metrics = PodMetrics()
        self._told: dict[str, FileReport] = {}

    def take(self, raw: bytes, offset: int, told: FileReport) -> bool:
        """Take a JSON value if it is an audit event or an answer of Prometheus; else leave it to others."""
        self._told[told.path] = told
        try:
            return self._events(raw, offset, told) if is_audit(raw) else MARK in raw and self._answer(raw, offset, told)
        except FAULTS as error:
            self._refused["broken_json"] += 1
            _note(told, offset, f"no audit event or answer of Prometheus that could be read: {error}"[:300])
            return True

    def take_event(self, raw: bytes, offset: int, told: FileReport, at: int) -> None:
        """Take an item of a list of audit events. offset: of the list. at: of the item."""
        self._told[told.path] = told
        try:
            self._events(raw, offset, told)
        except FAULTS as error:
            self._refused["broken_json"] += 1
            _note(told, at, f"no audit event that could be read: {error}"[:300])

    def take_series(self, around: bytes, series: Collection[bytes], offset: int, told: FileReport) -> bool:
        """Take the series of an answer of Prometheus, and the answer without them; leave what is none to others."""
        self._told[told.path] = told
        try:
            return MARK in around and self._answer(around, offset, told, series)
        except FAULTS as error:
            self._refused["broken_json"] += 1
            _note(told, offset, f"no answer of Prometheus that could be read: {error}"[:300])
            return True

    def _events(self, raw: bytes, offset: int, told: FileReport) -> bool:
        found = audit_events(raw)
        if found is None:
            return False
        for event in found:
            self._audit.take(event, told.path, offset)
        return True

    def _answer(self, raw: bytes, offset: int, told: FileReport, series: Collection[bytes] | None = None) -> bool:
        """series: where they are kept apart from the answer."""
        answer = ANSWER.decode(raw)
        if not answer.status or (answer.data is not None and answer.data.resultType == "streams"):
            # Loki answers in the same words.
            return False
        problem = self._metrics.take(answer, told.path, offset, series)
        if problem is not None:
            self._refused["no_evidence"] += 1
            _note(told, offset, problem)
        return True

    def observations(self, cluster: str | None) -> Iterator[Observation]:
        """Yield all that was taken, and say of the files what they lack."""
        if self._audit.events:
            # Logs of several apiservers say themselves when they were complete.
            yield Observation("START", KubeObject(), None, 0, None, "audit log", (0, 0))
            yield from self._audit.observations(cluster)
            complaint, (path, offset) = self._audit.complaint(), self._audit.place
            if complaint:
                _note(self._told[path], offset, complaint)
            self._refused.update(self._audit.counts)
        yield from self._metrics.observations(cluster)
        self._refused.update(self._metrics.counts)


def _note(told: FileReport, offset: int, reason: str) -> None:
    if len(told.unreadable) < NOTED_MOST:
        told.unreadable.append(Unreadable(offset, reason))

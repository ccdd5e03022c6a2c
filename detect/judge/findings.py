"""Grows findings: matches counted by rule, group and window."""

from __future__ import annotations

import hashlib
import json
from bisect import insort
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from detect.judge.evidence import EvidenceRows
from detect.judge.hashing import joined
from detect.judge.limits import AlertRate, Limits
from detect.judge.matches import Matches, earliest_flows
from detect.judge.open_finding import Entry, OpenFinding, Texts
from detect.judge.silences import Silences
from detect.judge.state import DONE, OPEN, SILENCED, UNTOLD, State
from detect.model import EVIDENCE_FLOWS, LEVELS, Finding, RuleInfo
from whowas.arrays import Words

AT_ONCE = 200


@dataclass(frozen=True)
class FindingRule:
    """A rule that makes findings. slack_us: how long after its window's end a flow of it may still come to count.

    aside: store evidence flows one by one, since their block expires early.
    """

    info: RuleInfo
    slack_us: int = 0
    aside: bool = False


class Findings:
    """All findings that are open, or not told."""

    def __init__(
        self, tellers: Iterable[FindingRule], state: State, rows: EvidenceRows, limits: Limits, counts: Counter[str]
    ) -> None:
        self._tellers = {one.info.id: one for one in tellers}
        self._state, self._rows, self._limits = state, rows, limits
        self.counts = counts
        self._open: dict[str, dict[int, OpenFinding]] = {one: {} for one in self._tellers}
        self._by_uid: dict[str, OpenFinding] = {}
        self._news: dict[str, OpenFinding] = {}
        self._closing: dict[int, list[OpenFinding]] = {}
        self._dirty: dict[str, OpenFinding] = {}
        for rule, identity, kind, body in state.findings(OPEN, UNTOLD):
            self._enter(OpenFinding.of(rule, identity, kind, body))

    def __len__(self) -> int:
        return len(self._by_uid)

    def _enter(self, one: OpenFinding) -> None:
        self._open[one.rule][one.identity] = one
        self._by_uid[one.uid] = one
        if one.count > one.told:
            self._news[one.uid] = one
        if not one.closed:
            self._closing.setdefault(one.end_us, []).append(one)

    # Growing.

    def add(self, rule: str, found: Matches, horizon_us: int, texts: Callable[[int], Texts]) -> None:
        """Count what was found for a rule. texts: the group's columns and values, by place in `found`."""
        if not len(found.times):
            return
        info = self._tellers[rule].info
        windows = found.times // info.window_us
        identities = joined(found.groups, windows.view(np.uint64)).view(np.int64)
        cuts = np.flatnonzero(identities[1:] != identities[:-1]) + 1
        begins = np.concatenate(([0], cuts))
        ends = np.concatenate((cuts, [len(identities)]))
        entries = earliest_flows(found, begins, ends)
        mine = self._open[rule]
        told = zip(
            begins.tolist(), ends.tolist(), identities[begins].tolist(), found.times[ends - 1].tolist(), strict=True
        )
        for (begin, end, identity, last), earliest in zip(told, entries, strict=True):
            one = mine.get(identity)
            if one is None:
                window_us = earliest[0][0] // info.window_us * info.window_us
                one = self._begin(rule, identity, window_us, horizon_us, partial(texts, begin), end - begin)
                if one is None:
                    continue
            self._grow(one, end - begin, earliest, last)
            if found.values is not None:
                self._distinct(one, found.values[begin:end])

    def _begin(
        self, rule: str, identity: int, window_us: int, horizon_us: int, texts: Callable[[], Texts], flows: int
    ) -> OpenFinding | None:
        teller = self._tellers[rule]
        end_us = window_us + teller.info.window_us + teller.slack_us
        closed = end_us <= horizon_us
        if closed and (kept := self._state.finding(rule, identity)) is not None:
            one = OpenFinding.of(rule, identity, *kept)
        elif len(self._open[rule]) >= self._limits.groups:
            self.counts["groups_full"] += flows
            return None
        else:
            group = texts()
            one = OpenFinding(rule, identity, uid(rule, group, window_us), group, window_us, end_us, closed=closed)
        self._enter(one)
        return one

    def _grow(self, one: OpenFinding, flows: int, earliest: Sequence[Entry], last_us: int) -> None:
        first_us = earliest[0][0]
        one.first_us = min(one.first_us, first_us) if one.count else first_us
        one.last_us = max(one.last_us, last_us) if one.count else last_us
        one.count += flows
        keep_us = one.end_us + self._limits.keep_us
        for entry in earliest:
            if len(one.evidence) == EVIDENCE_FLOWS and entry >= one.evidence[-1]:
                break
            insort(one.evidence, entry)
            del one.evidence[EVIDENCE_FLOWS:]
            if not self._tellers[one.rule].aside:
                self._rows.show(entry[3], keep_us)
        self._dirty[one.uid] = self._news[one.uid] = one

    def _distinct(self, one: OpenFinding, values: Words) -> None:
        if one.distinct is None:
            one.distinct = set()
        room = self._limits.values - len(one.distinct)
        new = set(np.unique(values).tolist()) - one.distinct
        if len(new) > room:
            self.counts["values_full"] += len(new) - room
            new = set(sorted(new)[:room])
        one.distinct |= new

    def close(self, horizon_us: int) -> None:
        """No flow will come any more that counts to windows that end by then."""
        for end_us in sorted(one for one in self._closing if one <= horizon_us):
            for one in self._closing.pop(end_us):
                one.closed = True
                self._dirty[one.uid] = one

    # Telling.

    def pending(
        self, silences: Silences, rate: AlertRate, now: float, most: int | None, over: bool = False,
        skip: Container[str] = frozenset(),
    ) -> list[Finding]:  # fmt: skip
        """Return what is to be told now, the worst first. over: only what has closed. skip: uids."""
        news = (one for one in self._news.values() if one.uid not in skip)
        due = [one for one in news if (one.closed or not over) and self._is_due(one, now)]
        due.sort(key=self._urgency)
        found: list[Finding] = []
        for place, one in enumerate(due):
            if place % AT_ONCE == 0:
                some = due[place : place + min(AT_ONCE, most or AT_ONCE)]
                self._rows.fetch(entry[3] for next_one in some for entry in next_one.evidence)
            if most is not None and len(found) >= most:
                break
            if not self._silenced(one, silences) and self._may(one, rate):
                found.append(self._finding(one, evidence=True))
        return found

    def waiting(self, now: float) -> int:
        """Return how many are to be told now."""
        return sum(self._is_due(one, now) for one in self._news.values())

    def _is_due(self, one: OpenFinding, now: float) -> bool:
        if one.silenced == one.count:
            return False
        if not one.told or one.closed or one.granted or one.waits:
            return True
        # At powers of two: few updates, and the reader always knows the count within a factor of two.
        return one.count >= 1 << one.told.bit_length() or now - one.told_at >= self._limits.update_seconds

    def _urgency(self, one: OpenFinding) -> tuple[int, int, str]:
        level = self._tellers[one.rule].info.level
        return (-LEVELS.index(level) if level in LEVELS else 0), one.first_us, one.uid

    def _silenced(self, one: OpenFinding, silences: Silences) -> bool:
        finding = self._finding(one, evidence=False)
        if not silences.could_be_for(finding) or silences.of(self._finding(one, evidence=True)) is None:
            if one.silenced:
                one.silenced = 0
                self._dirty[one.uid] = one
            return False
        if not one.silenced:
            self.counts["silenced"] += 1
        one.silenced = one.count
        self._dirty[one.uid] = one
        return True

    def _may(self, one: OpenFinding, rate: AlertRate) -> bool:
        if one.granted or rate.take(one.rule):
            one.granted, one.waits = True, False
            return True
        if not one.waits:
            self.counts["rate_limited"] += 1
        one.waits = True
        return False

    def _finding(self, one: OpenFinding, evidence: bool) -> Finding:
        return Finding(
            one.uid,
            self._tellers[one.rule].info,
            one.group,
            one.window_us,
            one.first_us,
            one.last_us,
            one.count,
            one.revision + 1,
            None if one.distinct is None else len(one.distinct),
            tuple(self._rows.flows([entry[3] for entry in one.evidence])) if evidence else (),
        )

    def acknowledge(self, findings: Iterable[Finding], now: float) -> None:
        """These have arrived."""
        for finding in findings:
            one = self._by_uid.get(finding.uid)
            if one is None or finding.count <= one.told:
                continue
            one.told, one.revision, one.told_at, one.granted = finding.count, finding.revision, now, False
            if one.count == one.told:
                self._news.pop(one.uid, None)
            self._dirty[one.uid] = one

    def release(self) -> None:
        """The silences have changed: look again at what they kept back."""
        for rule, identity, kind, body in self._state.findings(SILENCED):
            if body["uid"] not in self._by_uid:
                self._enter(OpenFinding.of(rule, identity, kind, body))
        for one in self._news.values():
            # Not 0: who was counted as silenced is not counted again.
            one.silenced = -1 if one.silenced else 0

    # Remembering.

    def save(self) -> None:
        """Write what changed. Called within a transaction, before `saved`."""
        aside = [one for one in self._dirty.values() if self._tellers[one.rule].aside]
        for at in range(0, len(aside), AT_ONCE):
            self._put_aside(aside[at : at + AT_ONCE])
        self._state.keep_findings(
            (one.rule, one.identity, one.state, one.end_us, one.body()) for one in self._dirty.values()
        )

    def _put_aside(self, many: Sequence[OpenFinding]) -> None:
        new = {
            entry[3]: one.end_us + self._limits.keep_us
            for one in many
            for entry in one.evidence
            if entry[3] not in one.put_aside
        }
        self._rows.fetch(new)
        for reference, keep_us in new.items():
            flow = self._rows.flow(reference)
            if flow is not None:
                self._state.keep_flow(reference, keep_us, flow)

    def saved(self) -> None:
        """What was written is durable: let go of what is over."""
        for one in self._dirty.values():
            one.put_aside = {entry[3] for entry in one.evidence}
            if one.state in (DONE, SILENCED):
                self._by_uid.pop(one.uid, None)
                self._news.pop(one.uid, None)
                self._open[one.rule].pop(one.identity, None)
        self._dirty.clear()


def uid(rule: str, group: Texts, window_us: int) -> str:
    """Return the name of a finding: of rule, group and window alone, 32 hex digits."""
    told = json.dumps([rule, [value for _, value in group], window_us], ensure_ascii=True)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

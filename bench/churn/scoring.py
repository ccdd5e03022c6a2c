"""Answers beside the truth.

wrong: certain (`exact`, `node`, `service`, `snat`, or `none`) and not so. A `none` for a pod that no line of the
evidence shows with the address, while somebody looked, is not wrong but `unseen`: nobody could know.
`likely free`: likely, but nobody held the address then; just before and after a hold no recorder can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.churn.asking import Answer
from bench.churn.questions import Question
from bench.churn.times import SECOND
from bench.churn.truth import Versions

# A change of labels or endpoints is known to a recorder some milliseconds after it is written.
TRANSPORT = SECOND // 20
OUTCOMES = (
    "wrong", "exact", "likely", "likely wrong", "likely free", "other word", "ambiguous",
    "without truth", "none", "unseen", "unknown",
)  # fmt: skip
KEPT = 40


class World(Protocol):
    """What is true of pods beside their addresses, by UID."""

    workloads: dict[str, str]
    labels: dict[str, Versions]
    services: dict[str, Versions]


@dataclass
class Score:
    """Counts of OUTCOMES, and of `decidable` questions and those of them that were `decided`.

    transport: how long a change of labels or endpoints may be under way, us.
    """

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Question, Answer]] = field(default_factory=list)
    undecided: list[tuple[Question, Answer]] = field(default_factory=list)
    odd: list[tuple[str, Question, Answer]] = field(default_factory=list)
    transport: int = TRANSPORT

    def add(self, question: Question, answer: Answer, world: World) -> None:
        """Judge one answer."""
        said = outcome(question, answer)
        self.counts[said] += 1
        self.counts["asked"] += 1
        held = question.holder is not None
        if said == "wrong" and len(self.wrong) < KEPT:
            self.wrong.append((question, answer))
        if said in ("likely wrong", "without truth") and len(self.odd) < KEPT:
            self.odd.append((said, question, answer))
        if question.decidable:
            good = said in ("exact", "likely", "other word") if held else said == "none"
            kind = "decid" if held else "free decid"
            self.counts[f"{kind}able"] += 1
            self.counts[f"{kind}ed"] += good
            if not good and held and len(self.undecided) < KEPT:
                self.undecided.append((question, answer))
        if held and said in ("exact", "likely") and question.holder is not None and question.holder.kind == "pod":
            self._details(question, answer, world)

    def _details(self, question: Question, answer: Answer, world: World) -> None:
        """Workload, labels and services of the moment."""
        assert question.holder is not None
        self.counts["named"] += 1
        uid = answer.uid or ""
        low, high = question.time - self.transport, question.time + self.transport
        self.counts["workload right"] += answer.workload == world.workloads.get(uid)
        for word, told, truth in (
            ("labels right", answer.labels, world.labels.get(uid)),
            ("services right", answer.service or "", world.services.get(uid)),
        ):
            real = truth.between(low, high) if truth is not None else []
            right = told in real or (not told and (not real or (truth is not None and low < truth.times[0])))
            self.counts[word] += right
            if not right and len(self.odd) < KEPT:
                self.odd.append((word.replace("right", "wrong"), question, answer))

    def join(self, other: Score) -> None:
        """Add another score to this one."""
        self.counts.update(other.counts)
        self.wrong += other.wrong
        self.undecided += other.undecided
        self.odd += other.odd


def outcome(question: Question, answer: Answer) -> str:
    """One of OUTCOMES."""
    holder = question.holder
    if question.word:
        return _other(question, answer)
    uids = holder.uids if holder is not None else []
    if answer.word in ("exact", "likely"):
        if answer.uid in uids:
            return answer.word
        if answer.word == "exact":
            return "wrong"
        return "likely wrong" if holder is not None else "likely free"
    if answer.word in ("node", "service", "snat"):
        return ("likely wrong" if holder else "likely free") if answer.near_an_edge else "wrong"
    if answer.word in ("none", "external"):
        if holder is None:
            return "none"
        return "wrong" if holder.told or not question.looked else "unseen"
    return _open(answer, uids)


def _open(answer: Answer, uids: Sequence[str]) -> str:
    if answer.word == "unknown":
        return "unknown"
    named = not uids or answer.candidates_cut or any(uid in answer.candidates for uid in uids)
    return "ambiguous" if named else "without truth"


def _other(question: Question, answer: Answer) -> str:
    """What is a node's, a Service's, or masqueraded must be called so, by its name."""
    assert question.holder is not None
    if answer.word == question.word and answer.name == question.holder.name:
        return "other word"
    if answer.word in ("exact", "node", "service", "snat", "none"):
        return "wrong"
    if answer.word == "likely":
        return "likely wrong"
    return _open(answer, question.holder.uids)


def score(questions: Sequence[Question], answers: Sequence[Answer], worlds: Mapping[str, World]) -> Score:
    """Judge all answers."""
    found = Score()
    for question, answer in zip(questions, answers, strict=True):
        found.add(question, answer, worlds[question.cluster])
    return found

"""Ends of flows around every edge and inside of holds, put to whowas and to its peers, and judged."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import whowas
from bench.churn.asking import Answer, ask
from bench.churn.minimise import minimal, plainly
from bench.churn.peers import PEERS, events_of, judged
from bench.churn.questions import AROUND, SILENCE, Question
from bench.churn.scoring import Score, outcome
from bench.churn.story import Played
from bench.churn.times import SECOND, micro
from bench.churn.truth import NEVER, Hold, Truth
from bench.real_churn.knowing import Facts, facts_of, holds_of
from bench.real_churn.playing import CLUSTER, LATE_SECONDS, Recorded
from whowas.history.import_export import export_slice

INSIDE = 3 * SECOND
BY_TIME = 12_000
BY_TIME_STATIC = 1000
BY_HOLD = 3
FIXED = 200
# Two watches of different kinds tell each other's news a while apart on a busy machine.
APART = SECOND


@dataclass
class Result:
    """What came out of one seed, or of several added up.

    counts of `by time`: ends drawn as traffic would be, every second of every hold as likely as any other; `by hold`:
    as many for each hold, however short; `edge`: around every edge; `static`: of static pods, whose mirrors are made
    anew all the time, by time. Each with `held` (a pod had the address), `named`
    (certain or likely, and right), `certain`, `inside` (held for 3 s before and 3 s after), `inside exact`; `known`
    and `known exact` are those of them of which the lines prove that the hold had begun and went on.
    """

    score: Score = field(default_factory=Score)
    counts: Counter[str] = field(default_factory=Counter)
    peers: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in PEERS})
    explained: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def join(self, other: Result) -> None:
        """Add another seed's."""
        self.score.join(other.score)
        self.counts.update(other.counts)
        for name, counts in other.peers.items():
            self.peers[name].update(counts)
        self.explained += other.explained
        self.missed += other.missed


class Asker:
    """Makes the questions about one seed."""

    def __init__(self, recorded: Recorded, facts: Facts, holds: list[Hold]) -> None:
        self._recorded = recorded
        self._facts = facts
        self._holds = holds
        self._truth = Truth(holds)
        self._dice = random.Random(recorded.seed)
        # Later ones may still be told of by a late kubelet: an answer must not be wrong, but may be open.
        self._settled = recorded.last - int(LATE_SECONDS * SECOND)

    def every(self) -> Iterator[tuple[str, Question]]:
        """Yield each question with how it was drawn; `tail`: nobody had to know yet."""
        mortal = [one for one in self._holds if not one.focus]
        for hold in mortal:
            for edge in (hold.start, hold.end):
                for by in AROUND if edge < NEVER else ():
                    yield from self._at("edge", hold.ip, edge - by, edge + by)
                if edge < NEVER:
                    yield from self._at("edge", hold.ip, edge)
            yield from self._at("by hold", hold.ip, *self._within(hold, BY_HOLD))
        yield from self._by_time("by time", mortal, BY_TIME)
        yield from self._by_time("static", [one for one in self._holds if one.focus], BY_TIME_STATIC)
        for hold in self._dice.choices(self._facts.fixed, k=FIXED) if self._facts.fixed else ():
            time = self._dice.randrange(max(hold.start, self._recorded.first) + APART, self._recorded.last)
            yield "fixed", Question(CLUSTER, hold.ip, time, time, hold, False, True, False, hold.kind)

    def _by_time(self, drawn: str, holds: list[Hold], count: int) -> Iterator[tuple[str, Question]]:
        spans = [max(self._end(one) - one.start, 0) for one in holds]
        for hold in self._dice.choices(holds, spans, k=count):
            yield from self._at(drawn, hold.ip, *self._within(hold, 1))

    def _end(self, hold: Hold) -> int:
        return min(hold.end, self._settled)

    def _within(self, hold: Hold, count: int) -> list[int]:
        end = self._end(hold)
        return [self._dice.randrange(hold.start, end) for _ in range(count)] if end > hold.start else []

    def _at(self, drawn: str, ip: str, *times: int) -> Iterator[tuple[str, Question]]:
        for time in times:
            if not self._recorded.first < time < self._recorded.last:
                continue
            _, holder, _ = self._truth.around(ip, time)
            inside = holder is not None and holder.start + INSIDE <= time <= holder.end - INSIDE
            late = time > self._settled
            known = holder is not None and holder.told and self._known(holder, time)
            yield (
                "tail" if late else drawn,
                Question(CLUSTER, ip, time, time, holder, known and not late, True, inside and not late),
            )

    def _known(self, holder: Hold, time: int) -> bool:
        until = max(holder.proven_end, silence(holder, self._recorded.last))
        return holder.proven_start <= time < until


def score(recorded: Recorded, shrink: int = 0) -> Result:
    """Ask and judge."""
    facts = facts_of(recorded)
    holds = holds_of(recorded, facts)
    drawn, questions = zip(*Asker(recorded, facts, holds).every(), strict=True)
    answers = ask(whowas.load_history(str(recorded.store), cluster=CLUSTER), questions)
    found = Result(Score(transport=APART))
    for how, question, answer in zip(drawn, questions, answers, strict=True):
        found.score.add(question, answer, facts)
        _count(found, how, question, answer, recorded.last)
    _peers(found, facts, [one for how, one in zip(drawn, questions, strict=True) if how != "fixed"])
    found.counts |= {"seeds": 1, "ends": len(questions), "holds": len(holds), "pods": len(facts.workloads)}
    found.explained = list(_explain(recorded, found.score, shrink)) if found.score.wrong else []
    return found


def silence(hold: Hold, last: int) -> int:
    """Until when it went on, as nobody who would have had to said otherwise (us)."""
    return min(hold.silent_from, last) - SILENCE if hold.shown_running else -1


def _count(found: Result, how: str, question: Question, answer: Answer, last: int) -> None:
    holder, said = question.holder, outcome(question, answer)
    found.counts[f"{how}: ends"] += 1
    found.counts[f"{how}: wrong"] += said == "wrong"
    if holder is None or question.word:
        return
    found.counts[f"{how}: held"] += 1
    found.counts[f"{how}: named"] += said in ("exact", "likely")
    found.counts[f"{how}: certain"] += said == "exact"
    if not question.focus:
        return
    for word in ("inside", "known") if question.decidable else ("inside",):
        found.counts[f"{how}: {word}"] += 1
        found.counts[f"{how}: {word} exact"] += said == "exact"
    if said != "exact" and question.decidable:
        found.missed.append(
            f"{how}: {question.ip} at {micro(question.time)}: {said} ({answer.word}); held by {holder.name} "
            f"{holder.uids[0]} {micro(holder.start)} .. {micro(holder.end) if holder.end < NEVER else ''}, "
            f"proven {micro(holder.proven_start)} .. {micro(max(holder.proven_end, silence(holder, last)))}"
        )


def _peers(found: Result, facts: Facts, questions: Sequence[Question]) -> None:
    events = events_of(facts.lines, CLUSTER)
    for name, peer in PEERS.items():
        for question, uid in zip(questions, peer(events, questions), strict=True):
            found.peers[name][judged(question, uid)] += 1


def _explain(recorded: Recorded, found: Score, most: int) -> Iterator[str]:
    """Wrong answers with the least evidence that gives them; one for each pair of pods."""
    lines = evidence(recorded.store) if most else []
    seen: set[tuple[str, ...]] = set()
    for question, answer in found.wrong:
        holder = question.holder
        key = (question.ip, answer.word, answer.uid or "", holder.uids[0] if holder else "")
        if key in seen:
            continue
        seen.add(key)
        truth = f"{holder.name} {holder.uids} {micro(holder.start)} .. {micro(min(holder.end, recorded.last))}" \
            if holder else "nobody"  # fmt: skip
        yield f"seed {recorded.seed}: {question.ip} at {micro(question.asked)}: {answer.word} {answer.uid or ''}" \
            f"{answer.name or ''}; truth: {truth}"  # fmt: skip
        if len(seen) <= most:
            least = minimal(Played({}, lines, []), question, answer)
            yield from (f"    {plainly(line)}" for line in least)


def evidence(store: Path) -> list[str]:
    """What a store holds, as lines."""
    import zstandard

    out = store.with_suffix(".jsonl.zst")
    export_slice(str(store), str(out))
    with out.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return [line for line in text.splitlines() if '"cluster"' in line]

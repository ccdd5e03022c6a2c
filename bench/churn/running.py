"""Play cases, ask whowas and its peers, add up. Each (case, seed) is a world of its own and can run anywhere."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import whowas
from bench.churn.asking import ask, history_of
from bench.churn.audit import write_logs
from bench.churn.cases import CASES, Case
from bench.churn.cases_watch import busily
from bench.churn.minimise import minimal, plainly
from bench.churn.peers import PEERS, events_of, judged
from bench.churn.scoring import Score, score
from bench.churn.story import Played, play
from bench.churn.times import micro

AUDIT = Case(32, "audit logs of three apiservers", busily)
ALL = tuple(sorted((*CASES, AUDIT), key=lambda one: one.number))


@dataclass(frozen=True)
class Told:
    """How to run. clocks: `own` (as the case says), `right`. shrink: how many wrong answers of a run to explain.

    counted: ask of captured flows, which show whether an end sent a packet of its own.
    """

    clocks: str = "own"
    shrink: int = 0
    uniform: int = 300
    counted: bool = False


@dataclass
class Ran:
    """What came out of one case and seed, or of many added up."""

    score: Score = field(default_factory=Score)
    peers: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in PEERS})
    wrong_seeds: list[int] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    skipped: str = ""

    def join(self, other: Ran) -> None:
        """Add another to this one."""
        self.score.join(other.score)
        for name, counts in other.peers.items():
            self.peers[name].update(counts)
        self.wrong_seeds += other.wrong_seeds
        self.explained += other.explained
        self.skipped = self.skipped or other.skipped


@cache
def vanishing() -> bool:
    """Say whether LISTED and VANISHED lines are understood."""
    meta = {"uid": "u", "name": "n", "namespace": "s"}
    lines = [json.dumps({"type": verb, "received": micro(0), "object": {"kind": "Pod", "metadata": meta}})
             for verb in ("LISTED", "VANISHED")]  # fmt: skip
    return history_of(lines)[1].whole()


def run(case: Case, seed: int, told: Told) -> Ran:
    """Play one case with one seed."""
    place = case.place(vanishing())
    if told.clocks == "right" and case.number != 28:
        place = replace(place, spread=0.0)
    played = play(case.play, seed, place, told.uniform)
    if case is AUDIT or case.number == AUDIT.number:
        return _from_audit(played)
    history, report = history_of(played.lines)
    assert report.whole(), report.to_json()
    answers = ask(history, played.questions, played.skew_us, counted=told.counted)
    ran = Ran(score(played.questions, answers, played.worlds))
    _peers(played, ran)
    if ran.score.wrong:
        ran.wrong_seeds.append(seed)
        ran.explained = list(_explain(case, seed, played, ran.score, told.shrink))
    return ran


def _from_audit(played: Played) -> Ran:
    """The same story, known from audit logs alone."""
    if importlib.util.find_spec("ingest.cluster.audit.audit_log") is None:
        return Ran(skipped="audit logs cannot be read yet")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_logs(next(iter(played.worlds.values())), Path(folder))
        history = whowas.load_history([str(path) for path in paths], cluster=next(iter(played.worlds)))
    return Ran(score(played.questions, ask(history, played.questions), played.worlds))


def _peers(played: Played, ran: Ran) -> None:
    for cluster in played.worlds:
        questions = [one for one in played.questions if one.cluster == cluster and not one.word]
        events = events_of(played.lines, cluster)
        for name, peer in PEERS.items():
            for question, uid in zip(questions, peer(events, questions), strict=True):
                ran.peers[name][judged(question, uid)] += 1
                ran.peers[name]["held"] += question.holder is not None


def _explain(case: Case, seed: int, played: Played, found: Score, most: int) -> Iterator[str]:
    """Wrong answers with the least evidence that gives them; one for each pair of pods."""
    seen: set[tuple[str, ...]] = set()
    for question, answer in found.wrong:
        holder = question.holder
        key = (question.ip, answer.word, answer.uid or "", holder.uids[0] if holder else "")
        if key in seen or len(seen) >= most:
            continue
        seen.add(key)
        truth = f"{holder.uids} {micro(holder.start)} .. {micro(holder.end)}" if holder else "nobody"
        yield (f"case {case.number} ({case.name}), seed {seed}: {question.ip} at {micro(question.asked)}: "
               f"{answer.word} {answer.uid or answer.name or ''}; truth: {truth}")  # fmt: skip
        yield from (f"    {plainly(line)}" for line in minimal(played, question, answer))


def run_all(cases: tuple[Case, ...], seeds: range, told: Told, jobs: int) -> Iterator[tuple[Case, Ran]]:
    """Yield each case with all its seeds added up, in order."""
    with ProcessPoolExecutor(jobs) as pool:
        under_way = [(case, [pool.submit(run, case, seed, told) for seed in seeds]) for case in cases]
        for case, several in under_way:
            total = Ran()
            for one in several:
                total.join(one.result())
            yield case, total

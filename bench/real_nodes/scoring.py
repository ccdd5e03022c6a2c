"""Named flows of the captures against the CNI plugin's calls, end by end."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.churn.peers import PEERS, events_of, judged
from bench.churn.questions import Question
from bench.churn.truth import Hold as Held
from bench.real_churn.knowing import facts_of
from bench.real_churn.playing import CLUSTER, Recorded
from bench.real_nodes.playing import CAPTURED
from bench.real_nodes.truth import Hold, Truth, holds_of, read_calls

POD_ADDRESS = re.compile(r"10\.244\.[12]\.([2-9]|[1-9]\d+)")
BRIDGE_ADDRESS = re.compile(r"10\.244\.([12])\.1")
SHOWN = 3  # examples of each kind of wrong answer


@dataclass(frozen=True)
class End:
    """One end of a named flow. first, last: its own first and last packet, or the flow's where it is not known (s)."""

    ip: str
    first: float
    last: float
    spoke: bool
    word: str
    uid: str | None
    name: str | None
    candidates: tuple[str, ...]
    reason: str


@dataclass
class Result:
    """counts: `PLACE: OUTCOME` of ends on pods' addresses; `nodes: right`, `nodes: wrong`. peers: OUTCOME of each."""

    counts: Counter[str] = field(default_factory=Counter)
    peers: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in PEERS})
    examples: dict[str, list[str]] = field(default_factory=dict)

    def join(self, other: Result) -> None:
        """Add another seed's."""
        self.counts.update(other.counts)
        for name, counts in other.peers.items():
            self.peers[name].update(counts)
        for outcome, lines in other.examples.items():
            self.examples[outcome] = [*self.examples.get(outcome, []), *lines][:SHOWN]


def score(folder: Path) -> Result:
    """Judge every end of every capture of a seed."""
    truth = Truth.of(
        holds_of(call for path in sorted(folder.glob("calls-*.log")) for call in read_calls(path.read_text()))
    )
    result, asked = Result(), dict[tuple[str, float], Hold | None]()
    for capture in CAPTURED:
        for end in ends_of(folder / f"named-{capture}"):
            if BRIDGE_ADDRESS.fullmatch(end.ip):
                result.counts[f"nodes: {'right' if _is_bridge_of(end) else 'wrong'}"] += 1
            elif POD_ADDRESS.fullmatch(end.ip):
                _judge(result, end, truth, capture)
                if end.spoke or truth.free(end.ip, end.first):
                    asked[end.ip, end.first] = next(truth.may_hold(end.ip, end.first, end.first), None)
    _peers(result, folder, asked)
    return result


def ends_of(folder: Path) -> Iterator[End]:
    """Read named flows (JSON lines) and yield the two ends of each."""
    for path in sorted(folder.glob("**/*.jsonl")):
        with path.open() as lines:
            for line in lines:
                flow = json.loads(line)
                yield _end(flow, "src", True)
                yield _end(flow, "dst", bool(flow["packets_in"]))


def _end(flow: dict[str, Any], side: str, spoke: bool) -> End:
    first = flow.get(f"{side}_first_time") or flow["start_time"]
    times = (datetime.fromisoformat(text).timestamp() for text in (first, flow["end_time"]))
    candidates = tuple(one["uid"] for one in flow[f"{side}_candidates"] or ())
    return End(flow[f"{side}_ip"], *times, spoke, flow[f"{side}_confidence"], flow[f"{side}_pod_uid"],
               flow[f"{side}_pod"] or flow[f"{side}_node"], candidates, flow[f"{side}_reason"])  # fmt: skip


def _is_bridge_of(end: End) -> bool:
    return end.word in ("node", "snat") and end.name == f"n{end.ip.split('.')[2]}"


def _judge(result: Result, end: End, truth: Truth, capture: str) -> None:
    place, said = truth.place(end.ip, end.first), outcome(end, truth)
    result.counts[f"{place}: {said}"] += 1
    if said.startswith("wrong"):
        examples = result.examples.setdefault(said, [])
        if len(examples) < SHOWN:
            holders = [one.pod for one in truth.may_hold(end.ip, end.first, end.last)]
            examples.append(f"{capture} {end.ip} at {end.first:.3f} ({place}): {end.word} {end.name}; "
                            f"held by {holders or 'nobody'}; {end.reason}")  # fmt: skip


def outcome(end: End, truth: Truth) -> str:
    """Return `exact`, `likely`, `ambiguous`, `none`, `unknown`, each rightly; or `wrong WORD`, `lost`, `unseen`.

    lost: ambiguous, without whoever held it. unseen: `none`, though a pod held it.
    """
    now = {one.uid for one in truth.may_hold(end.ip, end.first, end.first)}
    # A question that was asked before the holder came, again and again, and answered when it was there.
    while_asked = {one.uid for one in truth.may_hold(end.ip, end.first, end.last)} if end.spoke else now
    free = truth.free(end.ip, end.first)
    if end.word in ("exact", "likely"):
        return end.word if end.uid in (now or while_asked) else f"wrong {end.word}"
    if end.word == "ambiguous":
        return "ambiguous" if free or now & set(end.candidates) else "lost"
    if end.word == "none":
        return "none" if free else "unseen"
    # A node, a Service, outside: said without doubt, of an address that only pods have.
    return "unknown" if end.word == "unknown" else "wrong exact"


def _peers(result: Result, folder: Path, asked: dict[tuple[str, float], Hold | None]) -> None:
    """Ask the restated peers the same; the truth is the one pod that held it at the end's first packet, or nobody."""
    facts = facts_of(Recorded(0, folder / "history.db", folder / "dumb.jsonl", folder, 0, 0, ""))
    events = events_of(facts.lines, CLUSTER)
    questions = [_question(ip, at, hold) for (ip, at), hold in asked.items()]
    for name, peer in PEERS.items():
        for question, uid in zip(questions, peer(events, questions), strict=True):
            result.peers[name][judged(question, uid)] += 1


def _question(ip: str, at: float, hold: Hold | None) -> Question:
    time = int(at * 1_000_000)
    held = Held(ip, [hold.uid], int(hold.start[0] * 1_000_000)) if hold else None
    return Question(CLUSTER, ip, time, time, held, False, True, False)

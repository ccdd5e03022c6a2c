"""Names under churn, against simulated clusters that know the truth: none may be wrong and called certain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.churn_views import one_list, without_times

from bench.churn.asking import ask, history_of
from bench.churn.cases import CASES, Case
from bench.churn.questions import Asker
from bench.churn.recording import Recorder
from bench.churn.running import Told, run
from bench.churn.scoring import score
from bench.churn.story import Played, Setting, Story, play
from bench.churn.times import SECOND, START
from bench.churn.truth import NEVER, Truth

# `make soak` asks for many more.
SEEDS = range(int(os.environ.get("WHOWAS_CHURN_SEEDS", "1")))
# Plenty of free addresses, few (each is taken again at once), fewer than wanted (pods wait for one).
SIZES = (20, 8, 4)
ORDINARY = [one for one in CASES if one.number == 0]


def named(case: Case) -> str:
    return f"{case.number} {case.name}"


# Ordinary churn at every `make test`, the adversarial cases in `make long`.
EVERY = [pytest.param(one, marks=[pytest.mark.long] if one.number else [], id=named(one)) for one in CASES]


@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_certain_name_is_wrong(seed: int, case: Case) -> None:
    found = run(case, seed, Told(shrink=1))
    assert not found.score.counts["wrong"], "\n".join(found.explained)
    assert found.score.counts["exact"] > 0.02 * found.score.counts["asked"]


@pytest.mark.parametrize("case", ORDINARY, ids=named)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_evidence_decides_is_answered(seed: int, case: Case) -> None:
    counts = run(case, seed, Told(clocks="right")).score.counts
    assert counts["decidable"] > 300
    assert counts["decided"] >= 0.97 * counts["decidable"]
    assert counts["workload right"] == counts["labels right"] == counts["services right"] == counts["named"]


def nothing(story: Story) -> None:
    """Ordinary churn."""


def gap(story: Story) -> None:
    """Nobody looks for 25 s; then everything that lives is listed again."""
    story.fault("gap", 40, 65)


def ordinary(seed: int, addresses: int, play_it: Callable[[Story], None] = nothing) -> Played:
    return play(play_it, seed, Setting(addresses=addresses, spread=0.0, rate=1.0))


@pytest.mark.parametrize("addresses", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_nor_with_a_gap(seed: int, addresses: int) -> None:
    played = ordinary(seed, addresses, gap)
    found = score(played.questions, ask(history_of(played.lines)[0], played.questions), played.worlds)
    assert not found.wrong
    assert found.counts["exact"] > 0
    assert found.counts["unknown"] > 0


@pytest.mark.parametrize("view", [without_times, one_list])
@pytest.mark.parametrize("addresses", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_nor_for_who_saw_less(seed: int, addresses: int, view: Callable[[list[str]], list[str]]) -> None:
    played = ordinary(seed, addresses)
    history, report = history_of(view(played.lines), "sim")
    assert report.whole()
    found = score(played.questions, ask(history, played.questions), played.worlds)
    # Who was not told of a pod says `none` in good faith only of what was looked at: certain names are what counts.
    assert not [one for one in found.wrong if one[1].word == "exact"]


@pytest.mark.parametrize("case", EVERY)
def test_what_the_simulator_calls_proven_is_true(case: Case) -> None:
    """The ideal observer, by which evidence is said to decide, is never wrong itself."""
    told: list[str] = []
    place = case.place(vanishing=True)
    played = play(case.play, 5, place, uniform=1)
    for world in played.worlds.values():
        Truth(world.holds)
        for one in [hold for hold in world.holds if hold.kind == "pod"]:
            if one.proven_start < one.start or one.proven_end > one.end or one.ended_by < one.end:
                told.append(f"{one}")
    assert not told
    assert sum(one.decidable for one in played.questions) > 100


def test_silence_proves_no_more_than_is_true() -> None:
    story = Story(ordinary(3, 8).worlds["sim"], Setting())
    made = Recorder(story.world).record(START + SECOND, story.world.now - SECOND)
    asker = Asker(made, Truth(story.world.holds), {}, {}, story.world.dice)
    silences = [(asker._silence(one), one.end) for one in story.world.holds if one.kind == "pod"]
    assert max(until for until, _ in silences) > START
    assert all(until <= end for until, end in silences if end < NEVER)


def test_the_same_seed_is_the_same_world() -> None:
    one, other = (play(ORDINARY[0].play, 7, replace(ORDINARY[0].place(True))) for _ in range(2))
    assert one.lines == other.lines
    assert [(q.ip, q.time, q.decidable) for q in one.questions] == [
        (q.ip, q.time, q.decidable) for q in other.questions
    ]
    assert one.lines != play(ORDINARY[0].play, 8, ORDINARY[0].place(True)).lines


def test_every_adversarial_case_has_a_story() -> None:
    assert {one.number for one in CASES} == {*range(35)} - {32}


def test_the_published_measure_says_who_was_wrong(root: Path, tmp_path: Path) -> None:
    table = tmp_path / "churn.md"
    words = [sys.executable, "-m", "bench.churn", "--seeds", "1", "--case", "21", "--json", "--markdown", str(table)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    told = json.loads(done.stdout)
    counts, peers = told["all"]["counts"], told["all"]["peers"]
    assert done.returncode == (1 if counts.get("wrong") else 0), done.stderr
    assert counts["exact"] > 300
    assert all(said["wrong"] > counts.get("wrong", 0) for said in peers.values())
    assert "**whowas**" in table.read_text()

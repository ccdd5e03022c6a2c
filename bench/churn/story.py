"""One story: a world in which something happens, what a recorder puts down of it, and the questions about it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.churn.background import stalls
from bench.churn.cluster import Cluster, offsets
from bench.churn.questions import Asker, Question
from bench.churn.recording import Fault, Recorder
from bench.churn.times import SECOND, START
from bench.churn.truth import Truth

SECONDS = 150.0
TAIL = 100.0


@dataclass
class Setting:
    """In which cluster a story plays. Times in seconds; offsets None: as the dice say, within `spread`."""

    nodes: int = 3
    addresses: int = 8
    way: str | None = None
    rate: float = 0.8
    latest: float = 6.0
    stall_every: float = 0.0
    spread: float = 0.4
    offsets: tuple[float, ...] | None = None
    seconds: float = SECONDS
    skew: float = 0.0
    clusters: int = 1
    vanishing: bool = False
    # Seeds of different cases are different worlds.
    salt: str = ""


@dataclass
class Story:
    """What a case fills in. `play` starts processes in the world; faults and questions of its own may be added."""

    world: Cluster
    setting: Setting
    faults: list[Fault] = field(default_factory=list)
    more: list[Callable[[Asker], list[Question]]] = field(default_factory=list)

    def at(self, seconds: float) -> int:
        """A moment of the story, us."""
        return START + int(seconds * SECOND)

    def fault(self, kind: str, low: float, high: float) -> None:
        """Let something befall the recorder, seconds from the start."""
        self.faults.append(Fault(kind, self.at(low), self.at(high)))


@dataclass
class Played:
    """A story that was played and recorded."""

    worlds: dict[str, Cluster]
    lines: list[str]
    questions: list[Question]
    skew_us: int = 0
    gaps: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


Play = Callable[[Story], None]


def play(case: Play, seed: int, setting: Setting, uniform: int = 300) -> Played:
    """Play a story in one cluster, or in several of the same addresses, and record each."""
    worlds: dict[str, Cluster] = {}
    lines: list[str] = []
    questions: list[Question] = []
    gaps: dict[str, list[tuple[int, int]]] = {}
    for number in range(setting.clusters):
        name = f"sim{number}" if number else "sim"
        story = _run(case, seed, setting, name)
        recorder = Recorder(story.world, tuple(story.faults), setting.vanishing)
        made = recorder.record(START + SECOND, story.world.now - SECOND)
        worlds[name] = story.world
        lines += made.lines
        gaps[name] = made.gaps
        asker = Asker(
            made, Truth(story.world.holds), {one.uid: one.created for one in story.world.pods},
            {one.name: one.lost for one in story.world.nodes}, random.Random(seed), int(setting.skew * SECOND),
        )  # fmt: skip
        questions += _ask(story, asker, uniform)
    return Played(worlds, lines, questions, int(setting.skew * SECOND), gaps)


def _run(case: Play, seed: int, setting: Setting, name: str) -> Story:
    world = Cluster(seed, name, setting.salt)
    clocks = setting.offsets or offsets(world.dice, setting.nodes, setting.spread)
    world.build(setting.addresses, setting.way, clocks, setting.latest)
    story = Story(world, setting)
    world.background(setting.seconds, setting.rate)
    if setting.stall_every:
        world.start(stalls(world, setting.stall_every))
    case(story)
    world.finish(setting.seconds + TAIL)
    return story


def _ask(story: Story, asker: Asker, uniform: int) -> list[Question]:
    """About what the story is about; and about the rest, as many again at most."""
    pods = [one for one in story.world.holds if one.kind == "pod"]
    focus = {one.ip for one in pods if one.focus}
    near = [one for one in pods if one.ip in focus]
    for one in near:
        one.focus = True
    rest = [one for one in pods if one.ip not in focus]
    chosen = near if near else rest
    found = asker.ask(chosen, uniform) if chosen else []
    others = story.world.dice.sample(rest, min(len(rest), 25)) if near else []
    found += asker.ask(others, uniform // 3) if others else []
    for more in story.more:
        found += more(asker)
    return found

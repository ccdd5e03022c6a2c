"""Where the time of a captured flow goes: python bench/flow_profile.py [--turns 5] [--picture docs/flow-profile.svg]

Two captures of equally many packets, one of few conversations and one of many, are replayed to named Parquet in turns.
Processor time of each thread by step; the difference between both, over the conversations that one has more, is what a
conversation costs beyond its packets. Of each capture the turn that took least counts. `one core` is the same with this
process bound to one core: nothing is read ahead or written behind then.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from inputs import Inputs  # noqa: E402 - beside what stands in the folder above
from profile_picture import draw  # noqa: E402

from whowas.cli.memory import keep_memory  # noqa: E402

# Whose functions are exchanged.
replay: Any = import_module("whowas.batch.replay")
# Whose time is taken, where it is looked up, and what it is called. One that runs within another is a part of it.
STEPS = (
    ("whowas.side_threads", "_read", "read ahead"),
    ("ingest.packets.source", "fold", "fold"),
    ("whowas.batch.replay", "run", "name"),
    ("ingest.packets.source", "to_batch", "make columns"),
    ("ingest.packets.to_batch", "_flow_ids", "flow id"),
    ("ingest.packets.to_batch", "community_ids", "Community ID"),
    ("ingest.packets.to_batch", "address_words", "addresses"),
    ("enrich.naming.flow_namer:Namer", "name", "find names"),
    ("enrich.naming.address_namer:AddressNamer", "judged", "judge"),
    ("enrich.naming.address_namer:AddressNamer", "columns", "words"),
    ("whowas.batch.summary:Summary", "add", "summary"),
    ("whowas.side_threads:Behind", "_do", "write behind"),
    ("sinks.flows.parquet", "in_order", "join, sort"),
    ("sinks.flows.parquet", "spread", "nested columns"),
    ("pyarrow.parquet:ParquetWriter", "write_table", "encode"),
)
Path_ = tuple[str, ...]
Spent = Counter[Path_]


class Clock:
    """Processor time of threads in nanoseconds, by the path of steps that they are in."""

    def __init__(self) -> None:
        self.spent: Spent = Counter()
        self._within = threading.local()
        self._lock = threading.Lock()

    def watched(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same work, whose time is taken."""

        @functools.wraps(work)
        def timed(*told: Any, **more: Any) -> Any:
            before: Path_ = getattr(self._within, "path", ())
            path = self._within.path = (*before, name)
            began = time.thread_time_ns()
            try:
                return work(*told, **more)
            finally:
                spent = time.thread_time_ns() - began
                self._within.path = before
                with self._lock:
                    self.spent[path] += spent

        return timed


@contextmanager
def watching() -> Iterator[Clock]:
    """Take the time of all STEPS."""
    clock = Clock()
    with ExitStack() as stack:
        for where, name, label in STEPS:
            module, _, within = where.partition(":")
            home: Any = import_module(module)
            home = getattr(home, within) if within else home
            stack.enter_context(patch.object(home, name, clock.watched(label, getattr(home, name))))
        yield clock


class Replays:
    """Replays against one history, which is loaded once."""

    def __init__(self, history: Path, folder: Path) -> None:
        from enrich import NamingOptions

        self._out = folder / "named"
        self._history = str(history)
        self._choices = replay.Choices(naming=NamingOptions(vnis="any"))
        self._load = functools.cache(lambda _paths: replay.load(self._history))

    def once(self, capture: Path) -> tuple[Spent, float]:
        """Replay once. Returns: processor time by step, and seconds of the clock on the wall."""
        shutil.rmtree(self._out, ignore_errors=True)
        loaded = self._load(None)
        with watching() as clock, patch.object(replay, "load", lambda *_told, **_more: loaded):
            told = replay.replay_captures(str(capture), self._history, str(self._out), self._choices)
        return clock.spent, told.seconds["flows"]

    def on(self, cores: set[int], capture: Path) -> tuple[Spent, float]:
        """Replay once on some cores."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            return self.once(capture)
        finally:
            os.sched_setaffinity(0, before)


def total(spent: Spent) -> int:
    """Nanoseconds of all threads."""
    return sum(value for path, value in spent.items() if len(path) == 1)


def busiest(spent: Spent) -> float:
    """The share of the thread that has most to do: two cores cannot be quicker than one over this."""
    return max(value for path, value in spent.items() if len(path) == 1) / total(spent)


def measured(packets: int, conversations: tuple[int, int], holds: int, turns: int, folder: Path) -> dict[str, Any]:
    """All of it, in turns."""
    inputs = Inputs(folder)
    captures = [inputs.capture(packets, one, holds) for one in conversations]
    replays = Replays(inputs.history(holds), folder)
    cores = sorted(os.sched_getaffinity(0))[:2]
    replays.once(captures[0])  # compiles
    found: dict[str, list[tuple[Spent, float]]] = {}
    for _ in range(turns):
        for name, capture in zip(("few", "many"), captures, strict=True):
            for place in range(len(cores)):
                found.setdefault(f"{name} {place + 1}", []).append(replays.on(set(cores[: place + 1]), capture))
    return told(found, packets, conversations)


def told(found: dict[str, list[tuple[Spent, float]]], packets: int, conversations: tuple[int, int]) -> dict[str, Any]:
    """Put measured turns into figures."""
    least = {name: min((spent for spent, _ in turns), key=total) for name, turns in found.items()}
    walls = {name: min(seconds for _, seconds in turns) for name, turns in found.items()}
    most = max(name[-1] for name in found)
    few, many, more = least[f"few {most}"], least[f"many {most}"], conversations[1] - conversations[0]
    steps = {path: (many[path] - few.get(path, 0)) / more for path in many}
    figures = {
        "us a conversation": total(many) - total(few),
        "us a conversation, one core": total(least["many 1"]) - total(least["few 1"]),
    }
    both = ("few", "many")
    return {
        **{name: round(value / more / 1000, 2) for name, value in figures.items()},
        "ns a packet": round(total(few) / packets, 1),
        **{f"busiest thread's share, {one}": round(busiest(least[f"{one} {most}"]), 2) for one in both},
        **{
            f"seconds on one core over {most}, {one}": round(walls[f"{one} 1"] / walls[f"{one} {most}"], 2)
            for one in both
        },
        "steps": {" > ".join(path): round(ns, 1) for path, ns in sorted(steps.items())},
    }


def show(figures: dict[str, Any]) -> None:
    """Print tables."""
    for name, value in figures.items():
        if name != "steps":
            print(f"{name:<56}{value:>10}")
    print(f"\n{'step, ns of processor time a conversation':<56}")
    for path, value in figures["steps"].items():
        depth = path.count(" > ")
        print(f"{'  ' * depth + path.rsplit(' > ', 1)[-1]:<56}{value:>10.0f}")


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--conversations", type=int, nargs=2, default=(10_000, 200_000), metavar=("FEW", "MANY"))
    parser.add_argument("--holds", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--picture", type=Path, help="draw what a conversation costs")
    parser.add_argument("--folder", type=Path, help="make inputs here and keep them (default: a temporary folder)")
    told = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        conversations = (told.conversations[0], told.conversations[1])
        folder = told.folder or Path(name)
        figures = measured(told.packets, conversations, told.holds, told.turns, folder)
    print(json.dumps(figures)) if told.json else show(figures)
    if told.picture:
        draw(figures["steps"], told.picture)


if __name__ == "__main__":
    main()

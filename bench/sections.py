"""What is measured, a function a section. Each returns plain rows; run.py prints and keeps them."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inputs import Inputs
from measure import Run, measure
from peers import Peer, peers, whowas_command

Row = dict[str, Any]
WHOWAS = Path(sys.executable).with_name("whowas")
ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("whowas", "ingest", "enrich", "sinks", "detect")


class BenchError(Exception):
    """A program that was to be measured did not do its work."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    packets: int
    conversations: int
    holds: int
    repeats: int
    longer: int = 10
    million: int = 1_000_000
    listed: tuple[int, ...] = (10_000, 100_000)
    week: int = 40_000
    draw: bool = True


@dataclass(frozen=True)
class Bench:
    """Inputs, sizes and where programs may write."""

    inputs: Inputs
    sizes: Sizes
    say: Callable[[str], None]

    @property
    def out(self) -> Path:
        return self.inputs.folder / "out"

    def replay(self, capture: Path, history: Path, **how: Any) -> tuple[Run, Row]:
        """Replay to a new folder. Returns: what it took, and its own JSON."""
        run = self.run(whowas_command(capture, history, self.out), **how)
        return run, answer(run)

    def run(self, words: list[str], **how: Any) -> Run:
        """Measure one run, the output folder empty. One that compiled (sources changed under it) is done again."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        run = measure(words, **how)
        if "compiling kernels" not in run.said:
            return run
        self.say("that run compiled; once more")
        shutil.rmtree(self.out, ignore_errors=True)
        return measure(words, **how)


def answer(run: Run) -> Row:
    """The JSON a replay printed. Raises: BenchError when it failed."""
    if run.code:
        raise BenchError(f"whowas ended with {run.code}: {run.said[-500:]}")
    told: Row = json.loads(run.said[run.said.index("{") :])
    return told


def best(runs: Iterable[Run]) -> Run:
    """The quickest of several runs: the least disturbed one."""
    return min(runs, key=lambda run: run.wall)


def speed(bench: Bench) -> list[Row]:
    """Every program in turn over the same capture, `repeats` times, each on one core."""
    sizes = bench.sizes
    capture = bench.inputs.capture(sizes.packets, sizes.conversations, sizes.holds)
    history = bench.inputs.history(sizes.holds)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker:
        taker.bind(("127.0.0.1", 0))  # takes what softflowd exports and drops it
        known = peers(history, taker.getsockname()[1])
        rows: dict[str, list[Row]] = {peer.name: [] for peer in known}
        bench.replay(capture, history)  # compiles, and warms the disk's cache for all
        for turn in range(sizes.repeats):
            for peer in known:
                if not peer.missing:
                    bench.say(f"{peer.name}, turn {turn + 1} of {sizes.repeats}")
                    rows[peer.name].append(_one(bench, peer, capture))
    return _compared(known, rows)


def _one(bench: Bench, peer: Peer, capture: Path) -> Row:
    packets = min(peer.slice or bench.sizes.packets, bench.sizes.packets)
    given = capture if packets == bench.sizes.packets else bench.inputs.slice(capture, packets)
    run = bench.run(peer.command(given, bench.out))
    if run.code:
        raise BenchError(f"{peer.name} ended with {run.code}: {run.said[-500:]}")
    history = answer(run)["seconds_by_step"]["history"] if peer.name == "whowas" else 0.0
    return {
        "packets": packets,
        "wall": run.wall,
        "cpu": run.cpu,
        "peak_mb": run.peak_mb,
        "history_seconds": history,
        "packets_per_second": packets / (run.wall - history),
        "packets_per_cpu_second": packets / max(run.cpu - history, 1e-3),
    }


def _compared(known: list[Peer], rows: dict[str, list[Row]]) -> list[Row]:
    ours = max(one["packets_per_second"] for one in rows["whowas"])
    told = []
    for peer in known:
        head = {"program": peer.name, "does": peer.does, "missing": peer.missing}
        if peer.missing:
            told.append(head)
            continue
        quickest = max(rows[peer.name], key=lambda one: float(one["packets_per_second"]))
        more = {
            "whowas_is_faster_by": ours / quickest["packets_per_second"],
            "peak_mb": max(one["peak_mb"] for one in rows[peer.name]),
            "sliced": quickest["packets"] < rows["whowas"][0]["packets"],
            "runs": rows[peer.name],
        }
        told.append(head | quickest | more)
    return told


def memory(bench: Bench) -> list[Row]:
    """Peak memory for the capture and for one that is ten times as long."""
    sizes, rows = bench.sizes, []
    history = bench.inputs.history(sizes.holds)
    for times in (1, sizes.longer):
        bench.say(f"memory, a capture {times} times as long")
        packets, conversations = sizes.packets * times, sizes.conversations * times
        capture = bench.inputs.capture(packets, conversations, sizes.holds)
        run, told = bench.replay(capture, history)
        seconds = told["seconds_by_step"]
        rows.append(
            {
                "times": times,
                "packets": told["packets"],
                "rows": told["rows"],
                "peak_mb": run.peak_mb,
                "wall": run.wall,
                "packets_per_second": packets / (run.wall - seconds["history"]),
            }
        )
        if times > 1:
            bench.inputs.drop(capture)
    empty = bench.inputs.history(100, ("runs",))
    bench.say("memory, a history of 100 pods")
    run, told = bench.replay(bench.inputs.capture(sizes.packets, sizes.conversations, sizes.holds), empty)
    rows.append({"times": 1, "history": "100 pods", "packets": told["packets"], "rows": told["rows"]})
    rows[-1] |= {"peak_mb": run.peak_mb, "wall": run.wall}
    return rows


def start(bench: Bench) -> list[Row]:
    """What a user waits for before anything happens, when all is compiled."""
    tiny, history = _tiny(bench)
    bench.replay(tiny, history)
    rows = []
    for name, words in (
        ("whowas --help", [str(WHOWAS), "--help"]),
        ("whowas --version", [str(WHOWAS), "--version"]),
        ("whowas replay --help", [str(WHOWAS), "replay", "--help"]),
        ("whowas replay, 1,000 packets and 100 pods", whowas_command(tiny, history, bench.out)),
    ):
        bench.say(name)
        runs = [measure(words) for _ in range(5)]
        if any(run.code for run in runs):
            raise BenchError(f"{name} failed: {runs[0].said[-500:]}")
        rows.append({"command": name, "wall": statistics.median(run.wall for run in runs), "peak_mb": runs[0].peak_mb})
    return rows


def _tiny(bench: Bench) -> tuple[Path, Path]:
    sizes = bench.sizes
    capture = bench.inputs.capture(sizes.packets, sizes.conversations, sizes.holds)
    return bench.inputs.slice(capture, 1_000), bench.inputs.history(100, ("runs",))


def history(bench: Bench) -> list[Row]:
    """Reading evidence and deriving holds, apart from any packet."""
    tiny, _ = _tiny(bench)
    rows = []
    for stages in (("runs",), ("made", "runs", "ends", "gone")):
        path = bench.inputs.history(bench.sizes.holds, stages)
        bench.say(f"history, {bench.sizes.holds:,} pods, {len(stages)} lines each")
        done = [bench.replay(tiny, path) for _ in range(bench.sizes.repeats)]
        run, told = min(done, key=lambda one: float(one[1]["seconds_by_step"]["history"]))
        seconds = told["seconds_by_step"]["history"]
        rows.append(
            {
                "pods": bench.sizes.holds,
                "lines_a_pod": len(stages),
                "megabytes": path.stat().st_size / 1e6,
                "seconds": seconds,
                "lines_per_second": bench.sizes.holds * len(stages) / seconds,
                "peak_mb": run.peak_mb,
            }
        )
    return rows


def compressed(bench: Bench) -> list[Row]:
    """A gzip capture against plain decompressors of the same file: what reading it adds to the replay."""
    sizes = bench.sizes
    capture = bench.inputs.capture(sizes.packets, sizes.conversations, sizes.holds)
    few = bench.inputs.history(100, ("runs",))
    packed = capture.with_suffix(".pcap.gz")
    if not packed.exists():
        with capture.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as handle:
            shutil.copyfileobj(plain, handle, 1 << 20)
    found: dict[str, list[Run]] = {
        "gzip -t, which only decompresses": [],
        "whowas replay, plain": [],
        "whowas replay, gzip": [],
    }
    for turn in range(sizes.repeats):
        bench.say(f"gzip, turn {turn + 1} of {sizes.repeats}")
        found["gzip -t, which only decompresses"].append(measure(["gzip", "-t", str(packed)]))
        found["whowas replay, plain"].append(bench.replay(capture, few)[0])
        found["whowas replay, gzip"].append(bench.replay(packed, few)[0])
    bench.inputs.drop(packed)
    return [{"what": name, "wall": best(runs).wall, "cpu": best(runs).cpu} for name, runs in found.items()]


def growth(bench: Bench) -> list[Row]:
    """Time over packets, conversations and holds, one changed at a time."""
    sizes, rows = bench.sizes, []
    base = (sizes.packets // 2, sizes.conversations // 2, sizes.holds // 2)
    plan = [("packets", (base[0] * step // 2, base[1], base[2])) for step in (1, 2, 4)]
    plan += [("conversations", (base[0], base[1] * step // 4, base[2])) for step in (1, 2, 4)]
    plan += [("holds", (base[0], base[1], base[2] * step // 4)) for step in (1, 2, 4, 8)]
    for grows, (packets, conversations, holds) in plan:
        bench.say(f"growth of {grows}: {packets:,} packets, {conversations:,} conversations, {holds:,} holds")
        capture, path = bench.inputs.capture(packets, conversations, holds), bench.inputs.history(holds)
        run, told = bench.replay(capture, path)
        seconds = told["seconds_by_step"]
        rows.append(
            {
                "grows": grows,
                "packets": packets,
                "conversations": conversations,
                "holds": holds,
                "flows_seconds": seconds["flows"],
                "history_seconds": seconds["history"],
                "peak_mb": run.peak_mb,
            }
        )
    return rows

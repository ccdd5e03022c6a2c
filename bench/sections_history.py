"""What is measured of the recorder and its store, a function a section."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Run, measure
from sections import Bench, BenchError, Row
from week_picture import draw

HERE = Path(__file__).resolve().parent
READY_SECONDS = 300


def _python(name: str, *words: object, core: int | None = 0) -> Row:
    """Run a program of this folder; return the JSON in its last line."""
    return _told(measure([sys.executable, str(HERE / name), *map(str, words)], core=core), name)


def _told(run: Run, name: str) -> Any:
    if run.code:
        raise BenchError(f"{name} ended with {run.code}: {run.said[-500:]}")
    return json.loads(run.said.strip().splitlines()[-1])


def _python_with(env: dict[str, str], code: str, path: Path) -> None:
    run = measure([sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(HERE.parent), **env})
    if run.code:
        raise BenchError(f"{code} ended with {run.code}: {run.said[-500:]}")


def _gone(store: Path) -> None:
    """Give a store's room back."""
    for one in store.parent.glob(f"{store.name}*"):
        one.unlink()


def store(bench: Bench) -> list[Row]:
    """Lines of a watch to the durable store, beside one that keeps them as they are."""
    rows = []
    for what, flags in (("small", ()), ("realistic", ("--realistic",))):
        for name, more in (("whowas", ()), ("json.loads, lines kept whole in SQLite", ("--peer",))):
            bench.say(f"store, {what} pods, {name}")
            path = bench.inputs.folder / "store.db"
            told = _python("fill_store.py", path, bench.sizes.holds, *flags, *more)
            _gone(path)
            cpu = told["cpu_seconds"]
            durable = cpu.get("decode", 0.0) + cpu["write"]
            rows.append(
                {
                    "program": name,
                    "pods": what,
                    "events": told["events"],
                    "line_bytes": told["line_bytes"] / told["events"],
                    "events_a_core_second": told["events"] / durable,
                    "with_packing": told["events"] / sum(cpu.values()),
                    "slowest_write_seconds": told.get("slowest_write_seconds"),
                    "bytes_an_event": told["bytes"] / told["events"],
                    "peak_mb": told["peak_mb"],
                }
            )
    return rows


def listing(bench: Bench) -> list[Row]:
    """A list of pods from a real apiserver into the store; the recorder's peak memory."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.servers import pods
    from support.servers.control_plane import ControlPlane, missing

    if why := missing():
        return [{"program": "a list of pods", "missing": why}]
    rows: list[Row] = []
    for count in bench.sizes.listed:
        bench.say(f"list, a control plane with {count:,} pods")
        with ControlPlane() as cluster:
            pods.run(cluster.api(), pods.small("model"), "10.199.0.1")
            pods.clone(cluster, "model", count)
            kubeconfig = str(cluster.kubeconfig())
            if count == bench.sizes.listed[0]:
                rows += _lists(bench, kubeconfig)
            rows.append({"program": "whowas watch, all kinds", "pods": count, **_watch(bench, kubeconfig, count)})
    return rows


def _lists(bench: Bench, kubeconfig: str) -> list[Row]:
    """The same list by each way, in turns; the quickest of each."""
    names = {"ours": "whowas, into the store", "raw": "the raw client, JSON", "models": "the client's own models"}
    found: dict[str, Row] = {}
    for _ in range(bench.sizes.repeats):
        for way in names:
            path = bench.inputs.folder / "list.db"
            one = _python("live.py", way, kubeconfig, path)
            _gone(path)
            if way not in found or one["cpu"] < found[way]["cpu"]:
                found[way] = one
    base = found["raw"]["cpu"]
    return [{"program": names[way], **one, "of_raw": one["cpu"] / base} for way, one in found.items()]


def _watch(bench: Bench, kubeconfig: str, count: int) -> Row:
    """Start the recorder, wait until every list is durable, stop it. Returns: its peak memory and processor time."""
    path = bench.inputs.folder / "watch.db"
    words = [sys.executable, "-m", "whowas", "watch", "--history", str(path), "--kubeconfig", kubeconfig]
    began = time.perf_counter()
    with subprocess.Popen(
        [*words, "--listen", "none", "--json"], cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as recorder:
        try:
            _until(recorder, lambda told: told["ready"] and told["objects"] >= count and not told["queued"])
            wall = time.perf_counter() - began
            lines = Path(f"/proc/{recorder.pid}/status").read_text().splitlines()
            peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
            ticks = Path(f"/proc/{recorder.pid}/stat").read_text().rsplit(") ", 1)[1].split()[11:13]
        finally:
            recorder.send_signal(signal.SIGTERM)
    _gone(path)
    return {"wall": wall, "cpu": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), "peak_mb": peak}


def _until(recorder: subprocess.Popen[bytes], ready: Callable[[Row], bool]) -> None:
    """Read the recorder's lines until one says so."""
    assert recorder.stdout is not None
    end = time.monotonic() + READY_SECONDS
    for line in recorder.stdout:
        if ready(json.loads(line)):
            return
        if time.monotonic() > end:
            break
    raise BenchError(f"the recorder was not ready within {READY_SECONDS} s")


def million(bench: Bench) -> list[Row]:
    """A store of very many holds: loading it, looking up in it, asking it."""
    path = bench.inputs.folder / "million.db"
    pods = bench.sizes.million
    bench.say(f"million, {pods:,} pods into a store")
    _python("fill_store.py", path, pods, "--stages", "runs,gone", "--slots", max(2_000, pods // 50))
    bench.say("million, loading")
    loads = [_python("load_history.py", path) for _ in range(bench.sizes.repeats)]
    told = min(loads, key=lambda one: float(one["load_cpu_seconds"]))
    told["lookups_a_core_second"] = max(one["lookups_a_core_second"] for one in loads)
    told["searchsorted_a_core_second"] = max(one["searchsorted_a_core_second"] for one in loads)
    who = [sys.executable, "-m", "whowas", "who", "10.244.5.12", "--at", "2026-11-20T10:15:02Z", "--history", str(path)]
    cache = bench.inputs.folder / "cache"
    # Once derived and kept, as after a replay or 'whowas history compact'; then asked.
    kept = {"XDG_CACHE_HOME": str(cache)}
    _python_with(kept, "from enrich.history.sealed import seal; import sys; assert seal(sys.argv[1], least=0)", path)
    runs = [measure(who, env=kept) for _ in range(5)]
    if any(run.code for run in runs):
        raise BenchError(f"whowas who failed: {runs[0].said[-500:]}")
    told |= {"who_wall": statistics.median(one.wall for one in runs), "who_cpu": min(one.cpu for one in runs)}
    shutil.rmtree(cache, ignore_errors=True)
    told["store_mb"] = path.stat().st_size / 1e6
    _gone(path)
    return [told]


def week(bench: Bench) -> list[Row]:
    """A week of churn: what grows and what does not. The full run draws docs/week.svg."""
    path = bench.inputs.folder / "week.db"
    bench.say(f"week, {bench.sizes.week:,} pods a day")
    words = (path, "--pods", max(bench.sizes.week // 8, 100), "--a-day", bench.sizes.week)
    rows: Any = _python("week.py", *words, core=None)
    _gone(path)
    if bench.sizes.draw:
        draw(rows, HERE.parent / "docs" / "week.svg", f"{bench.sizes.week:,} pods a day")
    return list(rows)

"""Load a store and look addresses up in it; print what it took as JSON: python bench/load_history.py STORE

Derived as who follows it derives it, and mapped as everybody else finds it the second time (`mapped_…`), in a cache
folder of its own.

Beside the lookup: numpy.searchsorted over one sorted axis of (address, time), which finds the newest start and nothing
else.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402 - beside what stands in the folder above
import pyarrow as pa  # noqa: E402

AT_ONCE, TURNS = 100_000, 20
ARRAYS = ("bounds", "seen", "conflicts", "kinds", "entity_of", "first", "reach", "pairs", "table")


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_mb() -> float:
    """The most this process ever had in memory, by the kernel's own count of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def own_bytes(history: Any) -> int:
    """Bytes of the arrays of a history."""
    columns = [one.nbytes for one in history.entities._columns] + [history.holds.source.nbytes]
    states = history.states
    index = sum(one.nbytes for one in (*history.index, *states.own, *states.zones.lines, states.homes))
    return sum(getattr(history, name).nbytes for name in ARRAYS) + sum(columns) + index


def timed(work: Any) -> float:
    """Lookups a second of processor time, the best of TURNS."""
    best = 1e9
    for _ in range(TURNS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return AT_ONCE / best


def lookups(history: Any) -> dict[str, float]:
    """Ask for random addresses at random times."""
    random = np.random.default_rng(1)
    number = random.integers(0, len(history.pairs), AT_ONCE)
    addresses = history.pairs[number].view(np.uint8)
    starts = history.bounds[:, 0]
    low = int(starts[starts > 0].min())
    times = random.integers(low, int(starts.max()), AT_ONCE)
    # One axis: number of the address times the span, plus the time into it.
    span = int(starts.max()) - low + 1
    of = np.repeat(np.arange(len(history.pairs)), np.diff(history.first))
    axis = of * span + np.clip(starts - low, 0, span - 1)
    history.lookup(addresses, times)
    return {
        "lookups_a_core_second": timed(lambda: history.lookup(addresses, times)),
        "searchsorted_a_core_second": timed(lambda: np.searchsorted(axis, number * span + (times - low))),
    }


def main() -> None:
    """Load once, measure, print."""
    from enrich.history.history import derive
    from enrich.history.stored import StoredHistory

    if "--seal" in sys.argv:
        from enrich.history.sealed import seal

        seal(sys.argv[1], least=0)
        return
    if "--mapped" in sys.argv:
        print(json.dumps(_mapped(sys.argv[1])))
        return
    # Imports and compiled kernels are nobody's holds.
    nothing = derive([]).cluster(None)
    nothing.lookup(np.zeros((1, 16), np.uint8), np.zeros(1, np.int64))
    gc.collect()
    before, cpu, wall = resident(), time.process_time(), time.perf_counter()
    stored = StoredHistory(sys.argv[1])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    followed = resident() - before
    whole = stored.history
    stored.close()
    del stored
    gc.collect()
    pa.default_memory_pool().release_unused()
    alone = resident() - before
    history = next(iter(whole.clusters.values()))
    found = {
        "holds": len(history.holds),
        "load_cpu_seconds": cpu,
        "load_seconds": wall,
        "own_bytes_a_hold": own_bytes(history) / len(history.holds),
        "bytes_a_hold": alone / len(history.holds),
        "followed_bytes_a_hold": followed / len(history.holds),
        "peak_mb": peak_mb(),
        **lookups(history),
    }
    with tempfile.TemporaryDirectory() as cache:
        known = {"XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": str(_prepared())}
        for step in ("--seal", "--mapped"):
            words = [sys.executable, __file__, sys.argv[1], step]
            told = subprocess.run(words, env=os.environ | known, check=True, capture_output=True).stdout
    print(json.dumps(found | json.loads(told)))


def _prepared() -> Path:
    """Where this process found its compiled kernels: another cache folder must not cost a compilation."""
    import numba

    return Path(numba.config.CACHE_DIR)


def _mapped(path: str) -> dict[str, Any]:
    """Load what was kept."""
    from enrich.history import sealed
    from enrich.history.history import derive

    nothing = derive([]).cluster(None)
    nothing.lookup(np.zeros((1, 16), np.uint8), np.zeros(1, np.int64))
    gc.collect()
    before, cpu, wall = resident(), time.process_time(), time.perf_counter()
    told = sealed.load(path, least=0)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    history = next(iter(told.history.clusters.values()))
    fresh = (resident() - before) / len(history.holds)
    asked = lookups(history)["lookups_a_core_second"]
    return {
        "mapped": told.mapped,
        "mapped_cpu_seconds": cpu,
        "mapped_seconds": wall,
        "mapped_bytes_a_hold": fresh,
        "mapped_bytes_a_hold_asked": (resident() - before) / len(history.holds),
        "mapped_lookups": asked,
    }


if __name__ == "__main__":
    main()

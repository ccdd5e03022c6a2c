"""A week of a cluster, fed to a store as fast as it goes: python bench/week.py STORE [--pods 5000] [--a-day 40000]

One pod in ten is of a CronJob and lives for minutes; the others are of Deployments that roll, and live for a day or so.
After each simulated day: the store's size, this process's memory, and what a question costs. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster_day import DAY_START_US, DAY_US, Day, _events, _fixed, _pod_line, address, make_day
from load_history import resident
from measure import measure

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
DAYS = 7
HOURS = 24
ROLLS_A_DAY = 1.2
STAGES = ("made", "runs", "ends", "gone")


def make_week(pods: int, a_day: int) -> Day:
    """Holds of a week: many addresses whose holders stay, some that are handed on and on."""
    import numpy as np

    short = pods // 10
    long = pods - short
    rolled = int(long * ROLLS_A_DAY)
    parts = [make_day(rolled * DAYS, long, 1), make_day(max(a_day - rolled, short) * DAYS, short, 2)]
    slot = np.concatenate([parts[0].slot, parts[1].slot + np.int32(long)])
    first = np.concatenate([parts[0].first, parts[1].first[1:] + parts[0].first[-1]])
    # A day's times, seven times as far apart.
    start, end = (
        np.concatenate([(getattr(one, name) - DAY_START_US) * DAYS + DAY_START_US for one in parts])
        for name in ("start", "end")
    )
    return Day(slot, start, end, first)


def hours(week: Day) -> Iterator[list[bytes]]:
    """Yield the lines of each hour."""
    lines = [line.encode() for line in _fixed(week)]
    until = DAY_START_US + DAY_US // HOURS
    for number, (moment, hold, stage) in enumerate(_events(week, STAGES)):
        while moment >= until:
            yield lines
            lines, until = [], until + DAY_US // HOURS
        lines.append(_pod_line(week, moment, hold, stage, number).encode())
    yield lines


def ask(store: Path) -> dict[str, float]:
    """What `whowas who` takes now, of five addresses: the median."""
    whowas = [sys.executable, "-m", "whowas", "who"]
    os.chdir(ROOT)
    runs = [measure([*whowas, address(slot * 97 % 4000), "--history", str(store)], core=None) for slot in range(5)]
    assert not any(run.code for run in runs), runs[0].said
    return {
        "who_wall": statistics.median(run.wall for run in runs),
        "who_cpu": statistics.median(run.cpu for run in runs),
    }


def feed(path: Path, week: Day) -> Iterator[dict[str, Any]]:
    """Write hour by hour; yield a row a day."""
    from enrich.store.evidence_store import EvidenceStore
    from ingest.cluster.evidence.lines import event_observation
    from ingest.cluster.evidence.reader import _event

    events, began, cpu = 0, time.perf_counter(), time.process_time()
    with EvidenceStore(path, write=True) as store:
        for hour, lines in enumerate(hours(week), 1):
            for low in range(0, len(lines), 2000):
                seen = [
                    event_observation(line, "", None)
                    for line in map(_event, lines[low : low + 2000])
                    if line is not None
                ]
                store.write(seen)
                store.maintain(0.2)
            events += len(lines)
            if hour % HOURS == 0:
                while store.maintain(1.0):
                    pass
                row = {"day": hour // HOURS, "events": events, "memory_mb": resident() / 1e6}
                row |= {"store_mb": os.path.getsize(path) / 1e6, "cpu": time.process_time() - cpu}
                yield row | {"seconds": time.perf_counter() - began} | ask(path)


def main() -> None:
    """Feed a week; print a list of days."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--pods", type=int, default=5_000)
    parser.add_argument("--a-day", type=int, default=40_000)
    told = parser.parse_args()
    rows = []
    for row in feed(told.store.resolve(), make_week(told.pods, told.a_day)):
        print(f"day {row['day']}", file=sys.stderr, flush=True)
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

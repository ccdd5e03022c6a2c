"""Measure whowas beside named peers: `make bench`, or `make bench BENCH=--quick` for two minutes.

Everything is made, run and measured in one go on this machine, whole programs from outside. Ratios are what
counts: absolute times are this machine's. Results go to bench/results/ as JSON. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sections
import sections_history
from first_run import first_run
from inputs import Inputs
from measure import machine
from sections import Bench, BenchError, Sizes
from tables import show

HERE = Path(__file__).resolve().parent
FULL = Sizes(packets=4_000_000, conversations=100_000, holds=100_000, repeats=3)
QUICK = Sizes(400_000, 10_000, 10_000, 2, longer=4, million=50_000, listed=(2_000,), week=1_000, draw=False)
SECTIONS: dict[str, Callable[[Bench], list[dict[str, Any]]]] = {
    "speed": sections.speed,
    "memory": sections.memory,
    "start": sections.start,
    "history": sections.history,
    "gzip": sections.compressed,
    "growth": sections.growth,
    "first_run": first_run,
    "store": sections_history.store,
    "list": sections_history.listing,
    "million": sections_history.million,
    "week": sections_history.week,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, some two minutes")
    parser.add_argument("--packets", type=int, help="packets of the capture (default 4,000,000)")
    parser.add_argument("--conversations", type=int, help="conversations in it (default 100,000)")
    parser.add_argument("--holds", type=int, help="pods of the history (default 100,000)")
    parser.add_argument("--repeats", type=int, help="turns of each program")
    parser.add_argument("--million", type=int, help="holds of the large store (default 1,000,000)")
    parser.add_argument("--week", type=int, help="pods a day of the simulated week (default 40,000)")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="measure this section; repeatable")
    parser.add_argument("--folder", type=Path, help="make inputs here and keep them (default: a temporary folder)")
    return parser.parse_args()


def sizes(told: argparse.Namespace) -> Sizes:
    base = QUICK if told.quick else FULL
    asked = {name: getattr(told, name) for name in ("packets", "conversations", "holds", "repeats", "million", "week")}
    return replace(base, **{name: number for name, number in asked.items() if number})


def say(words: str) -> None:
    """Progress, beside the results."""
    print(f"{time.strftime('%H:%M:%S')}  {words}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure what is asked for; exit 1 when a program failed."""
    told = arguments()
    folder = told.folder or Path(tempfile.mkdtemp(prefix="whowas-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(Inputs(folder), sizes(told), say)
    results: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "sizes": vars(bench.sizes),
        "sections": {},
    }
    failed = 0
    try:
        for name in told.only or SECTIONS:
            try:
                results["sections"][name] = SECTIONS[name](bench)
            except BenchError as error:
                failed = 1
                results["sections"][name] = {"failed": str(error)}
            show(name, results["sections"][name])
    finally:
        if told.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    path = HERE / "results" / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwrote {path.relative_to(HERE.parent)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""What a core-second of `whowas stream` does on a real Kafka broker: python bench/streams.py [--quick] [--write-docs]

Needs `make servers` (a broker, and a control plane for the peer). FLOWLOGS_PIPELINE holds the path of a built
program of the peer, https://github.com/netobserv/flowlogs-pipeline; without it the table says so. Tables go to the
screen, all of it to bench/results/ as JSON, and with --write-docs into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests")]

import stream_sections  # noqa: E402 - beside what stands in the folders above
from measure import machine  # noqa: E402
from stream_latency import latency  # noqa: E402
from stream_records import store_of_day  # noqa: E402
from stream_runs import RunError, Setting  # noqa: E402
from stream_sections import CLIENTS, Bench, Row, Sizes  # noqa: E402
from stream_tables import markdown  # noqa: E402

FULL = Sizes(records=2_000_000, workers=4_000_000, lag=10_000_000, latency=40, turns=2)
QUICK = Sizes(records=400_000, workers=1_000_000, lag=1_000_000, latency=10, turns=1)
# What the topics and the files need while the full sizes run.
FREE_BYTES = {"full": 16 << 30, "quick": 4 << 30}
SECTIONS: dict[str, Callable[[Bench], list[Row]]] = {
    "speed": stream_sections.speed,
    "peer": stream_sections.beside,
    "files": stream_sections.files,
    "latency": latency,
    "workers": stream_sections.two,
    "memory": stream_sections.memory,
}
DOCS = HERE.parent / "docs" / "benchmarks.md"
MARKS = "<!-- streams: written by bench/streams.py -->", "<!-- end of streams -->"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth to a tenth of everything")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="measure this section; repeatable")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="through this one only; repeatable")
    parser.add_argument("--records", type=int, help="records of a topic (default 2,000,000)")
    parser.add_argument("--lag", type=int, help="records of lag for memory (default 10,000,000)")
    parser.add_argument("--turns", type=int, help="turns of each program; the best counts (default 2)")
    parser.add_argument("--folder", type=Path, help="work below this folder (default: the system's temporary one)")
    parser.add_argument("--workers", type=int, help="records for one and two workers (default 4,000,000)")
    parser.add_argument("--results", type=Path, nargs="+", help="measure nothing: show what earlier runs wrote")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


def sizes(told: argparse.Namespace) -> Sizes:
    asked = {name: getattr(told, name) for name in ("records", "lag", "turns", "workers")}
    return replace(QUICK if told.quick else FULL, **{name: number for name, number in asked.items() if number})


def say(words: str) -> None:
    """Progress, beside the results."""
    print(f"{time.strftime('%H:%M:%S')}  {words}", file=sys.stderr, flush=True)


def measured(told: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the sections. One that fails does not take the others along."""
    from support.servers.broker import Broker

    results: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "sizes": asdict(sizes(told)),
        "loads": {},
        "sections": {},
    }
    say("a day of a cluster into a store")
    history = store_of_day(folder)
    with Broker() as broker:
        bench = Bench(Setting(broker, folder, history), sizes(told), say, tuple(told.client or CLIENTS))
        for name in told.only or SECTIONS:
            results["loads"][name] = os.getloadavg()[0]
            try:
                results["sections"][name] = SECTIONS[name](bench)
            except RunError as error:
                results["sections"][name] = {"failed": str(error)}
            say(f"{name}: {json.dumps(results['sections'][name])}")
    return results


def write_docs(text: str) -> None:
    """Replace what stands between the marks."""
    page = DOCS.read_text()
    head, _, rest = page.partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    DOCS.write_text(f"{head}{MARKS[0]}\n\n{text}\n{MARKS[1]}{tail}")


def joined(paths: list[Path]) -> dict[str, Any]:
    """Sections that were measured one after another as one result; of a section that came twice the last."""
    several = [json.loads(path.read_text()) for path in paths]
    one: dict[str, Any] = several[0]
    for other in several[1:]:
        for part in ("loads", "sections"):
            one[part] |= other[part]
    return one


def main() -> int:
    """Measure what is asked for; exit 1 when a section failed."""
    told = arguments()
    results = joined(told.results) if told.results else _measure(told)
    text = markdown(results)
    print(text)
    if told.write_docs:
        write_docs(text)
    return int(any(isinstance(rows, dict) for rows in results["sections"].values()))


def _measure(told: argparse.Namespace) -> dict[str, Any]:
    """Measure below a folder of its own, and keep the results."""
    where = told.folder or Path(tempfile.gettempdir())
    needed = FREE_BYTES["quick" if told.quick else "full"]
    if shutil.disk_usage(where).free < needed:
        sys.exit(f"cannot measure streams: '{where}' has less than {needed >> 30} GB free; say --folder or --quick")
    with tempfile.TemporaryDirectory(prefix="whowas-bench-", dir=where) as folder:
        # The broker's data too: it makes its folder where temporary files go.
        tempfile.tempdir = folder
        results = measured(told, Path(folder))
        tempfile.tempdir = None
    path = HERE / "results" / f"streams-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(results))
    say(f"wrote {path.relative_to(HERE.parent)}, and the same as Markdown")
    return results


if __name__ == "__main__":
    sys.exit(main())

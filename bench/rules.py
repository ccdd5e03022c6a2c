"""What rules cost: python bench/rules.py [--part speed] [--part latency] [--part week] [--rules 200] [--rows 32768]

The pack's rules and made-up ones beside them, over named flows of a cluster in which workloads talk to the same few
others all day, and one flow in a thousand is odd.

speed: matching, judging, telling and committing to a state on disk, flows a core-second, beside the same conditions as
one DuckDB query a rule, in turns, of which the best counts. latency: 10,000 flows a second in real time, from a batch's
coming until its findings are there and its progress is durable. week: seven days of flows; the state's file and the
process's memory after each.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import duckdb  # noqa: E402 - beside what stands in the folder above
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from cluster_day import DAY_START_US, DAY_US  # noqa: E402
from rule_flows import at_new_times, last_us, named  # noqa: E402

from detect.judge.judge import Judge  # noqa: E402
from detect.judge.state import State  # noqa: E402
from detect.matching.matcher import Matcher  # noqa: E402
from detect.model import RuleSet  # noqa: E402
from detect.pack import rule_paths  # noqa: E402
from detect.sigma import load  # noqa: E402
from detect.site import load_site  # noqa: E402
from whowas.schema import plain  # noqa: E402

MADE_UP = """
title: Made up {n}
id: 00000000-0000-4000-8000-{n:012d}
name: made_up_{n}
level: low
taxonomy: whowas
logsource: {{category: network_flow, product: kubernetes}}
detection:
  selection: {{{selection}}}
  filter: {{src_namespace|startswith: ['kube-', 'ns-{n}'], dst_kind: node}}
  condition: selection and not filter
"""
SELECTIONS = (
    "dst_port: {port}, protocol: tcp, src_kind: pod",
    "'src_ip|cidr': 10.{low}.0.0/16, 'bytes_out|gte': 1000000{n}",
    "'dst_workload|contains': 'w-{n}-', 'dst_labels.app': 'a{n}'",
    "'src_images|re': '.*/evil-{n}[0-9]+:.*', src_kind: pod",
    "'dns_name|endswith': '.bad{n}.example', protocol: udp",
    "'src_namespace|fieldref': dst_namespace, dst_port: [{port}, 1{low}], src_confidence: exact",
)


def rules(folder: Path, count: int) -> RuleSet:
    """The pack, filled up to `count` rules on flows and correlations together."""
    site = load_site()
    pack = load(rule_paths(), site).ruleset
    missing = count - len(pack.rules) - len(pack.correlations)
    texts = [
        MADE_UP.format(n=n, selection=SELECTIONS[n % len(SELECTIONS)].format(n=n, port=20_000 + n, low=n % 200))
        for n in range(max(missing, 0))
    ]
    made_up = folder / "made_up.yml"
    made_up.write_text("---".join(texts), "utf-8")
    return load([*rule_paths(), made_up] if texts else rule_paths(), site).ruleset


class Timed:
    """A matcher that knows how long it took."""

    def __init__(self, ruleset: RuleSet) -> None:
        self.ruleset, self.seconds = ruleset, 0.0
        self._inner = Matcher(ruleset)

    def match(self, batch: Any) -> Any:
        began = time.process_time()
        found = self._inner.match(batch)
        self.seconds += time.process_time() - began
        return found


def speed(folder: Path, ruleset: RuleSet, flows: list[Any]) -> dict[str, Any]:
    """Processor time of all threads, the first batches left out: they meet every name for the first time."""
    matcher = Timed(ruleset)
    state = State(folder / "speed.db")
    judge = Judge(ruleset, state, matcher=matcher)
    spent: dict[str, float] = {"judge": 0.0, "commit": 0.0, "tell": 0.0}
    told = rows = 0
    for number, batch in enumerate(flows):
        if number == 2:
            spent, matcher.seconds, told, rows = dict.fromkeys(spent, 0.0), 0.0, 0, 0
        marks = [time.process_time()]
        judge.judge(batch, "flows", number + 1)
        judge.advance(last_us(batch))
        marks.append(time.process_time())
        judge.commit()
        marks.append(time.process_time())
        found = judge.pending()
        judge.acknowledge(found)
        marks.append(time.process_time())
        for step, seconds in zip(spent, np.diff(marks), strict=True):
            spent[step] += float(seconds)
        told, rows = told + len(found), rows + batch.num_rows
    judge.close()
    spent = {"match": matcher.seconds, **spent}
    spent["judge"] -= matcher.seconds
    whole = sum(spent.values())
    peer = one_query_a_rule(ruleset, flows[2:4])
    return {
        "rules": len(ruleset.rules),
        "correlations": len(ruleset.correlations),
        "flows": rows,
        "findings_told": told,
        "microseconds_a_flow": {step: seconds * 1e6 / rows for step, seconds in spent.items()},
        "flows_a_core_second": rows / whole,
        "matching_alone_flows_a_core_second": rows / spent["match"],
        "duckdb_one_query_a_rule_flows_a_core_second": peer,
        "events_held": sum(map(len, judge.correlators)),
        "counts": {name: count for name, count in judge.counts.items() if count},
    }


def turns(folder: Path, ruleset: RuleSet, flows: list[Any], count: int) -> dict[str, Any]:
    """Measure several times, ours and the peer in turns: what else runs on the machine only ever takes time."""
    found = []
    for number in range(count):
        place = folder / f"turn-{number}"
        place.mkdir()
        found.append(speed(place, ruleset, flows))
    best = max(found, key=lambda one: float(one["flows_a_core_second"]))
    peers = [float(one["duckdb_one_query_a_rule_flows_a_core_second"]) for one in found]
    all_turns = [float(one["flows_a_core_second"]) for one in found]
    return best | {"duckdb_one_query_a_rule_flows_a_core_second": max(peers), "turns": all_turns}


def one_query_a_rule(ruleset: RuleSet, flows: list[Any]) -> float:
    """The peer: each rule's condition as a query of its own over the same rows. It judges and keeps nothing."""
    database = duckdb.connect(config={"threads": 1})
    tables = [plain(pa.Table.from_batches([one])) for one in flows]
    began = time.process_time()
    for table in tables:
        database.register("flows", table)
        for rule in ruleset.rules:
            database.execute(f"SELECT count(*) FROM flows WHERE {rule.sql}").fetchall()
    return sum(map(len, tables)) / (time.process_time() - began)


def latency(folder: Path, ruleset: RuleSet, flows: list[Any], rate: int, seconds: int) -> dict[str, Any]:
    """Give batches of a tenth of a second when they are due; a batch that has to wait for the one before it is late."""
    step = rate // 10
    parts = [one.slice(at, step) for one in flows for at in range(0, one.num_rows - step + 1, step)]
    judge = Judge(ruleset, State(folder / "latency.db"))
    for part in parts[:20]:
        judge.judge(part)
    judge.commit()
    took, began = [], time.perf_counter()
    for number, part in enumerate(parts[20 : 20 + seconds * 10]):
        due = began + number / 10
        time.sleep(max(0.0, due - time.perf_counter()))
        judge.judge(part, "flows", number + 1)
        judge.advance(last_us(part))
        judge.commit()
        judge.acknowledge(judge.pending())
        took.append((time.perf_counter() - due) * 1e3)
    judge.close()
    shares = {f"p{share}_ms": float(np.percentile(took, share)) for share in (50, 99, 100)}
    return {"flows_a_second": rate, "batches": len(took), **shares, "events_held": sum(map(len, judge.correlators))}


def week(folder: Path, ruleset: RuleSet, flows: list[Any], a_day: int) -> list[dict[str, Any]]:
    """Seven days: the same flows at new times, with new ids."""
    random = np.random.default_rng(3)
    judge = Judge(ruleset, State(folder / "week.db"))
    days, made, rows = [], 0, flows[0].num_rows
    for day in range(1, 8):
        while made < day * a_day:
            batch = at_new_times(
                random, flows[made // rows % len(flows)], DAY_START_US + made * DAY_US // a_day, rows, a_day
            )
            made += rows
            judge.judge(batch, "flows", made)
            judge.advance(last_us(batch))
            judge.commit()
            judge.acknowledge(judge.pending())
        gc.collect()
        days.append(
            {
                "day": day,
                "flows": made,
                "resident_mb": _resident_mb(),
                "state_mb": judge.state.size() / 1e6,
                "findings_open": len(judge.findings),
                "events_held": sum(map(len, judge.correlators)),
                "combinations": sum(map(len, judge.firsts)),
            }
        )
        print(json.dumps(days[-1]), file=sys.stderr, flush=True)
    judge.close()
    return days


def _resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as handle:
        return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--part", choices=("speed", "latency", "week"), action="append")
    parser.add_argument("--rules", type=int, default=200, help="rules and correlations together")
    parser.add_argument("--rows", type=int, default=32_768, help="rows of a batch")
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--turns", type=int, default=3, help="of speed; the best counts, of the peer too")
    parser.add_argument("--rate", type=int, default=10_000, help="of latency: flows a second")
    parser.add_argument("--seconds", type=int, default=20, help="of latency: how long")
    parser.add_argument("--day", type=int, default=1_000_000, help="of week: flows a day")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        folder = Path(name)
        ruleset = rules(folder, told.rules)
        batches = max(told.batches, -(-told.rate * (told.seconds + 3) // told.rows))
        flows = named(folder, told.rows, batches)
        for part in told.part or ("speed", "latency", "week"):
            if part == "speed":
                found: Any = turns(folder, ruleset, flows[: told.batches], told.turns)
            elif part == "latency":
                found = latency(folder, ruleset, flows, told.rate, told.seconds)
            else:
                found = week(folder, ruleset, flows[:4], told.day)
            print(json.dumps({part: found}), flush=True)


if __name__ == "__main__":
    main()

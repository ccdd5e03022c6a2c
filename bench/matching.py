"""What matching flows against rules costs: python bench/matching.py [--rules 200] [--rows 50000] [--profile]

Named flows as a stream has them (bench/name_flows.py) against varied made-up rules of every kind of test; processor
time of all threads in microseconds a flow, as JSON: the first batch, to which every value is new, and those after it;
beside one DuckDB statement that holds the same rules.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402 - beside what stands in the folder above
from cluster_day import make_day  # noqa: E402
from name_flows import HOLDS, SLOTS, history, traffic  # noqa: E402

HEAD = """title: Rule {number}
id: {id}
name: rule-{number}
taxonomy: whowas
level: low
logsource: {{category: network_flow, product: kubernetes}}
detection:
"""
KINDS = (
    "  s: {{dst_port: [22, {port}], src_namespace: {namespace}}}\n  condition: s\n",
    "  s: {{src_labels.app: app-{app}, dst_port: 5432}}\n  f: {{dst_labels.tier: data}}\n  condition: s and not f\n",
    "  s: {{dst_ip|cidr: [10.244.{octet}.0/24, 'fd00:{octet}::/64'], src_kind: pod}}\n  condition: s\n",
    "  s: {{dst_workload|startswith: app-{octet}, bytes_out|gte: {bytes}}}\n  condition: s\n",
    "  s: {{src_images|contains: 'app-{app}:', direction: outbound}}\n  condition: s\n",
    "  s: {{direction: internal, dst_port: {port}}}\n"
    "  f: {{src_namespace|fieldref: dst_namespace}}\n  condition: s and not f\n",
    "  s: {{src_workload|re: '^app-{octet}[0-9]$'}}\n  t: {{dst_port|gte: 9000}}\n"
    "  f1: {{dst_kind: service}}\n  f2: {{dst_namespace: {namespace}}}\n  condition: s and t and not 1 of f*\n",
    "  s: {{src_port: {rare}}}\n  t: {{dst_port: {rare}}}\n  condition: s or t\n",
    "  s: {{dst_confidence: [ambiguous, unknown], src_workload: app-{app}}}\n  condition: s\n",
    "  s: {{dst_kind: external, src_service_account|endswith: '{app}', dst_ip: [96.1.7.9, 97.{octet}.7.9]}}\n"
    "  condition: s\n",
)


def rules(count: int, namespaces: list[str]) -> str:
    """A file of so many rules, each with numbers and words of its own."""
    random = np.random.default_rng(7)
    told = []
    for number in range(count):
        words = {
            "port": int(random.choice([53, 80, 443, 5432, 8080, 9090, 10250, 3333])),
            "rare": int(random.choice([22, 25, 445, 3389, 10250, 3333, 4444, 40000])),
            "namespace": str(random.choice(namespaces)),
            "app": int(random.integers(0, 400)),
            "octet": int(random.integers(0, 60)),
            "bytes": int(10 ** random.uniform(4, 6)),
        }
        head = HEAD.format(number=number, id=uuid.UUID(int=number + 1))
        told.append(head + KINDS[number % len(KINDS)].format(**words))
    return "---\n".join(told)


def named(rows: int, batches: int, pairs: str, folder: Path) -> list[Any]:
    """Named flows in batches."""
    from enrich import Namer

    namer = Namer(history(folder, make_day(HOLDS, SLOTS)))
    return [namer.name(one) for one in traffic(rows, batches, pairs)]


def timed(matcher: Any, flows: list[Any]) -> Iterator[tuple[float, int]]:
    """Microseconds a flow and matches, batch by batch."""
    for one in flows:
        began = time.process_time()
        found = matcher.match(one)
        yield (time.process_time() - began) * 1e6 / one.num_rows, sum(map(len, found.values()))


def wide(ruleset: Any, flows: list[Any]) -> tuple[float, int]:
    """The same rules as one statement: microseconds a flow and matches of the first batch."""
    import duckdb

    from whowas.schema import plain

    database = duckdb.connect(config={"threads": 1})
    columns = sorted({column for one in ruleset.rules for column in one.columns})
    tests = ", ".join(f"({one.sql}) AS r{place}" for place, one in enumerate(ruleset.rules))
    database.register("flows", plain(flows[0].select(columns)))
    began = time.process_time()
    told = database.execute(f"SELECT {tests} FROM flows").fetchnumpy()
    spent = (time.process_time() - began) * 1e6 / flows[0].num_rows
    return spent, int(sum(one.sum() for one in told.values()))


def measured(told: argparse.Namespace, pairs: str, folder: Path) -> dict[str, Any]:
    """One set of flows."""
    from detect.matching.matcher import Matcher
    from detect.sigma import load

    flows = named(told.rows, told.batches, pairs, folder)
    namespaces = [one for one in flows[0]["src_namespace"].dictionary.to_pylist() if one]
    path = folder / "rules.yml"
    path.write_text(rules(told.rules, namespaces))
    began = time.process_time()
    ruleset = load([path]).ruleset
    loading = time.process_time() - began
    matcher = Matcher(ruleset)
    spent = list(timed(matcher, flows))
    again = list(timed(matcher, flows))
    if told.profile:
        with cProfile.Profile() as profile:
            list(timed(matcher, flows))
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    one_statement, matches = wide(ruleset, flows)
    assert matches == spent[0][1]
    return {
        "rules": told.rules,
        "rows_a_batch": told.rows,
        "pairs": pairs,
        "load_ms_a_rule": loading * 1e3 / told.rules,
        "matches_a_flow": spent[0][1] / told.rows,
        "first_batch_us_a_flow": spent[0][0],
        "batches_after_it_us_a_flow": float(np.median([one for one, _ in spent[1:]])),
        "values_all_known_us_a_flow": float(np.median([one for one, _ in again])),
        "one_statement_us_a_flow": one_statement,
    }


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--pairs", choices=("uniform", "zipf"), action="append")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    told = parser.parse_args()
    for pairs in told.pairs or ("uniform", "zipf"):
        with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
            print(json.dumps(measured(told, pairs, Path(name))), flush=True)


if __name__ == "__main__":
    main()

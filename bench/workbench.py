"""What the page takes: python bench/workbench.py FLOWS [--cache DIR] [--turns 5] [--datasette] [--no-page]

FLOWS: a folder of named flows (bench/workbench_flows.py makes one). A server in a process of its own is asked in real
Chromium: first paint, brushes, filters and addresses, from the input to the last pane that is painted. Then each
question is asked over HTTP: wall time, and processor time of the server; beside it the same question in plain DuckDB
over the same files, as a user would write it, in turns. --datasette: some of the questions to a Datasette over a sample
as well. Results go to the screen, and to bench/results/ as JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import workbench_datasette as datasette  # noqa: E402 - beside what stands in the folder above
from cluster_day import make_day, write_evidence  # noqa: E402
from measure import machine  # noqa: E402
from name_flows import HOLDS, SLOTS  # noqa: E402
from workbench_page import Pages, chromium  # noqa: E402

Row = dict[str, Any]
HOUR_US = 3_600_000_000
ENDS = ", ".join(f"{side}_kind, {side}_namespace, {side}_workload, {side}_confidence" for side in ("src", "dst"))


FACETS = (
    "src_namespace", "dst_namespace", "src_workload", "dst_workload", "dst_port", "protocol", "src_confidence",
    "dst_confidence",
)  # fmt: skip


class Page:
    """A server of its own process."""

    def __init__(self, flows: Path, cache: Path, history: Path) -> None:
        words = [sys.executable, "-m", "whowas", "serve", "--flows", str(flows), "--cache", str(cache), "--no-browser"]
        words += ["--history", str(history)]
        self._running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._running.stdout is not None
        found = None
        while found is None:
            line = self._running.stdout.readline()
            assert line, "it ended"
            found = re.search(r"127.0.0.1:(\d+)/\S*#token=(\S+)", line)
        self.port, self.token = int(found[1]), found[2]

    def ask(self, path: str, asked: Any = None) -> tuple[float, float, Any]:
        """Wall and processor time of the server in ms, and the answer."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        began, cpu = time.perf_counter(), self.cpu()
        link.request(
            "POST" if asked is not None else "GET", path, json.dumps(asked) if asked is not None else None, told
        )
        answer = link.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        wall = time.perf_counter() - began
        return wall * 1000, self.cpu() - cpu, json.loads(body)

    def wait_for_history(self) -> None:
        """Until it is read: the overview shows its gaps."""
        while True:
            try:
                self.ask("/api/gaps", {})
                return
            except AssertionError:
                time.sleep(0.5)

    def cpu(self) -> float:
        """Processor time in ms."""
        return datasette.cpu_ms(self._running.pid)

    def resident_mb(self, of: str = "VmRSS") -> float:
        """Memory of the server; VmHWM: the most it had."""
        told = Path(f"/proc/{self._running.pid}/status").read_text()
        return int(re.search(rf"{of}:\s+(\d+)", told)[1]) / 1000  # type: ignore[index]

    def close(self) -> None:
        """End it."""
        self._running.terminate()
        self._running.wait()


def questions(since: int, until: int, address: str, workload: str) -> dict[str, tuple[str, dict[str, Any], str]]:
    """Name: endpoint, question, plain SQL of the same; $w and $a are the workload and the address."""
    day = {"since": since, "until": until}
    last = {"since": until - HOUR_US, "until": until}
    brushed = {"since": until - 3 * HOUR_US + 123_456_789, "until": until - HOUR_US + 7}
    sums = "count(*) n, sum(coalesce(bytes_out, 0) + coalesce(bytes_in, 0)), min(start_time), max(start_time)"
    edges = f"SELECT {ENDS}, dst_port, protocol, {sums} FROM f"
    times = f"SELECT time_bucket(INTERVAL 10 minutes, start_time), src_confidence, dst_confidence, {sums} FROM f"
    sure = f"SELECT src_confidence, dst_confidence, {sums} FROM f"
    page = f"SELECT start_time, {ENDS}, src_ip, dst_ip, dst_port FROM f"
    order = "ORDER BY start_time DESC, flow_id DESC LIMIT 100"
    pairs = f"SELECT {ENDS}, dst_port FROM f"
    facet = "(SELECT '{0}', {0}::VARCHAR, count(*) n FROM f GROUP BY ALL ORDER BY n DESC LIMIT 10)"
    group = "GROUP BY ALL"
    label, by_name = "label=app=no-such", f"where=src_workload={workload}"
    unlabelled = "WHERE src_labels['app'] = 'no-such' OR dst_labels['app'] = 'no-such'"
    past = {"range": last, "baseline": {"since": since, "until": last["since"]}}
    return {
        "histogram, day": ("/api/histogram", {"range": day}, f"{times} {group}"),
        "histogram of one workload, day": (
            "/api/histogram", {"range": day, "filter": by_name}, f"{times} WHERE src_workload = $w {group}"
        ),
        "ends, day": ("/api/ends", {"range": day}, f"{sure} {group}"),
        "ends, brushed 2 h": ("/api/ends", {"range": brushed}, f"{sure} WHERE {_within(brushed)} {group}"),
        "talkers, day": ("/api/talkers", {"range": day}, f"{edges} {group} ORDER BY n DESC LIMIT 20"),
        "map by workload, day": ("/api/map", {"range": day, "by": "workload"}, f"{edges} {group}"),
        "map by namespace, hour": ("/api/map", {"range": last}, f"{edges} WHERE {_within(last)} {group}"),
        "new edges of the last hour": (
            "/api/changes", past, f"{pairs} WHERE {_within(last)} EXCEPT {pairs} WHERE NOT ({_within(last)})"
        ),
        "facets, 8 columns, day": (
            "/api/facets", {"range": day, "columns": list(FACETS)}, " UNION ALL ".join(map(facet.format, FACETS))
        ),
        "newest 100, day": ("/api/flows", {"range": day}, f"{page} {order}"),
        "newest 100 of an address, day": (
            "/api/flows", {"range": day, "filter": f"ip={address}"}, f"{page} WHERE src_ip = $a OR dst_ip = $a {order}"
        ),
        "newest 100 of a label that is not there": (
            "/api/flows", {"range": day, "filter": label}, f"{page} {unlabelled} {order}"
        ),
    }  # fmt: skip


def _within(span: dict[str, int]) -> str:
    return f"start_time >= make_timestamptz({span['since']}) AND start_time < make_timestamptz({span['until']})"


class Plain:
    """Plain DuckDB over the same files, on a connection that stays open."""

    def __init__(self, flows: Path) -> None:
        import duckdb

        self._link = duckdb.connect()
        self._link.execute("SET parquet_metadata_cache = true")
        self._link.execute(f"CREATE VIEW f AS FROM read_parquet('{flows}/**/*.parquet', hive_partitioning = true)")

    def ask(self, sql: str, told: dict[str, str]) -> tuple[float, float]:
        """Wall and processor time in ms."""
        began, cpu = time.perf_counter(), time.process_time()
        self._link.sql(sql, params={name: value for name, value in told.items() if f"${name}" in sql}).to_arrow_table()
        return (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000


def over_http(page: Page, peer: Plain, status: Row, turns: int) -> Iterator[Row]:
    """Every question, by us and by plain DuckDB in turns."""
    first = page.ask("/api/flows", {"columns": ["src_ip", "src_workload"], "limit": 1})[2]["values"]
    told = {"a": first[0][0], "w": first[1][0]}
    for title, (path, asked, sql) in questions(status["since"], status["until"], told["a"], told["w"]).items():
        runs, peers = [], []
        for turn in range(turns):
            runs.append(page.ask(path, asked))
            if turn < max(1, turns // 2):
                peers.append(peer.ask(sql, told))
        walls, theirs = sorted(one[0] for one in runs), min(one[0] for one in peers)
        yield {
            "question": title, "source": runs[0][2]["about"]["source"], "first": runs[0][0],
            "median": statistics.median(walls), "best": walls[0], "cpu": min(one[1] for one in runs),
            "duckdb": theirs, "duckdb_cpu": min(one[1] for one in peers), "times": theirs / walls[0],
            "cpu_times": min(one[1] for one in peers) / max(1.0, min(one[1] for one in runs)),
        }  # fmt: skip


def in_chromium(page: Page, turns: int) -> Iterator[Row]:
    """What a person waits for."""
    names = page.ask("/api/talkers", {"limit": 50})[2]["names"]
    listed = [one for one in names if one["namespace"] and one["name"]]
    texts = [f"{side}={one['namespace']}/{one['name']}" for one in listed[:4] for side in ("src", "dst")]
    texts += [
        f"namespace={listed[0]['namespace']}",
        "confidence=likely",
        "dst=:443",
        f"label=app={listed[5]['name']}",
        "",
    ]
    several = page.ask("/api/flows", {"columns": ["src_ip"], "limit": 200})[2]["values"][0]
    with chromium() as browser:
        tabs = Pages(browser, page.port, page.token, page.cpu)
        tabs.first_paint()
        parts = {
            "first paint of the overview": [tabs.first_paint() for _ in range(turns)],
            "brush to all panes": tabs.brushes(),
            "filter to all panes": tabs.filters(texts),
            "opening an address": tabs.addresses(list(dict.fromkeys(several))[:10]),
        }
    parts["brush or filter to all panes"] = parts["brush to all panes"] + parts["filter to all panes"]
    for title, found in parts.items():
        row: Row = {"what": title, "times": len(found)}
        for name, ranked in (("", sorted(one.ms for one in found)), ("server cpu ", sorted(one.cpu for one in found))):
            row[f"{name}p50"] = statistics.median(ranked)
            row[f"{name}p95"] = ranked[min(len(ranked) - 1, int(len(ranked) * 0.95))]
        yield row


def history(folder: Path) -> Path:
    """Evidence of the day in which bench/workbench_flows.py names its flows."""
    path = folder / "evidence.jsonl"
    write_evidence(path, make_day(HOLDS, SLOTS))
    return path


def table(columns: tuple[str, ...], rows: list[Row]) -> str:
    """Rows as Markdown; times in ms."""
    cells = [[f"{row[one]:,.0f}" if isinstance(row[one], float) else str(row[one]) for one in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(columns), ["---"] * len(columns), *cells])


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flows", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--datasette", action="store_true", help="fetch Datasette into an environment of its own, too")
    parser.add_argument("--no-page", action="store_true", help="no browser")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        results = measured(told, Path(name))
    path = (
        Path(__file__).resolve().parent / "results" / f"workbench-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n{path}")


def measured(told: Any, scratch: Path) -> Row:
    """All of it, printed as it comes."""
    flows = told.flows.resolve()
    page = Page(flows, told.cache or scratch / "cache", history(scratch))
    try:
        began = time.perf_counter()
        while (status := page.ask("/api/status")[2])["building"]:
            time.sleep(0.2)
        page.wait_for_history()
        results: Row = {
            "machine": machine(), "load": os.getloadavg(), "flows": status["flows"], "hours": status["hours"],
            "seconds_until_ready": time.perf_counter() - began, "cpu_ms_until_ready": page.cpu(),
        }  # fmt: skip
        print(json.dumps(results), flush=True)
        results["server_mb_ready"] = page.resident_mb()
        if not told.no_page:
            results["page"] = list(in_chromium(page, told.turns))
            print(
                table(("what", "times", "p50", "p95", "server cpu p50", "server cpu p95"), results["page"]), flush=True
            )
        results["questions"] = []
        for row in over_http(page, Plain(flows), status, told.turns):
            results["questions"].append(row)
            print(json.dumps(row), flush=True)
        columns = ("question", "source", "median", "best", "cpu", "duckdb", "duckdb_cpu", "times", "cpu_times")
        print(table(columns, results["questions"]), flush=True)
        results["server_mb"], results["server_mb_most"] = page.resident_mb(), page.resident_mb("VmHWM")
        print(f"server: {results['server_mb']:.0f} MB, at most {results['server_mb_most']:.0f} MB", flush=True)
    finally:
        page.close()
    if told.datasette:
        results["datasette"] = datasette.measured(flows, scratch, told.turns)
        print(json.dumps(results["datasette"]))
        if "ms" in results["datasette"]:
            rows = datasette.beside(results["datasette"], results["questions"])
            print(f"{results['datasette']['version']} over {results['datasette']['rows']:,} flows, whowas over all")
            print(table(tuple(rows[0]), rows), flush=True)
    return results


if __name__ == "__main__":
    main()

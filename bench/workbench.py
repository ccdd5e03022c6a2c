"""What the page's questions take: python bench/workbench.py FLOWS [--cache DIR] [--turns 5]

FLOWS: a folder of named flows (bench/workbench_flows.py makes one). Each question is asked over HTTP of a server in a
process of its own: wall time, and processor time of the server. Beside it the same question in plain DuckDB over the
same files, as a user would write it. Prints JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
HOUR_US = 3_600_000_000
ENDS = ", ".join(f"{side}_kind, {side}_namespace, {side}_workload, {side}_confidence" for side in ("src", "dst"))


FACETS = (
    "src_namespace", "dst_namespace", "src_workload", "dst_workload", "dst_port", "protocol", "src_confidence",
    "dst_confidence",
)  # fmt: skip


class Page:
    """A server of its own process."""

    def __init__(self, flows: Path, cache: Path) -> None:
        words = [sys.executable, "-m", "whowas", "serve", "--flows", str(flows), "--cache", str(cache), "--no-browser"]
        self._running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._running.stdout is not None
        found = None
        while found is None:
            line = self._running.stdout.readline()
            assert line, "it ended"
            found = re.search(r"127.0.0.1:(\d+)/#token=(\S+)", line)
        self._port, self._token = int(found[1]), found[2]

    def ask(self, path: str, asked: Any = None) -> tuple[float, float, Any]:
        """Wall and processor time of the server in ms, and the answer."""
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        told = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        began, cpu = time.perf_counter(), self._cpu()
        link.request(
            "POST" if asked is not None else "GET", path, json.dumps(asked) if asked is not None else None, told
        )
        answer = link.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        wall = time.perf_counter() - began
        return wall * 1000, self._cpu() - cpu, json.loads(body)

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 10.0

    def resident_mb(self) -> float:
        """Memory of the server now."""
        told = Path(f"/proc/{self._running.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", told)[1]) / 1000  # type: ignore[index]

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


def plain(flows: Path, sql: str, told: dict[str, str], turns: int) -> list[float]:
    """Wall time in ms, of a connection that stays open."""
    import duckdb

    link = duckdb.connect()
    link.execute("SET parquet_metadata_cache = true")
    link.execute(f"CREATE VIEW f AS FROM read_parquet('{flows}/**/*.parquet', hive_partitioning = true)")
    found = []
    for _ in range(turns):
        began = time.perf_counter()
        link.execute(sql, {name: value for name, value in told.items() if f"${name}" in sql}).to_arrow_table()
        found.append((time.perf_counter() - began) * 1000)
    return found


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flows", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        page = Page(told.flows.resolve(), told.cache or Path(name))
        try:
            began = time.perf_counter()
            while (status := page.ask("/api/status")[2])["building"]:
                time.sleep(0.5)
            made = {"flows": status["flows"], "hours": status["hours"], "seconds_to_build": time.perf_counter() - began}
            print(json.dumps(made), flush=True)
            first = page.ask("/api/flows", {"columns": ["src_ip", "src_workload"], "limit": 1})[2]["values"]
            for title, (path, asked, sql) in questions(
                status["since"], status["until"], first[0][0], first[1][0]
            ).items():
                runs = [page.ask(path, asked) for _ in range(told.turns)]
                peer = plain(told.flows, sql, {"w": first[1][0], "a": first[0][0]}, max(1, told.turns // 2))
                walls = [one[0] for one in runs]
                row = {
                    "question": title, "source": runs[0][2]["about"]["source"], "first_ms": round(walls[0]),
                    "median_ms": round(statistics.median(walls)), "best_ms": round(min(walls)),
                    "cpu_ms": round(min(one[1] for one in runs)), "duckdb_first_ms": round(peer[0]),
                    "duckdb_best_ms": round(min(peer)), "times": round(min(peer) / min(walls), 1),
                }  # fmt: skip
                print(json.dumps(row), flush=True)
            print(json.dumps({"server_mb": page.resident_mb()}))
        finally:
            page.close()


if __name__ == "__main__":
    main()

"""Some questions of the page to a Datasette over a sample: SQLite with an index for each, as its users make them."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ROWS = 2_000_000
COLUMNS = (
    "src_kind", "src_namespace", "src_workload", "src_confidence", "dst_kind", "dst_namespace", "dst_workload",
    "dst_confidence", "src_ip", "dst_ip", "dst_port", "protocol",
)  # fmt: skip
EDGE = ", ".join(one for one in COLUMNS if not one.endswith("_ip"))
SUMS = "count(*) n, sum(bytes), min(start), max(start)"
QUESTIONS = {
    "histogram": f"SELECT start / 600000000 t, src_confidence, dst_confidence, {SUMS} FROM f GROUP BY 1, 2, 3",
    "ends": f"SELECT src_confidence, dst_confidence, {SUMS} FROM f GROUP BY 1, 2",
    "talkers": f"SELECT {EDGE}, {SUMS} FROM f GROUP BY {EDGE} ORDER BY n DESC LIMIT 20",
    "newest 100": f"SELECT start, {EDGE}, src_ip, dst_ip FROM f ORDER BY start DESC LIMIT 100",
}


def measured(flows: Path, scratch: Path, turns: int) -> dict[str, Any]:
    """Wall time in ms by question, over ROWS flows of the folder; why not, where it does not install."""
    home = scratch / "datasette"
    pip = [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "datasette"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run(pip, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        return {"failed": (error.stderr or str(error))[-300:]}
    rows = _fill(flows, scratch / "flows.db")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = [str(home / "bin/datasette"), str(scratch / "flows.db"), "--port", str(port)]
    words += ["--setting", "sql_time_limit_ms", "60000", "--setting", "max_returned_rows", "20000"]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return {"rows": rows, "ms": {name: _ask(port, sql, turns) for name, sql in QUESTIONS.items()}}
    finally:
        running.terminate()
        running.wait()


def _fill(flows: Path, path: Path) -> int:
    import duckdb

    wanted = f"epoch_us(start_time), coalesce(bytes_out, 0) + coalesce(bytes_in, 0), {', '.join(COLUMNS)}"
    found = duckdb.connect().execute(
        f"SELECT {wanted} FROM read_parquet('{flows}/**/*.parquet', hive_partitioning = true) LIMIT {ROWS}"
    )
    link = sqlite3.connect(path)
    link.execute(f"CREATE TABLE f (start INTEGER, bytes INTEGER, {', '.join(COLUMNS)})")
    while several := found.fetchmany(50_000):
        link.executemany(f"INSERT INTO f VALUES ({', '.join('?' * (len(COLUMNS) + 2))})", several)
    for column in ("start", "src_confidence, dst_confidence", EDGE):
        link.execute(f'CREATE INDEX "by {column}" ON f ({column})')
    link.commit()
    rows = int(link.execute("SELECT count(*) FROM f").fetchone()[0])
    link.close()
    return rows


def _ask(port: int, sql: str, turns: int) -> float:
    """The best of some turns, ms."""
    address = f"http://127.0.0.1:{port}/flows.json?{urllib.parse.urlencode({'sql': sql, '_shape': 'array'})}"
    found = []
    for _ in range(turns):
        found.append(_once(address))
    return min(found)


def _once(address: str) -> float:
    until = time.monotonic() + 60
    while True:
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(address) as answer:
                json.load(answer)
            return (time.perf_counter() - began) * 1000
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            # It is not up yet.
            if time.monotonic() > until:
                raise
            time.sleep(0.2)

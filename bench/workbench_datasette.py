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

WANTED = "datasette==0.65.5"
ROWS = 2_000_000
COLUMNS = (
    "src_kind", "src_namespace", "src_workload", "src_confidence", "dst_kind", "dst_namespace", "dst_workload",
    "dst_confidence", "src_ip", "dst_ip", "dst_port", "protocol",
)  # fmt: skip
EDGE = ", ".join(one for one in COLUMNS if not one.endswith("_ip"))
SUMS = "count(*) n, sum(bytes), min(start), max(start)"
OURS = {
    "histogram": "histogram, day", "ends": "ends, day", "talkers": "talkers, day", "newest 100": "newest 100, day",
}  # fmt: skip
QUESTIONS = {
    "histogram": f"SELECT start / 600000000 t, src_confidence, dst_confidence, {SUMS} FROM f GROUP BY 1, 2, 3",
    "ends": f"SELECT src_confidence, dst_confidence, {SUMS} FROM f GROUP BY 1, 2",
    "talkers": f"SELECT {EDGE}, {SUMS} FROM f GROUP BY {EDGE} ORDER BY n DESC LIMIT 20",
    "newest 100": f"SELECT start, {EDGE}, src_ip, dst_ip FROM f ORDER BY start DESC LIMIT 100",
}


def measured(flows: Path, scratch: Path, turns: int) -> dict[str, Any]:
    """Wall and processor time in ms by question, over ROWS flows of the folder; why not, where it does not install."""
    home = scratch / "datasette"
    pip = [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", WANTED]
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
        return {
            "version": WANTED, "rows": rows,
            "ms": {name: _ask(port, running.pid, sql, turns) for name, sql in QUESTIONS.items()},
        }  # fmt: skip
    finally:
        running.terminate()
        running.wait()


def beside(theirs: dict[str, Any], ours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a table: the same questions to both, ms. ours: of the bench."""
    mine = {one["question"]: one for one in ours}
    return [
        {
            "question": name, "datasette": wall, "datasette cpu": cpu, "whowas": mine[OURS[name]]["best"],
            "whowas cpu": mine[OURS[name]]["cpu"], "times": wall / mine[OURS[name]]["best"],
            "cpu times": cpu / max(1.0, mine[OURS[name]]["cpu"]),
        }
        for name, (wall, cpu) in theirs["ms"].items()
    ]  # fmt: skip


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


def _ask(port: int, pid: int, sql: str, turns: int) -> tuple[float, float]:
    """The best of some turns: wall and processor time, ms."""
    address = f"http://127.0.0.1:{port}/flows.json?{urllib.parse.urlencode({'sql': sql, '_shape': 'array'})}"
    found = []
    _once(address)
    for _ in range(turns):
        before = cpu_ms(pid)
        found.append((_once(address), cpu_ms(pid) - before))
    return min(one[0] for one in found), min(one[1] for one in found)


def cpu_ms(pid: int) -> float:
    """Processor time of a process so far, ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10.0


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

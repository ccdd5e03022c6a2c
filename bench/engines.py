"""Reads a folder of named flows with every engine of docs/how-to/lake.md, by the page's own lines.

Usage: python bench/engines.py [ENGINE...]. The engines come into a venv of their own, .venv-engines (some 2 GB; Spark
wants Java 17). Prints the table of the page; exits with 1 where an engine answers otherwise than is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bench.engine_questions import CLUSTERS, ENGINES, needed  # noqa: E402

PAGE = ROOT / "docs/how-to/lake.md"
HOME = ROOT / ".venv-engines"
PINNED = (
    "chdb-core==26.9.0", "chdb==4.4.0", "daft==0.7.26", "datafusion==55.0.0", "deltalake==1.6.6", "duckdb==2.0.1",
    "pandas==3.1.1", "polars==2.1.0", "pyarrow==25.0.1", "pyiceberg[sql-sqlite]==0.12.0", "pyspark==4.3.0",
)  # fmt: skip
PACKAGES = {
    "ClickHouse (chdb)": "chdb",
    "Delta Lake": "deltalake",
    "Delta Lake, of a plain folder": "deltalake",
    "Iceberg": "pyiceberg",
    "Spark": "pyspark",
}
FIRST, FLOWS, STEP = 1_795_161_600, 40, 360
"""From 2026-11-20T08:00Z on: ten flows in each of the hours 8 to 11, on both sides of ten."""
RIGHT: dict[str, Any] = {
    "rows": 160,
    "cluster": [40] * len(CLUSTERS),
    "folder": 40,
    "hour": [40] * 4,
    "address": 96,
    "port": 80,
    "sum": {"web": 9600, "None": 6400},
    "label": {"web": 96, "None": 64},
    "null": 128,
    "types": {"dst_port": "number", "cluster": "text", "event_day": "number", "event_hour": "number"},
}
ASKED = {
    "rows": "rows",
    "cluster": "cluster =",
    "folder": "cluster_key =",
    "hour": "day and hour =",
    "address": "address =",
    "port": "port above 32,767",
    "sum": "sum by workload",
    "label": "a label",
    "null": "null candidates",
    "types": "types",
}
FORMS = {"Delta Lake": "delta"}
"""Engines that read another form than plain files."""
NO_COLUMN = "no such column"
KNOWN = {
    ("ClickHouse (chdb)", "null"): "[] for null",
    ("Iceberg", "null"): "[] for null",
    ("Iceberg", "folder"): NO_COLUMN,
    ("Iceberg", "hour"): NO_COLUMN,
    ("Iceberg", "types"): NO_COLUMN,
}
"""What no file of ours can mend."""


def make_flows(out: Path, work: Path, form: str = "parquet") -> None:
    """Replay a log of each cluster into one folder: web, a stranger, and an address of one of two pods talk to db."""
    from whowas.batch.replay import Choices, replay_captures

    for number, cluster in enumerate(CLUSTERS):
        history, log = work / "history.jsonl", work / f"{number}.log"
        pods = (
            ("web", "10.1.0.1", True),
            ("db", "10.1.0.2", True),
            ("job", "10.1.0.3", False),
            ("cron", "10.1.0.3", False),
        )
        history.write_text("".join(line for one in pods for line in _pod(cluster, *one)))
        log.write_text("".join(map(_conn, range(FLOWS))))
        replay_captures([str(log)], [str(history)], str(out), Choices(existing="append", format=form))


def _pod(cluster: str, name: str, address: str, certain: bool) -> list[str]:
    status: dict[str, Any] = {"phase": "Running", "podIP": address, "startTime": "2026-11-20T07:00:00Z"}
    if certain:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T07:00:01Z"}
        status |= {"podIPs": [{"ip": address}], "conditions": [ready]}
    told = {"name": name, "namespace": "shop", "uid": name, "labels": {"app": name}}
    pod = {
        "kind": "Pod", "apiVersion": "v1", "spec": {"nodeName": "n1"} if certain else {}, "status": status,
        "metadata": told | {"creationTimestamp": "2026-11-20T07:00:00Z"},
    }  # fmt: skip
    seen = (("ADDED", "07:00:01"), ("MODIFIED", "12:30:00"))[: 2 if certain else 1]
    events = [{"type": how, "received": f"2026-11-20T{at}Z", "cluster": cluster, "object": pod} for how, at in seen]
    return [json.dumps(one) + "\n" for one in events]


def _conn(number: int) -> str:
    source = {0: "198.51.100.7", 1: "10.1.0.3"}.get(number % 5, "10.1.0.1")
    told = {
        "ts": FIRST + number * STEP + 1, "uid": f"C{number}", "id.orig_h": source, "id.orig_p": 40_000 + number,
        "id.resp_h": "10.1.0.2", "id.resp_p": 51_234 if number % 2 else 443, "proto": "tcp", "duration": 1.5,
        "orig_bytes": 100, "resp_bytes": 200, "conn_state": "SF",
    }  # fmt: skip
    return json.dumps(told) + "\n"


def verdict(engine: str, question: str, answer: Any) -> str:
    """Return "right", what is known to be otherwise, or the wrong answer."""
    if question == "types" and isinstance(answer, dict):
        answer = {name: _kind(kind) for name, kind in answer.items()}
    if answer == RIGHT[question]:
        return "right"
    if question == "null" and answer == 0:
        answer = "[] for null"
    elif any(word in str(answer) for word in ("Could not find field", "does not exist in schema")):
        answer = NO_COLUMN
    return str(answer) if KNOWN.get((engine, question)) == answer else f"WRONG: {answer}"


def _kind(told: str) -> str:
    """What a type is, whatever an engine calls it; a port wants more than 16 bits with a sign."""
    word = told.lower()
    if any(one in word for one in ("str", "categor", "varchar")):
        return "text"
    return "number" if word.startswith(("int", "bigint", "nullable(int")) and "16" not in word else told


def ask(python: Path, engine: str, flows: Path) -> dict[str, Any]:
    """Run the page's lines in a folder of their own, for some of them write beside the flows. Returns: the answers."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["cp", "-r", str(flows), f"{work}/named"], check=True)
        words = [str(python), str(ROOT / "bench/engine_questions.py"), engine, str(PAGE)]
        done = subprocess.run(words, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        return dict.fromkeys(ASKED, (done.stderr.strip().splitlines() or ["no word"])[-1][:200])
    return dict(json.loads(done.stdout))


def installed() -> Path:
    """Return the interpreter of the engines' venv, made when it is not there."""
    python, told = HOME / "bin/python", HOME / "pinned"
    if not told.exists() or told.read_text() != "\n".join(PINNED):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PINNED], check=True)
        told.write_text("\n".join(PINNED))
    return python


def row(engine: str, found: dict[str, Any]) -> list[str]:
    """One line of the table: engine with its version, how many lines it needs, a verdict for each question."""
    name = PACKAGES.get(engine, engine.lower())
    version = next((one.split("==")[1] for one in PINNED if one.split("[")[0].split("==")[0] == name), "")
    return [
        f"{engine} {version}",
        str(needed(PAGE.read_text(), engine)),
        *(verdict(engine, one, found[one]) for one in ASKED),
    ]


def main() -> int:
    """Ask each engine. Returns: 1 where one is wrong."""
    wanted, python = sys.argv[1:] or list(ENGINES), installed()
    with tempfile.TemporaryDirectory() as work:
        for form in ("parquet", "delta"):
            make_flows(Path(work) / form, Path(work), form)
        rows = [row(one, ask(python, one, Path(work) / FORMS.get(one, "parquet"))) for one in wanted]
    print("| engine | lines | " + " | ".join(ASKED.values()) + " |\n" + "|---" * (len(ASKED) + 2) + "|")
    for one in rows:
        print("| " + " | ".join(one) + " |")
    return int(any("WRONG" in cell for one in rows for cell in one))


if __name__ == "__main__":
    sys.exit(main())

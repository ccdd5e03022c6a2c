"""`whowas replay --existing append` killed at any moment, and several at once: every row is there once in the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sinks.files.run_journal import Journal
from sinks.flows.live_files import live_files

KILLS = int(os.environ.get("WHOWAS_KILLS", "2"))
T0 = 1_795_168_800
FIRST, SECOND = 500, 40_000


def conn(number: int) -> str:
    told = {
        "ts": T0 + number * 1.5, "uid": f"C{number}", "id.orig_h": f"10.244.{number % 200}.{number % 250 + 1}",
        "id.orig_p": 40_000, "id.resp_h": "10.244.7.8", "id.resp_p": 443, "proto": "tcp", "duration": 1.5,
        "orig_bytes": 100, "resp_bytes": 200, "conn_state": "SF",
    }  # fmt: skip
    return json.dumps(told) + "\n"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two logs, the second of some seventeen hours, and a history of one pod."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "a.log").write_text("".join(map(conn, range(FIRST))))
    (folder / "b.log").write_text("".join(map(conn, range(10_000, 10_000 + SECOND))))
    pod = {
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "creationTimestamp": "2026-11-20T09:00:00Z"},
        "status": {"phase": "Running", "podIP": "10.244.7.8", "startTime": "2026-11-20T09:00:00Z"},
    }  # fmt: skip
    event = {"type": "ADDED", "received": "2026-11-20T09:00:01Z", "cluster": "demo", "object": pod}
    (folder / "h.jsonl").write_text(json.dumps(event) + "\n")
    return folder


def replay(inputs: Path, log: str, out: Path, existing: str = "append", form: str = "parquet") -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "whowas", "replay", str(inputs / log), "-H", str(inputs / "h.jsonl"), "-o", str(out),
             "--existing", existing, "--format", form, "-q"]  # fmt: skip
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def flow_ids(out: Path) -> Counter[str]:
    """The rows that a reader sees: of a Delta table those of the files in its log."""
    files = sorted(live_files(out))
    return Counter(one for path in files for one in pq.ParquetFile(path).read(["flow_id"])["flow_id"].to_pylist())


def wait_for_writing(process: subprocess.Popen[str], out: Path) -> None:
    while process.poll() is None and not list((out / ".whowas-replay").glob("*.making/*")):
        time.sleep(0.005)


LONG = pytest.mark.long


@pytest.mark.parametrize(("existing", "form"), [
    ("append", "parquet"), pytest.param("replace", "parquet", marks=LONG),
    pytest.param("append", "delta", marks=LONG), pytest.param("replace", "delta", marks=LONG),
])  # fmt: skip
def test_killed_while_it_writes_and_run_again(existing: str, form: str, inputs: Path, tmp_path: Path) -> None:
    if form == "delta":
        pytest.importorskip("deltalake")
    start = tmp_path / "start"
    assert replay(inputs, "a.log", start, form=form).wait() == 0
    if existing == "replace":
        assert replay(inputs, "b.log", start, form=form).wait() == 0
    before = flow_ids(start)
    for seed in range(KILLS):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(start, out)
        dice, killed = random.Random(seed), replay(inputs, "b.log", out, existing, form)
        wait_for_writing(killed, out)
        time.sleep(dice.uniform(0, 0.6) * dice.random())
        killed.kill()
        killed.wait()
        left = flow_ids(out)
        # Killed in the middle of the renaming, its mark says so, and whoever writes next does the rest. Who reads a
        # table goes by its log.
        cut = form == "parquet" and Journal(out).pending()
        assert cut or left.total() in (len(before), FIRST + SECOND), "a reader sees half of a run"
        again = replay(inputs, "b.log", out, existing, form)
        said = again.communicate()[0]
        assert again.returncode == 0 or "already holds all flows of 'b.log'" in said, said
        found = flow_ids(out)
        assert found.total() == len(found) == FIRST + SECOND, f"seed {seed}: {said}"


def test_several_at_once_into_one_folder(inputs: Path, tmp_path: Path) -> None:
    """Each writes all of its rows or none, and says why not."""
    lines = [f"{number}.log" for number in range(4)]
    for number, name in enumerate(lines):
        shutil.copy(inputs / "h.jsonl", tmp_path / "h.jsonl")
        (tmp_path / name).write_text("".join(map(conn, range(number * 1000, number * 1000 + 300))))
    out = tmp_path / "out"
    running = [replay(tmp_path, name, out) for name in lines]
    done = 0
    for one in running:
        said = one.communicate()[0]
        assert one.returncode == 0 or "another run is writing there; wait for it" in said, said
        done += one.returncode == 0
    found = flow_ids(out)
    assert done
    assert found.total() == len(found) == done * 300
    for name in lines:
        one = replay(tmp_path, name, out)
        said = one.communicate()[0]
        assert one.returncode == 0 or "already holds all flows" in said, said
    assert flow_ids(out).total() == 1200

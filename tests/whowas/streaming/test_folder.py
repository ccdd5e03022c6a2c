"""A folder into which a sensor writes: each record once, whatever is renamed, compressed, cut or killed."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from support.flow_logs import ZEEK_HEADER, zeek_line
from support.streaming.flow_records import count, record, serials
from support.streaming.workers import Process, wait_until, write_config

import whowas
from ingest.folder.consumer import FolderConsumer, FolderOptions
from ingest.folder.ledger import Ledger
from whowas.errors import WhowasError
from whowas.kafka import Partition

Begin = Callable[..., Process]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def begin(logs: Path, history: Path, tmp_path: Path) -> Iterator[Begin]:
    """Starts `whowas stream` on the folder; none outlives its test."""
    tables: dict[str, dict[str, Any]] = {
        "input": {"folder": str(logs), "settled_seconds": 0.6},
        "history": {"path": str(history)},
        "naming": {"wait": "never"},
        "parquet": {"folder": str(tmp_path / "named"), "flush_seconds": 0.2},
        "dead_letters": {"folder": str(tmp_path / "letters")},
        "serving": {"listen": "none"},
    }
    started: list[Process] = []

    def run(settled: float = 0.6) -> Process:
        tables["input"]["settled_seconds"] = settled
        started.append(Process(write_config(tmp_path / "whowas.toml", tables), f"worker{len(started)}"))
        return started[-1]

    yield run
    for one in started:
        one.end()


def lines(first: int, last: int) -> bytes:
    return b"".join(record(serial) + b"\n" for serial in range(first, last))


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as handle:
        handle.write(data)


def test_a_log_is_read_as_it_grows_and_half_a_line_waits(begin: Begin, logs: Path, tmp_path: Path) -> None:
    add(logs / "flows.log", lines(0, 10) + record(10)[:40])
    worker = begin(settled=60)
    wait_until(lambda: count(tmp_path / "named") >= 10, worker)
    add(logs / "flows.log", record(10)[40:] + b"\n" + lines(11, 20))
    wait_until(lambda: count(tmp_path / "named") >= 20, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(20), 1)


def test_renamed_compressed_and_read_once(begin: Begin, logs: Path, tmp_path: Path) -> None:
    add(logs / "flows.log", lines(0, 50))
    worker = begin()
    wait_until(lambda: count(tmp_path / "named") >= 50, worker)
    (logs / "flows.log").rename(logs / "flows.1.log")
    add(logs / "flows.1.log", lines(50, 60))
    add(logs / "flows.log", lines(60, 80))
    wait_until(lambda: count(tmp_path / "named") >= 80, worker)
    assert worker.stop() == 0, worker.told()
    # While nobody looked: compressed with ten more lines, and the next one begun.
    add(logs / "flows.1.log", lines(80, 90))
    (logs / "flows.1.log.gz").write_bytes(gzip.compress((logs / "flows.1.log").read_bytes()))
    (logs / "flows.1.log").unlink()
    (logs / "flows.log").rename(logs / "flows.2.log")
    add(logs / "flows.log", lines(90, 100))
    worker = begin()
    wait_until(lambda: count(tmp_path / "named") >= 100, worker)
    time.sleep(1.5)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(100), 1)


def test_cut_and_written_anew(begin: Begin, logs: Path, tmp_path: Path) -> None:
    """As logrotate's copytruncate does: the copy is the old story, what comes then a new one."""
    add(logs / "flows.log", lines(0, 50))
    worker = begin()
    wait_until(lambda: count(tmp_path / "named") >= 50, worker)
    (tmp_path / "copy").write_bytes((logs / "flows.log").read_bytes())
    os.truncate(logs / "flows.log", 0)
    (tmp_path / "copy").rename(logs / "flows.1.log")
    add(logs / "flows.log", lines(50, 70))
    wait_until(lambda: count(tmp_path / "named") >= 70, worker)
    time.sleep(1.5)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(70), 1)


@pytest.mark.long
def test_killed_again_and_again_while_a_sensor_rotates(begin: Begin, logs: Path, tmp_path: Path) -> None:
    dice, serial = random.Random(5), 0
    worker = begin()
    for turn in range(8):
        for _ in range(4):
            more = dice.randrange(1, 400)
            add(logs / "flows.log", lines(serial, serial + more))
            serial += more
            time.sleep(dice.uniform(0, 0.25))
        if turn % 2:
            (logs / "flows.log").rename(logs / f"flows.{turn}.log")
        if turn % 4 == 3:
            old = logs / f"flows.{turn}.log"
            (logs / f"flows.{turn}.log.gz.tmp").write_bytes(gzip.compress(old.read_bytes()))
            (logs / f"flows.{turn}.log.gz.tmp").rename(logs / f"flows.{turn}.log.gz")
            old.unlink()
        wait_until(worker.lines, worker)
        time.sleep(dice.uniform(0, 2))
        worker.kill()
        worker = begin()
    wait_until(lambda: count(tmp_path / "named") >= serial, worker, 60)
    time.sleep(1)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(serial), 1)


def flow_ids(folder: Path) -> list[str]:
    table = ds.dataset(folder, format="parquet", partitioning="hive").to_table(columns=["flow_id"])
    return sorted(table["flow_id"].to_pylist())


def test_captures_are_read_when_they_are_whole(begin: Begin, logs: Path, root: Path, tmp_path: Path) -> None:
    source = root / "samples/overlay/node1-bridge.pcap"
    data = source.read_bytes()
    with (logs / source.name).open("wb", buffering=0) as sensor:
        sensor.write(data[:5000])
        worker = begin()
        time.sleep(2)
        # Nothing came for longer than it takes to settle; but somebody has it open to write.
        assert count(tmp_path / "named") == 0
        sensor.write(data[5000:])
    replayed = whowas.replay(source, root / "samples/overlay/history.jsonl.gz")
    wait_until(lambda: count(tmp_path / "named") >= replayed.num_rows, worker)
    assert worker.stop() == 0, worker.told()
    # A capture's records are its conversations.
    assert worker.lines()[-1]["delivered"] == worker.lines()[-1]["flows"] == replayed.num_rows
    assert flow_ids(tmp_path / "named") == sorted(replayed["flow_id"].to_pylist())
    worker = begin()
    wait_until(worker.lines, worker)
    time.sleep(2)
    assert worker.stop() == 0
    assert flow_ids(tmp_path / "named") == sorted(replayed["flow_id"].to_pylist())


def test_an_observer_that_no_record_tells_is_the_name_of_the_file(begin: Begin, logs: Path, tmp_path: Path) -> None:
    (logs / "conn.log").write_bytes(b"\n".join([*ZEEK_HEADER, zeek_line(), b""]))
    worker = begin()
    wait_until(lambda: count(tmp_path / "named") == 1, worker)
    assert worker.stop() == 0, worker.told()
    table = pq.read_table(next((tmp_path / "named").rglob("*.parquet")), partitioning=None)
    assert table["observer"].to_pylist() == ["conn.log"]


def test_what_is_not_read_is_told(begin: Begin, logs: Path, tmp_path: Path) -> None:
    (logs / "README").write_text("hello\nworld\n")
    add(logs / "flows.log", lines(0, 5) + b'{"type": "IPFIX", "src_addr": 7}\n' + lines(5, 10))
    (logs / "copy.log").write_bytes((logs / "flows.log").read_bytes())
    (logs / "broken.log.gz").write_bytes(gzip.compress(lines(10, 30))[:-20])
    worker = begin()
    wait_until(lambda: count(tmp_path / "named") > 10, worker)
    time.sleep(2)
    assert worker.stop() == 0, worker.told()
    last = worker.lines()[-1]
    unread = {Path(path).name: why for path, why in last["unread"].items()}
    assert "recognise" in unread["README"]
    assert "cut short" in unread["broken.log.gz"]
    assert [name for name, why in unread.items() if "a copy of it" in why] in (["copy.log"], ["flows.log"])
    # The one among the others, and the one where the compressed log breaks off.
    assert last["refused"] == {"bad_src_address": 1, "not_json": 1}
    assert set(range(10)) < set(serials(tmp_path / "named"))
    assert max(serials(tmp_path / "named").values()) == 1
    assert len(list((tmp_path / "letters").rglob("*"))) > 0


# The folder itself, without a stream behind it.


class Owner:
    """Stands in for the worker: says what it delivers."""

    def __init__(self, folder: Path, ledger: Path, **options: Any) -> None:
        self.gained: list[Partition] = []
        self.lost: list[Partition] = []
        told = FolderOptions(str(folder), settled_seconds=0.0, **options)
        self.consumer = FolderConsumer(told, Ledger(ledger), self.gained.extend, self.lost.extend)

    def take(self, commit: bool = True) -> list[bytes]:
        """Everything that is there now."""
        found: list[bytes] = []
        self.consumer._looked = 0.0
        quiet = 0
        while quiet < 5:
            pieces = self.consumer.poll(0.0, 100)
            quiet = 0 if pieces else quiet + 1
            for piece in pieces:
                found += piece.values
                if commit:
                    self.consumer.commit({piece.partition: piece.offsets[-1] + 1})
        return found


def test_an_uncommitted_line_comes_again(logs: Path, tmp_path: Path) -> None:
    add(logs / "flows.log", lines(0, 3))
    first = Owner(logs, tmp_path / "files.db")
    assert len(first.take(commit=False)) == 3
    first.consumer.close()
    again = Owner(logs, tmp_path / "files.db")
    assert len(again.take()) == 3
    again.consumer.close()
    last = Owner(logs, tmp_path / "files.db")
    assert last.take() == []
    add(logs / "flows.log", lines(3, 4))
    assert last.take() == [record(3)]
    last.consumer.close()


def test_a_header_comes_again_before_the_rest(logs: Path, tmp_path: Path) -> None:
    zeek = b"#separator \\x09\n#fields\tts\tuid\n"
    add(logs / "conn.log", zeek + b"1\ta\n")
    first = Owner(logs, tmp_path / "files.db", format="goflow2")
    assert first.take() == [*zeek.splitlines(), b"1\ta"]
    first.consumer.close()
    add(logs / "conn.log", b"2\tb\n")
    again = Owner(logs, tmp_path / "files.db", format="goflow2")
    assert again.take() == [*zeek.splitlines(), b"2\tb"]
    again.consumer.close()


def test_from_now_on(logs: Path, tmp_path: Path) -> None:
    add(logs / "flows.log", lines(0, 3))
    owner = Owner(logs, tmp_path / "files.db", latest=True)
    assert owner.take() == []
    add(logs / "flows.log", lines(3, 5))
    add(logs / "new.log", lines(5, 6))
    assert sorted(owner.take()) == sorted([record(3), record(4), record(5)])
    owner.consumer.close()


def test_a_line_beyond_reason_costs_itself(logs: Path, tmp_path: Path) -> None:
    add(logs / "flows.log", lines(0, 2) + b"x" * (40 << 20) + b"\n" + lines(2, 4))
    owner = Owner(logs, tmp_path / "files.db")
    found = owner.take()
    assert [one for one in found if len(one) < 1000] == [record(serial) for serial in range(4)]
    assert max(map(len, found)) <= 17 << 20
    owner.consumer.close()


ASKS = """
import sys, time
from ingest.folder.rotated_file import settled
print("asking", flush=True)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    settled(sys.argv[1], 1, 0)
"""


def test_a_sensor_that_opens_a_file_just_then_does_not_end_us(root: Path, tmp_path: Path) -> None:
    """The kernel signals whoever holds the lease by which we ask; unless told otherwise, by one that kills."""
    path = tmp_path / "flows.log"
    path.write_bytes(b"x")
    asking = subprocess.Popen([sys.executable, "-c", ASKS, str(path)], cwd=root, stdout=subprocess.PIPE)
    assert asking.stdout is not None
    assert asking.stdout.readline() == b"asking\n"
    while asking.poll() is None:
        os.close(os.open(path, os.O_WRONLY))
    asking.stdout.close()
    assert asking.returncode == 0


def test_one_stream_a_ledger(tmp_path: Path, logs: Path) -> None:
    owner = Owner(logs, tmp_path / "files.db")
    with pytest.raises(WhowasError, match="another stream reads these files"):
        Ledger(tmp_path / "files.db")
    owner.consumer.close()


def test_the_command_line(tmp_path: Path, root: Path, logs: Path, history: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "whowas", "stream", *words], cwd=root, capture_output=True, text=True, timeout=120
        )

    assert "say --config FILE, or --files DIR" in run().stderr
    assert "say --history and --out" in run("--files", str(logs)).stderr
    good = ("--files", str(logs), "--history", str(history), "--out", str(tmp_path / "named"), "--check")
    told = run(*good)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "folder" in told.stdout
    assert run("--files", str(logs / "none"), *good[2:]).returncode == 1

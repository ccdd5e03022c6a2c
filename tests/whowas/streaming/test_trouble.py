"""What cannot work is said, with what to do; what goes wrong on the way loses nothing. On both clients."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, AdminClient
from support.needs import need
from support.servers.broker import Broker
from support.streaming.flow_records import consume, count, produce, record, serials
from support.streaming.workers import Start, wait_until

Tables = dict[str, dict[str, Any]]
POISON = [b"", b"{", b'{"type": "IPFIX"}', b"\x00\xff" * 50, b"[]", b'{"src_addr": "10.0.0.1", "dst_addr": 7}']


def refused(config: Callable[[], Path]) -> str:
    """Run a stream that must end by itself with exit code 2. Returns: what it said."""
    command = [sys.executable, "-m", "whowas", "stream", "--config", str(config())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def mixed(count: int) -> list[bytes]:
    """Records with poison between them."""
    values = [record(0)]
    for number in range(1, count):
        values += [record(number), POISON[number % len(POISON)]]
    return values


def test_poison_goes_to_a_folder(broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path) -> None:
    tables["dead_letters"] = {"folder": str(tmp_path / "letters")}
    tables["input"]["format"] = "goflow2"
    values = mixed(100)
    produce(broker, topic, values, partition=1)
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 100, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(tmp_path / "named") == dict.fromkeys(range(100), 1)
    letters = [json.loads(line) for path in (tmp_path / "letters").iterdir() for line in path.read_text().splitlines()]
    wanted = {place: value for place, value in enumerate(values) if value in POISON}
    assert {one["offset"]: base64.b64decode(one["value_base64"]) for one in letters} == wanted
    assert {(one["topic"], one["partition"]) for one in letters} == {(topic, 1)}
    assert all(one["reason"] for one in letters)
    last = worker.lines()[-1]
    assert sum(last["refused"].values()) == len(wanted)
    assert last["received"] == last["delivered"] == len(values)


def test_poison_goes_to_a_topic(broker: Broker, topic: str, start: Start, tables: Tables, tmp_path: Path) -> None:
    letters = broker.create(f"letters-{topic}")
    tables["dead_letters"] = {"topic": letters}
    tables["input"]["format"] = "goflow2"
    values = mixed(30)
    produce(broker, topic, values, partition=0)
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 30, worker)
    assert worker.stop() == 0, worker.told()
    found = {json.loads(one.key())["offset"]: one.value() or b"" for one in consume(broker, letters, 29)}
    assert found == {place: value for place, value in enumerate(values) if value in POISON}


def test_a_topic_that_is_not_there(config: Callable[[], Path], tables: Tables, tmp_path: Path) -> None:
    tables["input"]["topics"] = ["no-such-topic"]
    assert "cannot read topic 'no-such-topic': the broker has no such topic; create it" in refused(config)
    assert not count(tmp_path / "named")


def test_a_wrong_password(broker: Broker, config: Callable[[], Path], tables: Tables) -> None:
    tables["kafka.options"] |= broker.options("secure", password="wrong")
    assert "uthentication failed" in refused(config)


def test_a_certificate_of_somebody_else(broker: Broker, config: Callable[[], Path], tables: Tables) -> None:
    """Nobody is trusted who cannot show that he is the broker; it is tried again, for certificates are renewed."""
    tables["kafka.options"] |= broker.options("secure")
    del tables["kafka.options"]["ssl.ca.location"]
    command = [sys.executable, "-m", "whowas", "stream", "--config", str(config()), "--check", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [one["ok"] for one in lines if one["check"] == "broker"] == [False]


def test_an_option_that_nobody_knows(config: Callable[[], Path], tables: Tables) -> None:
    tables["kafka.options"]["session.timeuot.ms"] = 3
    assert "session.timeuot.ms" in refused(config)


def test_a_history_that_is_not_there(config: Callable[[], Path], tables: Tables, tmp_path: Path) -> None:
    tables["history"]["path"] = str(tmp_path / "none.db")
    assert "none.db" in refused(config)


def test_a_folder_that_cannot_be_written(config: Callable[[], Path], tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "named").write_text("a file")
    assert "it is a file; name a folder" in refused(config)


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """A disk of two megabytes."""
    need(os.geteuid() == 0, "only root may mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing(broker: Broker, topic: str, start: Start, tables: Tables, small: Path) -> None:
    tables["parquet"]["folder"] = str(small / "named")
    filler = small / "filler"
    filler.write_bytes(bytes(1_950_000))
    produce(broker, topic, map(record, range(3000)))
    worker = start()
    wait_until(lambda: any(line["state"] == "output" for line in worker.lines()), worker)
    committed = sum(max(one, 0) for one in broker.committed(f"group-{topic}", topic, 3))
    assert committed <= count(small / "named")
    filler.unlink()
    wait_until(lambda: count(small / "named") == 3000, worker)
    assert worker.stop() == 0, worker.told()
    assert serials(small / "named") == dict.fromkeys(range(3000), 1)
    assert "No space left on device; free space" in " ".join(
        worker.lines()[1]["reasons"] + worker.lines()[2]["reasons"]
    )


def test_a_read_only_folder(config: Callable[[], Path], tables: Tables, small: Path) -> None:
    tables["parquet"]["folder"] = str(small / "named")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    assert "Read-only file system; free space or choose another folder" in refused(config)


@pytest.mark.parametrize("more", [0, 900])
def test_a_topic_that_was_made_anew(
    more: int, broker: Broker, topic: str, start: Start, config: Callable[[], Path], tmp_path: Path
) -> None:
    """Shorter or longer than the one before: what it has at an old offset was never written."""
    produce(broker, topic, map(record, range(300)))
    worker = start()
    wait_until(lambda: count(tmp_path / "named") == 300, worker)
    assert worker.stop() == 0, worker.told()
    admin: AdminClient = broker.admin()
    admin.delete_topics([topic])[topic].result(20)
    for _ in range(50):
        try:
            broker.create(topic, 3)
            break
        except Exception:  # noqa: BLE001 - it is still being deleted
            pass
    produce(broker, topic, map(record, range(3 + more)), partition=0)
    assert "it was recreated" in refused(config)


def test_check_says_what_this_user_may_not(
    config: Callable[[], Path], broker: Broker, topic: str, tables: Tables
) -> None:
    """Asked without a message that readers would see."""
    tables["kafka.options"] |= broker.options("secure")
    out, letters = broker.create(f"out-{topic}"), broker.create(f"letters-{topic}")
    tables["kafka_output"], tables["dead_letters"] = {"topic": out}, {"topic": letters}
    broker.allow(topic, AclOperation.DESCRIBE)
    broker.allow(out, AclOperation.READ)
    broker.allow(letters, AclOperation.WRITE)
    command = [sys.executable, "-m", "whowas", "stream", "--config", str(config()), "--check", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = {one["check"]: one for one in map(json.loads, told.stdout.splitlines())}
    assert told.returncode == 1
    assert not lines["topic"]["ok"]
    assert f"cannot read topic '{topic}': this user may only DESCRIBE; allow it READ" in lines["topic"]["detail"]
    assert not lines["output"]["ok"]
    assert f"'{out}': this user may only DESCRIBE, READ; allow it WRITE" in lines["output"]["detail"]
    assert lines["letters"]["ok"], lines["letters"]
    assert not consume(broker, letters, 1, 1)
    broker.allow(topic, AclOperation.READ)
    broker.allow(out, AclOperation.WRITE)
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0


def test_check_says_all(config: Callable[[], Path], broker: Broker, topic: str, tables: Tables, tmp_path: Path) -> None:
    tables["kafka_output"] = {"topic": f"none-{uuid.uuid4().hex}"}
    tables["dead_letters"] = {"folder": str(tmp_path / "letters")}
    produce(broker, topic, map(record, range(7)))
    command = [sys.executable, "-m", "whowas", "stream", "--config", str(config()), "--check"]
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    lines = {one["check"]: one for one in map(json.loads, told.stdout.splitlines())}
    assert told.returncode == 1
    assert {name: one["ok"] for name, one in lines.items()} == {
        "broker": True, "topic": True, "history": True, "parquet": True, "output": False, "letters": True,
    }  # fmt: skip
    assert "3 partitions, 7 records" in lines["topic"]["detail"]
    assert "the broker has no such topic; create it" in lines["output"]["detail"]
    tables["kafka_output"] = {"topic": broker.create(f"out-{topic}")}
    config()
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("ok") >= 6

"""The doctor tells what is well and what to do where it is not; it changes nothing, and nothing hides anything else."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from whowas.checkup import FAIL, OK, WARN, Asked, Finding, examined, installation, places
from whowas.checkup.finding import age, of_error
from whowas.checkup.reach import apiserver, brokers, receivers
from whowas.cli import group
from whowas.config import load

CONFIG = """
[input]
folder = "in"
[history]
path = "cluster.db"
[parquet]
folder = "named"
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No cluster and no history of whoever runs the tests."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "WHOWAS_HISTORY", "WHOWAS_FLOWS"):
        monkeypatch.delenv(name, raising=False)
    cache = os.path.join(os.path.expanduser("~"), ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", cache))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "whowas.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def listening() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def nobody() -> int:
    """A port where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


def doctor(*words: str) -> Result:
    return CliRunner().invoke(group, ["doctor", *words], catch_exceptions=False)


def by_name(found: Iterator[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in found}


def settings(more: str) -> Any:
    Path("more.toml").write_text(more)
    return load("more.toml")


def test_relative_paths_begin_where_a_stream_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both commands mean the same files, and the doctor says which where the configuration lies elsewhere."""
    (tmp_path / "else" / "named").mkdir(parents=True)
    told = {one.what: one.detail for one in examined(Asked(config="whowas.toml", seconds=0.1))}
    assert told["whowas.toml"] == "'whowas.toml' is valid"
    monkeypatch.chdir(tmp_path / "else")
    there = {one.what: one.detail for one in examined(Asked(config="../whowas.toml", seconds=0.1))}
    assert there["whowas.toml"].endswith(f"relative paths in it begin in '{tmp_path / 'else'}', as for a whowas stream "
                                         "that is started there")  # fmt: skip
    for command in (["stream", "--check"], ["doctor"]):
        said = CliRunner().invoke(group, [*command, "--config", "../whowas.toml"], catch_exceptions=False).output
        assert "cannot read folder 'in': No such file or directory" in said
    (tmp_path / "else" / "in").mkdir()
    for command in (["stream", "--check"], ["doctor"]):
        said = CliRunner().invoke(group, [*command, "--config", "../whowas.toml"], catch_exceptions=False).output
        assert "'in': 0 entries" in said


def store(root: Path) -> str:
    sample = root / "samples" / "overlay" / "history.jsonl.gz"
    told = CliRunner().invoke(group, ["history", "import", "cluster.db", str(sample)], catch_exceptions=False)
    assert told.exit_code == 0
    return "cluster.db"


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(one): (one.lstat().st_size, one.lstat().st_mtime_ns) for one in folder.rglob("*")}


def test_without_anything_asked_it_says_what_is_installed() -> None:
    told = json.loads(doctor("--json").output)
    named = {one["what"]: one for one in told["findings"]}
    assert {"python", "whowas", "numba", "pyarrow", "duckdb", "kernels", "[watch]", "[kafka]"} <= set(named)
    assert told["states"]["fail"] == 0
    assert set(named["python"]) == {"about", "what", "state", "detail", "advice"}


def test_nothing_is_changed(root: Path, alone: Path) -> None:
    store(root)
    before = snapshot(alone)
    found = doctor("-c", "whowas.toml")
    assert "fresh" in found.output
    after = snapshot(alone)
    # Readers of a store in WAL mode share an index beside it.
    assert {one: told for one, told in after.items() if not one.endswith(("-shm", "-wal"))} == {
        one: told for one, told in before.items() if not one.endswith(("-shm", "-wal"))
    }


def test_exit_codes_say_the_worst(root: Path) -> None:
    assert doctor("-c", "nowhere.toml").exit_code == 2
    assert doctor("-c", "whowas.toml").exit_code == 2
    store(root)
    found = doctor("-c", "whowas.toml")
    assert found.exit_code == 1, found.output
    assert "to do: is it recorded? whowas watch --history cluster.db" in found.output


def test_a_configuration_that_breaks_hides_nothing_else(root: Path) -> None:
    Path("whowas.toml").write_text("[inptu]\n")
    found = by_name(examined(Asked(config="whowas.toml", history=(store(root),))))
    assert found["whowas.toml"].state == FAIL
    assert found["whowas.toml"].advice == "did you mean 'input'?"
    assert any(name.startswith("history ") for name in found)


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 200])
def test_a_history_that_is_none_is_a_finding(damage: bytes) -> None:
    Path("cluster.db").write_bytes(damage)
    for path in ("cluster.db", "nowhere.db"):
        (found,) = [one for one in examined(Asked(history=(path,))) if one.about == "fresh"]
        assert found.state == FAIL
        assert path in found.detail
        assert found.advice


def test_evidence_that_is_no_store_is_told(root: Path) -> None:
    sample = str(root / "samples" / "overlay" / "history.jsonl.gz")
    (found,) = [one for one in examined(Asked(history=(sample,))) if one.about == "fresh"]
    assert found.state == OK


def test_an_extra_that_is_needed_and_missing_fails_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: None if name in ("sigma", "kafka") else find_spec(name))
    rules = (
        '[input]\ntopics=["a"]\n[kafka.options]\n"bootstrap.servers"="x"\n[history]\npath="h"\n[parquet]\nfolder="n"\n'
    )
    rules += '[rules]\nstate="s"\n[alerts]\nfile="f"\n'
    found = by_name(installation.extras(settings(rules)))
    assert {name for name, one in found.items() if one.state == FAIL} == {"[rules]", "[kafka]"}
    assert found["[rules]"].advice.endswith("[rules]'")
    alone = by_name(installation.extras(None))
    assert {one.state for one in alone.values()} == {OK}
    assert "install" in alone["[kafka]"].detail


def test_kernels_that_are_not_compiled_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    (found,) = installation.kernels()
    assert (found.state, found.advice) == (WARN, "unset NUMBA_DISABLE_JIT")


def test_places_are_judged_by_rights_and_room(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load("whowas.toml")
    (found,) = places.places(config)
    assert found.state in (OK, WARN)
    assert not (alone / "named").exists()
    usage = shutil.disk_usage(alone)
    for free, state in ((50_000_000, FAIL), (500_000_000, WARN), (usage.total, OK)):
        monkeypatch.setattr(places.shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert [one.state for one in places.places(config)] == [state]
    monkeypatch.setattr(places.os, "access", lambda *_: False)
    (found,) = places.places(config)
    assert (found.state, found.advice) == (FAIL, "give this user the right to write")


def test_a_file_where_a_folder_should_be_fails(alone: Path) -> None:
    (alone / "named").write_text("x")
    (found,) = places.places(load("whowas.toml"))
    assert found.state == FAIL
    assert "is no folder" in found.detail


def test_brokers_are_tried_one_by_one(listening: int) -> None:
    servers = f"127.0.0.1:{listening}, SASL_SSL://127.0.0.1:{nobody()},[::bad:1"
    config = settings(f'{CONFIG}[kafka.options]\n"bootstrap.servers" = "{servers}"\n')
    assert [one.state for one in brokers(config, 2.0)] == [OK, FAIL, FAIL]


def test_a_broker_that_does_not_answer_keeps_nobody_waiting() -> None:
    text = CONFIG.replace('folder = "in"', 'topics = ["flows"]')
    Path("whowas.toml").write_text(f'{text}[kafka.options]\n"bootstrap.servers" = "127.0.0.1:{nobody()}"\n')
    began = time.monotonic()
    found = [one for one in examined(Asked(config="whowas.toml")) if one.about in ("reachable", "permitted")]
    assert {one.state for one in found if "kafka" in one.what} == {FAIL}
    assert not [one for one in found if one.what == "topic"]
    assert time.monotonic() - began < 60


def test_receivers_of_alerts_are_reached_and_a_secret_stays_one(listening: int) -> None:
    Path("secret").write_text(f"http://127.0.0.1:{nobody()}/hook/PASSWORD\n")
    rules = f'[rules]\nstate = "s"\n[alerts.alertmanager]\nurl = "http://127.0.0.1:{listening}"\n'
    found = by_name(receivers(settings(CONFIG + rules + '[alerts.webhook]\nurl_file = "secret"\n'), 2.0))
    assert (found["alertmanager"].state, found["webhook"].state) == (OK, FAIL)
    assert "PASSWORD" not in str(found)
    for url in ("no url", "http://[::1", "ftp://x"):
        (one,) = receivers(settings(f'{CONFIG}[rules]\nstate = "s"\n[alerts.webhook]\nurl = "{url}"\n'), 2.0)
        assert (one.state, one.detail) == (FAIL, "its url is none")


def test_an_apiserver_that_does_not_answer_is_a_warning_or_what_was_asked_for(alone: Path) -> None:
    server = f"https://127.0.0.1:{nobody()}"
    entry = {"name": "x", "cluster": {"server": server}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    told = {"apiVersion": "v1", "kind": "Config", "clusters": [entry], "contexts": [context], "current-context": "x"}
    (alone / "kube.json").write_text(json.dumps(told | {"users": [{"name": "x", "user": {"token": "t"}}]}))
    (found,) = apiserver(str(alone / "kube.json"), None)
    assert (found.what, found.state) == ("apiserver", FAIL)
    assert server in found.detail


def test_flows_are_as_fresh_as_the_newest_of_them(alone: Path) -> None:
    now = time.time_ns() // 1000
    for day, us in (("20260101", now - 10 * 86_400_000_000), ("20990101", now - 60_000_000)):
        folder = alone / "named" / "cluster_key=x" / f"event_day={day}" / "event_hour=1"
        folder.mkdir(parents=True)
        parquet.write_table(pa.table({"start_time": pa.array([us], pa.timestamp("us", "UTC"))}), folder / "a.parquet")
    (found,) = [one for one in examined(Asked(flows="named")) if one.about == "fresh"]
    assert found.state == OK
    assert "2 files" in found.detail
    (folder / "b.parquet").write_bytes(b"PAR1 broken")
    told = [one.state for one in examined(Asked(flows="named")) if one.about == "fresh"]
    assert told == [WARN, OK]
    shutil.rmtree(alone / "named" / "cluster_key=x" / "event_day=20990101")
    assert [one.state for one in examined(Asked(flows="named")) if one.about == "fresh"] == [WARN]
    assert [one.state for one in examined(Asked(flows="nowhere")) if one.about == "fresh"] == [FAIL]


def test_hostile_text_reaches_no_terminal() -> None:
    Path("whowas.toml").write_text('["a\\u001b[2J\\u202e"]\n')
    found = doctor("-c", "whowas.toml", "-H", "x\x1b[2Jy")
    assert found.exit_code == 2
    assert "\x1b" not in found.output
    assert "\u202e" not in found.output


def test_words() -> None:
    assert of_error("a", "b", "cannot x: y; do z") == Finding("a", "b", FAIL, "cannot x: y", "do z")
    assert of_error("a", "b", "cannot x").detail == "cannot x"
    now = time.time_ns() // 1000
    assert [age(now - seconds * 1_000_000) for seconds in (5, 300, 10_000, 1_000_000)] == [
        "5 s ago",
        "5 min ago",
        "3 h ago",
        "12 d ago",
    ]
    assert age(now + 10_000_000) == "in the future"

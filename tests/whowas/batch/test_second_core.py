"""A replay with a second core does what it does with one: the same files, byte for byte; and fails as one does."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from ingest.packets import PacketOptions
from sinks.flows import parquet
from sinks.flows.parquet import ParquetOptions
from whowas import side_threads
from whowas.batch import replay
from whowas.batch.replay import Choices, replay_captures
from whowas.batch.summary import Summary
from whowas.errors import OutputError

CORES = pytest.mark.parametrize("cores", [1, 2])


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small batches and files, so that all threads have something to do at once."""
    monkeypatch.setattr(replay, "ParquetOptions", lambda existing: ParquetOptions(60, 60, existing))


def replayed(root: Path, out: Path, seen: Any = None) -> Any:
    captures = [str(one) for one in sorted((root / "samples/overlay").glob("*.pcap"))]
    history = str(root / "samples/overlay/history.jsonl.gz")
    told = Choices(packets=PacketOptions(batch_rows=20, count="every"))
    return replay_captures(captures, history, str(out), told, seen)


def files(out: Path) -> dict[str, bytes]:
    return {str(one.relative_to(out)): one.read_bytes() for one in out.rglob("*.parquet")}


def test_files_and_words_are_those_of_one_core(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for cores in (1, 2):
        monkeypatch.setattr(side_threads, "cores", lambda cores=cores: cores)
        told.append(replayed(root, tmp_path / f"{cores}").to_json())
    assert len(files(tmp_path / "1")) > 3
    assert files(tmp_path / "1") == files(tmp_path / "2")
    for one, name in zip(told, "12", strict=True):
        del one["seconds"], one["seconds_by_step"]
        one["written"]["files"] = [path.removeprefix(str(tmp_path / name)) for path in one["written"]["files"]]
    assert told[0] == told[1]


@CORES
@pytest.mark.parametrize("broken", [0, 2, -1])
def test_a_full_disk_leaves_nothing(
    cores: int, broken: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first file, in the middle, at the last one."""
    monkeypatch.setattr(side_threads, "cores", lambda: cores)
    count = len(replayed(root, tmp_path / "whole").files)
    real, made = parquet.encode, []

    def encode(*given: Any) -> None:
        made.append(1)
        if len(made) == (broken if broken >= 0 else count - 1) + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*given)

    monkeypatch.setattr(parquet, "encode", encode)
    with pytest.raises(OutputError, match="No space left"):
        replayed(root, tmp_path / "out")
    assert files(tmp_path / "out") == {}
    assert [one.name for one in threading.enumerate() if one.name.startswith("whowas-")] == []
    monkeypatch.setattr(parquet, "encode", real)
    assert len(replayed(root, tmp_path / "out").files) == count


@CORES
def test_who_stops_leaves_nothing(cores: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_threads, "cores", lambda: cores)
    real, calls = Summary.add, []

    def add(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(*given)

    monkeypatch.setattr(Summary, "add", add)
    with pytest.raises(KeyboardInterrupt):
        replayed(root, tmp_path)
    assert files(tmp_path) == {}
    assert [one.name for one in threading.enumerate() if one.name.startswith("whowas-")] == []

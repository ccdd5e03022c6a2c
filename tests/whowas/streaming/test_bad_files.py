"""One bad file in a folder: it is told, what can be read of it is kept, and the good ones beside it are delivered."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bombs import MIB, zstd_bomb
from support.crafted_packets import pcap, section
from support.flow_logs import ZEEK_HEADER, zeek_line
from support.streaming.flow_records import count, record, serials
from support.streaming.workers import Process, wait_until, write_config

from ingest.folder.consumer import FolderConsumer, FolderOptions
from ingest.folder.ledger import Ledger
from ingest.folder.rotated_file import LINE_MOST, PACKED, RotatedFile


def lines(first: int, last: int) -> bytes:
    return b"".join(record(serial) + b"\n" for serial in range(first, last))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def config(logs: Path, history: Path, tmp_path: Path) -> Path:
    tables: dict[str, dict[str, Any]] = {
        "input": {"folder": str(logs), "settled_seconds": 0.3},
        "history": {"path": str(history)},
        "naming": {"wait": "never"},
        "parquet": {"folder": str(tmp_path / "named"), "flush_seconds": 0.2},
        "dead_letters": {"folder": str(tmp_path / "letters")},
        "serving": {"listen": "none"},
    }
    return write_config(tmp_path / "whowas.toml", tables)


@pytest.fixture
def started() -> Iterator[list[Process]]:
    found: list[Process] = []
    yield found
    for one in found:
        one.end()


def test_bad_files_stop_no_stream_and_hide_no_good_file(
    logs: Path, config: Path, started: list[Process], tmp_path: Path
) -> None:
    bad_header = ZEEK_HEADER[0].replace(b"x09", b'x"9')
    (logs / "a-bad.log").write_bytes(b"\n".join([bad_header, *ZEEK_HEADER[1:], zeek_line()]) + b"\n")
    (logs / "b-bomb.pcap.zst").write_bytes(zstd_bomb(pcap([]), b"\xff", 64 * MIB))
    (logs / "c-cut.pcapng").write_bytes(section() + b"\6\0\0\0\xff\xff\xff\xff")
    (logs / "d-cut.log.gz").write_bytes(gzip.compress(lines(10, 30))[:-20])
    (logs / "z-good.log").write_bytes(lines(0, 10))
    for name in ("first", "again"):
        worker = Process(config, name)
        started.append(worker)
        # Ten of the good log, and the one below the bad header.
        wait_until(lambda: count(tmp_path / "named") >= 11, worker)
        if name == "first":
            # What was read to its break is not read again, nor told again.
            wait_until(lambda worker=worker: len((worker.lines() or [{}])[-1].get("unread", {})) == 3, worker)
        assert worker.stop() == 0, worker.told()
        assert "Traceback" not in worker.told()
    assert set(range(10)) <= set(serials(tmp_path / "named"))
    assert max(serials(tmp_path / "named").values()) == 1


def test_a_fault_of_a_reader_is_told_of_its_file(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (logs / "bad.log.gz").write_bytes(gzip.compress(lines(0, 5)))
    (logs / "good.log").write_bytes(lines(5, 9))
    real = RotatedFile.read

    def read(self: RotatedFile, settled: bool) -> Any:
        if self.kind == PACKED:
            raise IndexError("of a kernel")
        return real(self, settled)

    monkeypatch.setattr(RotatedFile, "read", read)
    options = FolderOptions(str(logs), settled_seconds=0)
    consumer = FolderConsumer(options, Ledger(tmp_path / "files.db"), lambda _: None, lambda _: None)
    found = [value for _ in range(4) for piece in consumer.poll(0, 1000) for value in piece.values]
    assert found == [record(serial) for serial in range(5, 9)]
    assert [(Path(path).name, why) for path, why in consumer.unknown.items()] == [
        ("bad.log.gz", "reading it failed: IndexError('of a kernel')")
    ]
    consumer.close()


def test_a_compressed_line_beyond_reason_costs_itself(logs: Path, tmp_path: Path) -> None:
    (logs / "flows.log.gz").write_bytes(gzip.compress(lines(0, 2) + b"x" * (40 * MIB) + b"\n" + lines(2, 4), 1))
    options = FolderOptions(str(logs), settled_seconds=0)
    consumer = FolderConsumer(options, Ledger(tmp_path / "files.db"), lambda _: None, lambda _: None)
    found = [value for _ in range(8) for piece in consumer.poll(0, 1000) for value in piece.values]
    assert [one for one in found if len(one) < 1000] == [record(serial) for serial in range(4)]
    assert [len(one) >= LINE_MOST for one in found if len(one) > 1000] == [True]
    consumer.close()

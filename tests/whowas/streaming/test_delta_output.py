"""`[parquet] format = "delta"`: a worker that is killed again and again leaves each record once in the table."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.streaming.flow_records import record
from support.streaming.workers import Process, wait_until, write_config

from whowas.settings import ParquetOutput
from whowas.streaming.wiring import ranges

KILLS = int(os.environ.get("WHOWAS_KILLS", "3"))


def serials(table: Path) -> Counter[int]:
    """How often a reader of the table sees each record."""
    deltalake: Any = pytest.importorskip("deltalake")
    if not (table / "_delta_log").is_dir():
        return Counter()
    found = deltalake.DeltaTable(str(table)).to_pyarrow_dataset().to_table(columns=["bytes_out"])
    return Counter(found["bytes_out"].to_pylist())


@pytest.mark.long
def test_kills_lose_nothing_and_double_nothing(history: Path, tmp_path: Path) -> None:
    pytest.importorskip("deltalake")
    logs, named, dice = tmp_path / "logs", tmp_path / "named", random.Random(1)
    logs.mkdir()
    tables: dict[str, dict[str, Any]] = {
        "input": {"folder": str(logs), "settled_seconds": 0.3},
        "history": {"path": str(history)},
        "naming": {"wait": "never"},
        "parquet": {"folder": str(named), "flush_seconds": 0.1, "format": "delta"},
        "serving": {"listen": "none"},
    }
    config, wanted = write_config(tmp_path / "whowas.toml", tables), 200 * (KILLS + 1)
    worker = Process(config, "worker")
    try:
        for number in range(KILLS + 1):
            lines = b"".join(record(serial) + b"\n" for serial in range(number * 200, (number + 1) * 200))
            (logs / f"{number}.json").write_bytes(lines)
            if number < KILLS:
                before = serials(named).total()
                if dice.random() < 0.6:
                    wait_until(lambda before=before: serials(named).total() > before, worker)  # type: ignore[misc]
                time.sleep(dice.uniform(0, 0.5))
                worker.kill()
                assert max(serials(named).values(), default=1) == 1, "a reader sees a record twice"
                worker = Process(config, f"worker{number}")
        wait_until(lambda: serials(named).total() >= wanted, worker)
        assert worker.stop() == 0, worker.told()
    finally:
        worker.end()
    assert serials(named) == dict.fromkeys(range(wanted), 1)


def test_plain_files_are_the_default(tmp_path: Path) -> None:
    assert type(ranges(ParquetOutput(str(tmp_path)), "g")).__name__ == "RangeFiles"
    pytest.importorskip("deltalake")
    assert type(ranges(ParquetOutput(str(tmp_path), format="delta"), "g")).__name__ == "RangeTable"

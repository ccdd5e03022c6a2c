"""Damaged Parquet files beside good ones: they are told, and the good ones are read."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.fuzz_seeds import seeds_of

from whowas.batch.flow_files import FlowFiles
from whowas.errors import InputError


@pytest.fixture(scope="module")
def good() -> bytes:
    return seeds_of("parquet")[0]


def rows(folder: Path) -> tuple[int, list[str]]:
    found = FlowFiles.find(str(folder))
    count = sum(len(batch.to_pylist()) for batch, _ in found.batches())
    return count, [Path(path).name for path, _ in found.unreadable]


def test_a_flipped_byte_anywhere_costs_its_file_alone(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "good.parquet").write_bytes(good)
    all_rows = pq.read_table(tmp_path / "good.parquet").num_rows
    chance, told = random.Random(1), Counter[str]()
    for _ in range(150):
        bad = bytearray(good)
        bad[chance.randrange(len(bad) * 3 // 4, len(bad))] ^= 1 << chance.randrange(8)
        (tmp_path / "bad.parquet").write_bytes(bad)
        count, unreadable = rows(tmp_path)
        assert count >= all_rows
        assert set(unreadable) <= {"bad.parquet"}
        told.update(unreadable)
    assert told["bad.parquet"] > 10


def test_a_name_of_a_column_that_is_no_text_is_told(good: bytes, tmp_path: Path) -> None:
    """The footer of such a file reads well; only its names do not."""
    (tmp_path / "bad.parquet").write_bytes(good.replace(b"src_namespace", b"\xffrc_namespace"))
    with pytest.raises(InputError):
        rows(tmp_path)
    (tmp_path / "good.parquet").write_bytes(good)
    assert rows(tmp_path)[1] == ["bad.parquet"]

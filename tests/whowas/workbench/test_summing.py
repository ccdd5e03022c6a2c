"""What an hour adds up to is what Python counts; numbers part whatever differs, and saturate where they must."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.workbench import rows, write

from whowas.errors import InputError
from whowas.workbench import hours, summed_files
from whowas.workbench import summing_kernels as kernels
from whowas.workbench.numbering import NONE, Lists, Sums, WordList
from whowas.workbench.summing import Summed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(-1, 3), max_size=4), max_size=30), max_size=5))
def test_lists_have_one_number_each(batches: list[list[list[int]]]) -> None:
    numbers = Lists()
    known: dict[tuple[int, ...], int] = {}
    for batch in batches:
        offsets = np.cumsum([0, *map(len, batch)]).astype(np.int64)
        found = numbers.number(np.array([code for one in batch for code in one], np.int32), offsets)
        assert [known.setdefault(tuple(one), len(known)) for one in batch] == found.tolist()
    codes, offsets = numbers.parts()
    kept = [tuple(codes[low:high]) for low, high in itertools.pairwise(offsets)]
    assert kept == list(known)


def test_numbers_stay_when_tables_grow() -> None:
    numbers = Lists()
    first = numbers.rows(np.arange(5000, dtype=np.int32), np.zeros(5000, np.int32))
    numbers.rows(np.arange(50_000, dtype=np.int32), np.ones(50_000, np.int32))
    assert numbers.rows(np.arange(5000, dtype=np.int32), np.zeros(5000, np.int32)).tolist() == first.tolist()
    assert numbers.known == 55_000


def test_words_and_what_is_none() -> None:
    words = WordList()
    column = pa.array(["a", None, "b", "a", "\x00"]).dictionary_encode()
    assert words.codes(column).tolist() == [1, 0, 2, 1, 3]
    assert words.codes(pa.nulls(2)).tolist() == [0, 0]
    assert words.taken(np.array([2, 0], np.int32)).to_pylist() == ["b", None]


def test_sums_stay_numbers() -> None:
    at, big = np.zeros(3, np.int32), np.full(3, kernels.MOST, np.int64)
    sums = Sums()
    sums.add(at, 1, [np.ones(3, np.int64), big, -big, big, big], np.array([False, False, False]))
    assert [one.tolist() for one in sums.parts()] == [[3], [kernels.MOST], [-kernels.MOST], [NONE], [-NONE]]


def test_an_hour_adds_up(tmp_path: Path) -> None:
    made_up = rows(500, hours=1)
    made_up[0]["start_time"] += 59_999_999
    (hour,) = hours.find(str(write(tmp_path / "flows", made_up))).hours
    summed = Summed()
    summed.read(hour, lambda: None)
    summed_files.write(summed, tmp_path)
    for name, size in (("edges_1m", 60_000_000), ("edges_10m", 600_000_000)):
        table = pq.read_table(tmp_path / f"{name}.parquet").to_pylist()
        counted: Counter[int] = Counter()
        for one in table:
            counted[one["bucket"]] += one["flows"]
            assert one["bucket"] <= one["first"] <= one["last"] < one["bucket"] + size
        assert counted == Counter(one["start_time"] // size * size for one in made_up)
        assert sum(one["packets"] for one in table) == sum(
            (one["packets_out"] or 0) + (one.get("packets_in") or 0) for one in made_up
        )
    ends = pq.read_table(tmp_path / "ends_1h.parquet").to_pylist()
    addresses: Counter[tuple[str, str]] = Counter()
    for one in ends:
        addresses[one["address"], one["side"]] += one["flows"]
    assert addresses == Counter((one[f"{side}_ip"], side) for one in made_up for side in ("src", "dst"))
    assert [one["address"] for one in ends] == sorted(one["address"] for one in ends)


def test_labels_of_a_group_are_all_kept(tmp_path: Path) -> None:
    made_up = rows(300, hours=1)
    (hour,) = hours.find(str(write(tmp_path / "flows", made_up))).hours
    summed = Summed()
    summed.read(hour, lambda: None)
    summed_files.write(summed, tmp_path)
    told = pq.read_table(tmp_path / "details.parquet").to_pylist()
    labels = {None if one["labels"] is None else tuple(one["labels"]) for one in told}
    expected = {
        None if one.get(f"{side}_labels") is None else tuple(dict(one[f"{side}_labels"]).items())
        for one in made_up
        for side in ("src", "dst")
    }
    assert labels == expected


def test_files_that_are_none_are_an_error_with_their_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "flows", rows(20, hours=1))
    path = next(folder.rglob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    (hour,) = hours.find(str(folder)).hours
    with pytest.raises(InputError):
        Summed().read(hour, lambda: None)

"""A column as numbers into its values says what the column said, however Arrow holds it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.conditions.encoded import encoded, is_small

LABELS = pa.map_(pa.string(), pa.string())
COLUMNS: list[tuple[Any, list[Any]]] = [
    (pa.string(), ["a", None, "b", "a", ""]),
    (pa.uint8(), [6, 17, None, 6, 255]),
    (pa.uint16(), [443, None, 0, 65535]),
    (pa.uint32(), [7, None, 1 << 31]),
    (pa.bool_(), [True, None, False]),
    (pa.binary(16), [b"0123456789abcdef", None]),
    (pa.list_(pa.string()), [["a", "b"], None, [], ["a", "b"], ["b"]]),
    (pa.list_(pa.uint16()), [[1, 2], [2, 1], None]),
    (pa.string(), []),
    (pa.string(), [None, None]),
]


def said(column: Any, key: str | None = None, most: int = 0) -> list[Any]:
    """What the rows say, put together again."""
    codes, values = encoded(column, key, most)
    assert values[-1] is None
    return [values[one] for one in codes.tolist()]


@pytest.mark.parametrize(("kind", "rows"), COLUMNS)
def test_a_column_comes_back(kind: Any, rows: list[Any]) -> None:
    assert said(pa.array(rows, kind)) == [tuple(one) if isinstance(one, list) else one for one in rows]


@given(st.lists(st.none() | st.integers(-1, 299)))
def test_a_dictionary_of_narrow_indices_comes_back(codes: list[int | None]) -> None:
    """With more values than half of what the indices can count, and a null among the values."""
    words = [None, *(f"w{one}" for one in range(199))]
    inside = [one if one is None or 0 <= one < 200 else None for one in codes]
    column = pa.DictionaryArray.from_arrays(pa.array(inside, pa.uint8()), pa.array(words))
    assert said(column) == [None if one is None else words[one] for one in inside]


def test_a_label_of_maps() -> None:
    maps = pa.array([[("app", "a"), ("app", "z")], None, [("tier", "t")], [], [("app", "b")]], LABELS)
    assert said(maps, "app") == ["a", None, None, None, "b"]
    repeated = pa.DictionaryArray.from_arrays(pa.array([0, 4, None, 2, 1, 0]), maps)
    assert said(repeated, "app") == ["a", "b", None, None, None, "a"]


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint16(), pa.int64()])
def test_small_numbers_are_one_list_for_all_batches(kind: Any) -> None:
    ports = pa.array([443, None, 0, 65535], kind)
    assert is_small(encoded(ports, most=65535)[1])
    assert encoded(ports, most=65535)[1] is encoded(ports[:1], most=65535)[1] is encoded(ports[:0], most=65535)[1]
    assert said(ports, most=65535) == [443, None, 0, 65535]
    assert not is_small(encoded(ports)[1])


@pytest.mark.parametrize("odd", [-1, 65536, 70_000, 2**31 - 1])
def test_what_no_port_is_comes_back_too(odd: int) -> None:
    assert said(pa.array([443, None, odd], pa.int32()), most=65535) == [443, None, odd]


def test_a_slice_is_encoded_as_itself() -> None:
    for kind, rows in COLUMNS:
        whole = pa.array(rows, kind)
        assert said(whole.slice(1)) == said(whole)[1:]

"""A column as numbers into its values says what the column said, however Arrow holds it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.conditions.encoded import SMALL, encoded

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


def said(column: Any, key: str | None = None) -> list[Any]:
    """What the rows say, put together again."""
    codes, values = encoded(column, key)
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


def test_values_of_small_types_are_one_list_for_all_batches() -> None:
    assert encoded(pa.array([1, 2], pa.uint16()))[1] is SMALL[pa.uint16()]


def test_a_slice_is_encoded_as_itself() -> None:
    for kind, rows in COLUMNS:
        whole = pa.array(rows, kind)
        assert said(whole.slice(1)) == said(whole)[1:]

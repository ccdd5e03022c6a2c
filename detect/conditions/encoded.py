"""Encodes a column as numbers into its values, so that each value is looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whowas.arrays import Words

_small: dict[int, list[Any]] = {}


def small(most: int) -> list[Any]:
    """Return the values of a column of numbers from 0 to `most`, each at its own place: always the same list."""
    if most not in _small:
        _small[most] = [*range(most + 1), None]
    return _small[most]


def is_small(values: Sequence[Any]) -> bool:
    """Say whether these are the values of `small`."""
    return _small.get(len(values) - 2) is values


def encoded(column: Any, key: str | None = None, most: int = 0) -> tuple[Words, list[Any]]:
    """Return which value each row of a column has, and the values.

    Args: column: an array, dictionary-encoded or not. key: of maps, the label whose value is meant. most: the largest
    number that the column should hold (whowas.schema.Column); 0 where that is not known.
    Returns: (n,) places in the list; the list, whose last value is None, in which a value may stand twice and some in
    no row. A list is a tuple in it, a map a tuple of pairs.
    """
    if most and pa.types.is_integer(column.type) and _within(column, most):
        return pc.fill_null(column.cast(pa.int64()), most + 1).to_numpy(), small(most)
    if not pa.types.is_dictionary(column.type):
        column = _dictionary(column, key)
    words = column.dictionary
    if key is not None and pa.types.is_map(words.type):
        words = pc.map_lookup(words, key, "first")
    codes: Words = pc.fill_null(column.indices.cast(pa.int64()), len(words)).to_numpy()
    values = words.to_pylist()
    if pa.types.is_nested(words.type):
        values = [one if one is None else tuple(one) for one in values]
    return codes, [*values, None]


def _within(column: Any, most: int) -> bool:
    """Say whether no number is beyond what the column should hold: a file from elsewhere may say what no port is."""
    low, high = pc.min_max(column).as_py().values()
    return low is None or bool(low >= 0 and high <= most)


def _dictionary(column: Any, key: str | None) -> Any:
    if key is not None and pa.types.is_map(column.type):
        return pc.map_lookup(column, key, "first").dictionary_encode()
    if not pa.types.is_nested(column.type):
        return column.dictionary_encode()
    # Arrow encodes no lists.
    numbers: dict[Any, int] = {}
    rows = [None if one is None else numbers.setdefault(tuple(one), len(numbers)) for one in column.to_pylist()]
    words = pa.array([list(one) for one in numbers], column.type)
    return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), words)

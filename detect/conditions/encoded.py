"""Encodes a column as numbers into its values, so that each value is looked at once."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whowas.arrays import Words

SMALL: dict[Any, list[Any]] = {kind: [*range(1 << bits), None] for kind, bits in ((pa.uint8(), 8), (pa.uint16(), 16))}
"""Types of so few values that each value is its own number."""


def encoded(column: Any, key: str | None = None) -> tuple[Words, list[Any]]:
    """Return which value each row of a column has, and the values.

    Args: column: an array, dictionary-encoded or not. key: of maps, the label whose value is meant.
    Returns: (n,) places in the list; the list, whose last value is None, in which a value may stand twice and some in
    no row. A list is a tuple in it, a map a tuple of pairs.
    """
    if column.type in SMALL:
        values = SMALL[column.type]
        return pc.fill_null(column.cast(pa.int64()), len(values) - 1).to_numpy(), values
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

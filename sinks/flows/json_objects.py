"""Named flows as JSON objects: column by column, in Arrow's own kernels, which hold no lock of Python's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
# What a string of JSON must escape; all else stands as it is.
ESCAPED = r'["\\\x00-\x1f]'
# Arrow writes years as they are, and only of four digits is that RFC 3339.
YEARS_US = np.array(["0001-01-01", "9999-12-31"], "M8[us]").astype(np.int64)
# Texts of so many rows are held at once.
ROWS = 4096
dumped = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def objects(flows: Any, nulls: bool = True, more: str = "") -> Any:
    """Return an object for each row of a batch or table, as text (pa.LargeStringArray); keys are the columns' names.

    Times are RFC 3339 in UTC with microseconds, bytes are hex, maps are objects. nulls: False leaves out what is null.
    more: further members of each object, written as JSON.
    """
    if isinstance(flows, pa.Table):
        flows = flows.combine_chunks()
    named = zip(flows.schema.names, map(_whole, flows.columns), strict=True)
    wanted = [(name, column) for name, column in named if nulls or column.null_count < len(column)]
    members = [_members(name, column, nulls) for name, column in wanted]
    if more:
        members.append(pa.scalar(more, TEXT))
    if not members:
        return pa.array(["{}"] * flows.num_rows, TEXT)
    body = _repeated(members[0], flows.num_rows) if len(members) == 1 else _joined(*members, between=",")
    return _joined(pa.scalar("{", TEXT), body, pa.scalar("}", TEXT))


def lines(flows: Any) -> Iterator[bytes]:
    """Yield the objects of a batch, a line each, some thousands at once."""
    for start in range(0, flows.num_rows, ROWS):
        told = _joined(objects(flows.slice(start, ROWS)), pa.scalar("\n", TEXT))
        yield "".join(told.to_pylist()).encode()


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _repeated(text: Any, rows: int) -> Any:
    return pa.repeat(text, rows) if isinstance(text, pa.Scalar) else pc.fill_null(text, "")


def _joined(*parts: Any, between: str = "") -> Any:
    """Put texts of each row together; what is null is left out."""
    return pc.binary_join_element_wise(*parts, pa.scalar(between, TEXT), null_handling="skip")


def _members(name: str, column: Any, nulls: bool) -> Any:
    """A column's member of each object; null where it is left out."""
    key = dumped(name) + ":"
    if pa.types.is_dictionary(column.type):
        dictionary, places = _used(column)
        found = _between(key, words(dictionary), "").take(places)
    else:
        found = _between(key, words(column), "")
    return pc.fill_null(found, key + "null") if nulls else found


def _used(column: Any) -> tuple[Any, Any]:
    """Return the words that stand in some row, and the place of each row's: of a batch's words a slice keeps all."""
    if len(column.dictionary) <= len(column):
        return column.dictionary, column.indices
    places = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
    there = np.zeros(len(column.dictionary), np.bool_)
    there[places] = True
    numbers = np.cumsum(there) - 1
    rows = pa.array(numbers[places], mask=column.indices.is_null().to_numpy(zero_copy_only=False))
    return column.dictionary.take(pa.array(np.flatnonzero(there))), rows


def _between(before: str, told: Any, after: str) -> Any:
    """Put words around each text; nulls stay nulls."""
    return pc.binary_join_element_wise(pa.scalar(before, TEXT), told, pa.scalar(after, TEXT), pa.scalar("", TEXT))


def words(column: Any) -> Any:
    """Return each value as JSON (pa.LargeStringArray); nulls stay nulls."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _times(column)
    if pa.types.is_fixed_size_binary(kind):
        return _hex(column)
    if pa.types.is_integer(kind):
        return column.cast(TEXT)
    if pa.types.is_boolean(kind):
        return pc.if_else(column, pa.scalar("true", TEXT), pa.scalar("false", TEXT))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _strings(column)
    return pa.array([None if one is None else dumped(_plain(one, kind)) for one in column.to_pylist()], TEXT)


def _strings(column: Any) -> Any:
    quoted = _between('"', column.cast(TEXT), '"')
    escaping = pc.match_substring_regex(column, ESCAPED)
    if not pc.any(escaping).as_py():
        return quoted
    told = [dumped(one) for one in column.filter(escaping).to_pylist()]
    return pc.replace_with_mask(quoted, pc.fill_null(escaping, False), pa.array(told, TEXT))


def _times(column: Any) -> Any:
    told = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    ends = pc.min_max(told.cast(pa.int64()))
    if ends["min"].is_valid and not YEARS_US[0] <= ends["min"].as_py() <= ends["max"].as_py() <= YEARS_US[1]:
        counted = pc.fill_null(told.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        plain = pa.array(np.datetime_as_string(counted.astype("M8[us]")).tolist(), TEXT)
        told = pc.if_else(column.is_valid(), plain, pa.scalar(None, TEXT))
    else:
        told = pc.replace_substring(told.cast(pa.timestamp("us")).cast(TEXT), " ", "T")
    return _between('"', told, 'Z"')


@cache
def _digits() -> Any:
    """The two digits of each byte, as numbers of 16 bits."""
    return np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)


def _hex(column: Any) -> Any:
    """Bytes of one length as text between quotes; nulls stay nulls."""
    width = column.type.byte_width
    start = column.offset * width
    held = np.frombuffer(column.buffers()[1] or b"", np.uint8)[start : start + len(column) * width]
    text = np.full((len(column), 2 * width + 2), ord('"'), np.uint8)
    text[:, 1:-1] = _digits()[held].view(np.uint8).reshape(len(column), 2 * width)
    ends = np.arange(0, text.size + 1, 2 * width + 2, dtype=np.int64)
    told = pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(ends), pa.py_buffer(text))
    return told if not column.null_count else pc.if_else(column.is_valid(), told, pa.scalar(None, TEXT))


def _plain(value: Any, kind: Any) -> Any:
    """What json takes for a value that is no word: bytes are hex, maps objects."""
    if isinstance(value, bytes):
        return value.hex()
    return dict(value) if pa.types.is_map(kind) and value else value

"""Joins and sorts batches of named flows, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whowas.arrays import Words
from whowas.schema import is_nested

LAST = (1 << 62) - 1


def in_order(batches: Sequence[Any]) -> Any:
    """Return one table, by start_time; ties by flow_id, so that order is a fact.

    Args: batches: of whowas.schema.named_schema. Every column of the table is one chunk.
    """

    def joined(name: str) -> Any:
        return _joined([one[name] for one in batches])

    names = batches[0].schema.names
    order = _order(joined("start_time"), joined("flow_id"))
    if order is None:
        return pa.table({name: joined(name) for name in names})
    # One column after the other: what was joined is not kept beside what is in order.
    taking = _Taking(order)
    return pa.table({name: taking.take(joined(name)) for name in names})


def _order(starts: Any, ids: Any) -> Any:
    """Rows in order, None when they are. Flows without a time come last."""
    times = pc.fill_null(starts.cast(pa.int64()), LAST).to_numpy()
    if bool((times[1:] > times[:-1]).all()):
        return None
    order, tied = _sorted(times, ids)
    if len(tied):
        places = np.unique(np.concatenate([tied, tied + 1]))
        rows = np.sort(order[places])
        told = pa.table({"time": times[rows], "id": ids.take(pa.array(rows))})
        order[places] = rows[pc.sort_indices(told, sort_keys=[("time", "ascending"), ("id", "ascending")]).to_numpy()]
    return pa.array(order)


def _sorted(times: Words, ids: Any) -> tuple[Words, Words]:
    """Rows by time and by what fits of the id; and the places of those that this does not tell from the next one."""
    first, keys = int(times.min()), times
    if int(times.max()) - first < 1 << 31:
        # Clocks of whole milliseconds tie most rows: the head of the id in the same word parts them in the same sort.
        keys = (times - first) << 32 | _heads(ids)
    order = np.argsort(keys)
    ordered = keys[order]
    return order, np.flatnonzero(ordered[1:] == ordered[:-1])


def _heads(ids: Any) -> Words:
    """Four bytes of each text from where they begin to differ, as a number that sorts as the texts do.

    0 for all where texts are not equally long: then this tells nothing.
    """
    count = len(ids)
    offsets = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset : ids.offset + count + 1]
    length, first = int(offsets[1] - offsets[0]), int(offsets[0])
    if length < 4 or (np.diff(offsets) != length).any():
        return np.zeros(count, np.int64)
    octets = np.frombuffer(ids.buffers()[2], np.uint8)[first : first + count * length].reshape(count, length)
    differ = next((place for place in range(length) if (octets[:, place] != octets[0, place]).any()), 0)
    start = min(differ, length - 4)
    heads = np.ascontiguousarray(octets[:, start : start + 4]).view(">u4").reshape(count)
    return heads.astype(np.int64)


class _Taking:
    """Puts columns in order. Validity bitmaps are moved once for columns with equal nulls."""

    def __init__(self, order: Any) -> None:
        self._order = order
        self._moved: dict[bytes, Any] = {}

    def take(self, column: Any) -> Any:
        """Return a column in order."""
        if column.null_count == len(column) or _same(column):
            return column
        if not (pa.types.is_dictionary(column.type) and column.null_count and column.offset == 0):
            return pc.take(column, self._order, boundscheck=False)
        validity, data = column.indices.buffers()
        bare = pa.Array.from_buffers(pa.int32(), len(column), [None, data])
        data = pc.take(bare, self._order, boundscheck=False).buffers()[1]
        key = validity.to_pybytes()
        if key not in self._moved:
            there = pa.Array.from_buffers(pa.bool_(), len(column), [None, validity])
            self._moved[key] = pc.take(there, self._order, boundscheck=False).buffers()[1]
        indices = pa.Array.from_buffers(pa.int32(), len(column), [self._moved[key], data])
        return pa.DictionaryArray.from_arrays(indices, column.dictionary, safe=False)


def _same(column: Any) -> bool:
    """Say whether all rows have one word."""
    return bool(pa.types.is_dictionary(column.type) and len(column.dictionary) == 1 and not column.null_count)


def _joined(parts: list[Any]) -> Any:
    """One array of several."""
    if len(parts) == 1:
        return parts[0]
    if not pa.types.is_dictionary(parts[0].type):
        return pa.concat_arrays(parts)
    if all(one.dictionary.equals(parts[0].dictionary) for one in parts[1:]):
        indices = pa.concat_arrays([one.indices for one in parts])
        return pa.DictionaryArray.from_arrays(indices, parts[0].dictionary)
    if is_nested(parts[0].type):
        return _behind(parts)
    return pa.chunked_array(parts).unify_dictionaries().combine_chunks()


def _behind(parts: list[Any]) -> Any:
    """Dictionaries of maps and lists one behind the other; Arrow does not compare their words."""
    indices, at = [], 0
    for one in parts:
        indices.append(pc.add(one.indices, pa.scalar(at, pa.int32())))
        at += len(one.dictionary)
    return pa.DictionaryArray.from_arrays(
        pa.concat_arrays(indices), pa.concat_arrays([one.dictionary for one in parts])
    )


def some(batch: Any, rows: Words) -> Any:
    """Return some rows of a batch, with the words that they have."""
    taken = batch.take(pa.array(rows))
    columns = [_own_words(one) if pa.types.is_dictionary(one.type) else one for one in taken.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _own_words(column: Any) -> Any:
    indices = column.indices
    used = np.zeros(len(column.dictionary) + 1, dtype=bool)
    used[pc.fill_null(indices, -1).to_numpy()] = True
    used[-1] = False
    if used[:-1].all():
        return column
    moved = pa.array((np.cumsum(used) - 1).astype(np.int32))
    return pa.DictionaryArray.from_arrays(moved.take(indices), column.dictionary.take(pa.array(np.flatnonzero(used))))

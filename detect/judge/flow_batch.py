"""A batch of named flows as the judge looks at it: times, an order of its rows, and 64 bits for what they say.

Groups, correlations and first_seen compare values of columns with those of other batches and of weeks ago. They compare
64 bits of a hash of the value as text (BLAKE2b), because numbers can be sorted, counted and kept in arrays. What people
read is taken from the rows themselves.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from detect.conditions.encoded import encoded, is_small
from detect.conditions.fields import fields
from detect.judge.flow_text import LABELS, as_text
from detect.judge.hashing import NULL_HASH, Hashes, joined
from whowas.arrays import Flags, Hashed, Words

# What is asked of fewer than one row in so many is worked out for these rows alone.
FEW = 4
_HEX = np.full(256, 255, np.uint8)
for _place, _digit in enumerate(b"0123456789abcdef"):
    _HEX[_digit] = _place


class FlowBatch:
    """One batch, its columns worked out when they are asked for.

    Args: batch: RecordBatch or Table with the columns of named_schema or table_schema that rules ask for.
    """

    def __init__(self, batch: Any, hashes: Hashes) -> None:
        self.batch = batch.combine_chunks().to_batches()[0] if isinstance(batch, pa.Table) else batch
        self.rows: int = self.batch.num_rows
        self.starts: Words = _numbers(self.batch.column("start_time"))
        self._hashes = hashes
        self._columns: dict[str, tuple[Words, Hashed]] = {}
        self._keys: dict[tuple[str, ...], Hashed] = {}
        self._words: dict[str, tuple[Words, list[str | None]]] = {}
        self._ids: tuple[Words, Words] | None = None
        self._order: Words | None = None
        self._ranks: Words | None = None

    @property
    def ids(self) -> tuple[Words, Words]:
        """flow_id as two numbers that sort as its 32 hex digits do."""
        if self._ids is None:
            self._ids = _id_numbers(self.batch.column("flow_id"))
        return self._ids

    def ids_of(self, rows: Words) -> tuple[Words, Words]:
        """The ids of some rows."""
        if self._ids is None and len(rows) * FEW < self.rows:
            return _id_numbers(self.batch.column("flow_id").take(pa.array(rows)))
        high, low = self.ids
        return high[rows], low[rows]

    @property
    def order(self) -> Words:
        """The rows by (start_time, flow_id)."""
        if self._order is None:
            self._order = _ordered(self.starts, *self.ids)
        return self._order

    @property
    def ranks(self) -> Words:
        """The place of each row in `order`."""
        if self._ranks is None:
            self._ranks = np.empty(self.rows, np.int64)
            self._ranks[self.order] = np.arange(self.rows)
        return self._ranks

    def in_order(self, rows: Words) -> Words:
        """Return `rows` by (start_time, flow_id)."""
        if len(rows) * FEW < self.rows:
            high, low = self.ids_of(rows)
            return rows[np.lexsort((low, high, self.starts[rows]))]
        wanted = np.zeros(self.rows, dtype=np.bool_)
        wanted[rows] = True
        return self.order[wanted[self.order]]

    def keys(self, columns: tuple[str, ...], rows: Words) -> Hashed:
        """Return hashes of what some rows say in all of `columns`."""
        found = self._keys.get(columns)
        if found is not None:
            return found[rows]
        few = len(rows) * FEW < self.rows
        made = np.full(len(rows) if few else self.rows, len(columns), dtype=np.uint64)
        for one in columns:
            made = joined(made, self._hashed(one, rows if few else None))
        if few:
            return made
        self._keys[columns] = made
        return made[rows]

    def missing(self, column: str, rows: Words) -> Flags:
        """Return where a column is null, of some rows."""
        found: Flags = self._hashed(column, rows) == NULL_HASH
        return found

    def text(self, column: str, row: int) -> str | None:
        """Return what a row says in a column, as people read it."""
        codes, words = self._texts(column)
        return words[int(codes[row])]

    def _texts(self, column: str) -> tuple[Words, list[str | None]]:
        found = self._words.get(column)
        if found is None:
            found = self._words[column] = _texts(self.batch, column)
        return found

    def _hashed(self, column: str, rows: Words | None = None) -> Hashed:
        """Hashes of what the rows, all or some, say in a column."""
        found = self._columns.get(column)
        if found is None:
            codes, words = self._texts(column)
            found = self._columns[column] = codes, self._hashes.of(words)
        codes, hashes = found
        return hashes[codes if rows is None else codes[rows]]


def _texts(batch: Any, column: str) -> tuple[Words, list[str | None]]:
    """A column as numbers into texts, the last of which is None."""
    base, _, key = column.partition(".")
    label = base in LABELS and bool(key)
    known = fields().get(column)
    most = 0 if known is None else known.most
    codes, values = encoded(batch.column(base if label else column), key if label else None, most)
    if is_small(values):
        return _used(codes, len(values))
    if isinstance(values[0], str):
        return codes, values
    return codes, [as_text(list(one) if isinstance(one, tuple) else one) for one in values]


def _used(codes: Words, values: int) -> tuple[Words, list[str | None]]:
    """Ports and the like: of all numbers that there can be, those that a row has, without sorting."""
    there = np.zeros(values, dtype=np.bool_)
    there[codes] = True
    used = np.flatnonzero(there[:-1])
    place = np.full(values, len(used), dtype=np.int64)
    place[used] = np.arange(len(used))
    return place[codes], [*map(str, used.tolist()), None]


def _numbers(array: Any) -> Words:
    numbers: Words = array.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _ordered(starts: Words, high: Words, low: Words) -> Words:
    """Rows by (start, id). Most batches are nearly in order of time, so ids are only looked at where times agree."""
    order = np.argsort(starts, kind="stable")
    in_time = starts[order]
    same = in_time[1:] == in_time[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        rows = order[tied]
        order[tied] = rows[np.lexsort((low[rows], high[rows], in_time[tied]))]
    return order


def _id_numbers(array: Any) -> tuple[Words, Words]:
    if pa.types.is_dictionary(array.type) or not pa.types.is_string(array.type):
        array = array.cast(pa.string())
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)
    if len(array) and not array.null_count and (np.diff(offsets) == 32).all():
        digits = _HEX[data[offsets[0] : offsets[-1]]]
        if digits.max() < 16:
            octets = (digits[0::2] << 4) | digits[1::2]
            pairs = octets.view(">u8").astype(np.uint64).reshape(-1, 2)
            return _signed(pairs[:, 0]), _signed(pairs[:, 1])
    pairs = np.array([_id_pair(one) for one in array.to_pylist()], dtype=np.uint64).reshape(-1, 2)
    return _signed(pairs[:, 0]), _signed(pairs[:, 1])


def _id_pair(text: str | None) -> tuple[int, int]:
    """Ids of other makers: in order by their first octets, told apart by all of them."""
    told = (text or "").encode("utf-8", "surrogatepass")
    try:
        if (len(told) == 32 and told.islower()) or (told.isdigit() and len(told) == 32):
            return int(told[:16], 16), int(told[16:], 16)
    except ValueError:
        pass
    rest = told[8:16] if len(told) <= 16 else hashlib.blake2b(told, digest_size=8).digest()
    return int.from_bytes(told[:8].ljust(8, b"\0"), "big"), int.from_bytes(rest.ljust(8, b"\0"), "big")


def _signed(values: Hashed) -> Words:
    """Unsigned numbers as signed ones that sort alike."""
    return (values ^ np.uint64(1 << 63)).view(np.int64)

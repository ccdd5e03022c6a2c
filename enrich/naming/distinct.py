"""Finds a batch's distinct values by hashing, since most answers repeat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whowas.arrays import Indices


def distinct_numbers(numbers: npt.NDArray[np.int64]) -> tuple[list[int], Indices]:
    """Return the distinct numbers, in the order of their first rows, and for each row which of them it has."""
    encoded = pa.array(numbers).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def distinct_rows(rows: Indices) -> tuple[Indices, Indices]:
    """Return the distinct rows of a table (n, k) of int32, and for each row which of them it is."""
    wide = rows.shape[1]
    cells = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(4 * wide), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))]
    )
    encoded = cells.dictionary_encode()
    found = np.frombuffer(b"".join(encoded.dictionary.to_pylist()), dtype=np.int32).reshape(-1, wide)
    return found, encoded.indices.to_numpy()

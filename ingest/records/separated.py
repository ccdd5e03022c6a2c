"""Lines of columns that a character separates: Zeek's tabs, AWS's spaces, nfdump's commas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.records.fields import Fields
from ingest.records.kernels.lines import split_lines
from ingest.records.reader import Values
from whowas.arrays import Flags

COLUMNS = "wrong_number_of_columns"


def read_columns(values: Values, separator: str, names: Sequence[str]) -> Fields:
    """Find every column of every line; a line of more or fewer columns than there are names has a reason.

    Args: names: of the columns in their order; an empty one is not wanted.
    """
    size = len(values)
    wanted = {name: place for place, name in enumerate(dict.fromkeys(name for name in names if name))}
    leaves = np.array([wanted.get(name, -1) for name in names], dtype=np.int64)
    spots, counts = np.zeros((size, len(wanted)), dtype=np.int64), np.zeros(size, dtype=np.int64)
    split_lines(values.data, values.starts, values.ends, ord(separator), leaves, spots, counts)
    reasons = np.where(counts == len(names), 0, 2)
    reasons[values.starts == values.ends] = 1
    return Fields(values.data, spots, wanted, reasons, ("empty", COLUMNS))


def first_bytes(values: Values) -> np.ndarray:
    """The first byte of each value; a line's end where it is empty."""
    return values.data[values.starts]


def lines_with(values: Values, word: bytes) -> list[int]:
    """Which values hold a word: for words that few of them hold."""
    found = []
    raw = values.data.tobytes()
    at = raw.find(word)
    while at >= 0:
        row = int(np.searchsorted(values.starts, at, side="right")) - 1
        if row >= 0 and at < values.ends[row]:
            found.append(row)
        at = raw.find(word, at + len(word))
    return list(dict.fromkeys(found))


def segments(size: int, headers: Sequence[int]) -> list[tuple[int | None, int, int]]:
    """(row of the header or None, first row below it, row behind the last)."""
    edges = [*headers, size]
    first = [(None, 0, edges[0])] if edges[0] > 0 else []
    return [*first, *((row, row + 1, edges[place + 1]) for place, row in enumerate(headers))]


def all_of(rows: np.ndarray, size: int) -> Flags:
    """Flags that are set at rows."""
    flags = np.zeros(size, dtype=np.bool_)
    flags[rows] = True
    return flags

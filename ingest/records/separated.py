"""Lines of columns that a character separates: Zeek's tabs, AWS's spaces, nfdump's commas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ingest.records.fields import Fields
from ingest.records.kernels.lines import split_lines
from ingest.records.reader import Ids, Parsed, Refusal, Values, merge
from whowas.arrays import Flags, Words

COLUMNS = "wrong_number_of_columns"
# Logs that were put one behind another have many headers, but the same ones. Each change makes a batch of its own.
CHANGES_MOST = 256
TOO_MANY = "too_many_headers"
State = TypeVar("State")


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


def read_under(
    values: Values,
    ids: Ids,
    received_us: Words | None,
    headers: Sequence[int],
    state: State,
    told: Callable[[bytes, State], State],
    lines: Callable[[State, Values, Ids, Words | None], Parsed],
) -> tuple[Parsed, State]:
    """Read lines, each under the header that stands before it; lines under the same header go together.

    Args: headers: rows of headers, in order. state: what the header before the first line has said.
    told: (header, state before) to what holds below it. lines: reads lines under one header.
    Returns: what was read of all, headers skipped; the last state.
    """
    kept: list[tuple[int, Parsed]] = []
    spans: list[Words] = []

    def flush() -> None:
        rows = np.concatenate([np.empty(0, dtype=np.int64), *spans])
        if len(rows) and len(kept) >= CHANGES_MOST:
            none = lines(state, values[:0], ids, None)
            kept.append((0, replace(none, refused=[Refusal(row, TOO_MANY) for row in rows.tolist()])))
        elif len(rows):
            part = Values(values.data, values.starts[rows], values.ends[rows])
            times = None if received_us is None else received_us[rows]
            kept.append((0, _at_rows(lines(state, part, Ids(ids.origin, ids.numbers[rows]), times), rows)))
        spans.clear()

    for header, first, last in _segments(len(values), headers):
        following = state if header is None else told(values[header], state)
        if following != state:
            flush()
            state = following
        if first < last:
            spans.append(np.arange(first, last))
    flush()
    found = merge(kept or [(0, lines(state, values[:0], ids, None))])
    found.skipped.extend(Refusal(row, "header") for row in headers)
    return found, state


def _at_rows(parsed: Parsed, rows: Words) -> Parsed:
    """What was read of some rows, in the numbers of all."""
    places = rows.tolist()
    refused = [Refusal(places[one.index], one.reason, one.record) for one in parsed.refused]
    skipped = [Refusal(places[one.index], one.reason, one.record) for one in parsed.skipped]
    return replace(parsed, rows=rows[parsed.rows], refused=refused, skipped=skipped)


def _segments(size: int, headers: Sequence[int]) -> list[tuple[int | None, int, int]]:
    """(row of the header or None, first row below it, row behind the last)."""
    edges = [*headers, size]
    first = [(None, 0, edges[0])] if edges[0] > 0 else []
    return [*first, *((row, row + 1, edges[place + 1]) for place, row in enumerate(headers))]


def all_of(rows: np.ndarray, size: int) -> Flags:
    """Flags that are set at rows."""
    flags = np.zeros(size, dtype=np.bool_)
    flags[rows] = True
    return flags

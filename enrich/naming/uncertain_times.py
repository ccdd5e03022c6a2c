"""Judges flows known only to lie in a time range, over all of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from enrich.history.history import ClusterHistory
from enrich.naming.verdicts import EXACT, EXPORTED, LIKELY, NONE, PLAIN, UNKNOWN, Verdicts, judge, looked
from whowas.arrays import Words

# A record that tells when it was received was made just before: an sFlow sample is sent within a second.
RECEIVED_WITHIN_US = 2_000_000
# Stretches are widened to one of few lengths, for each length is judged by itself.
STEP_US, EVEN_US = 5_000_000, 600_000_000


class Stretches:
    """Rows of a batch whose flows lie somewhere in a stretch. low, high: (rows,) int64 us; exported: (rows,) bool."""

    def __init__(self, rows: Words, low: Words, high: Words, exported: npt.NDArray[np.bool_]) -> None:
        self.rows, self.low, self.high, self.exported = rows, low, high, exported


def stretches(basis: Any, starts: Words, ends: Words, export_us: int) -> Stretches | None:
    """Return the rows that tell no more than a stretch; None where all tell more. basis: dictionary of time_basis."""
    words = basis.dictionary.to_pylist()
    before = {"window": 0, "receive": RECEIVED_WITHIN_US, "export": export_us}
    if not any(word in before for word in words):
        return None
    back = np.array([before.get(word, -1) for word in words] + [-1], dtype=np.int64)
    index = basis.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(back[index] >= 0)
    if not len(rows):
        return None
    exported = np.array([word == "export" for word in words] + [False])[index[rows]]
    return Stretches(rows, starts[rows] - back[index[rows]], ends[rows], exported)


def judge_over(
    history: ClusterHistory, addresses: npt.NDArray[np.uint8], told: Stretches, skew_us: int, into: Verdicts
) -> None:
    """Judge the rows of `told` by everybody who may have held the address in its stretch. addresses: (n, 16) uint8."""
    half = (told.high - told.low + 1) // 2
    rounded = np.where(half <= EVEN_US, -(-half // STEP_US) * STEP_US, 0)
    long = half > EVEN_US
    rounded[long] = 2 ** np.ceil(np.log2(half[long])).astype(np.int64)
    middle = told.low + half
    for length in np.unique(rounded):
        some = np.flatnonzero(rounded == length)
        rows = told.rows[some]
        found = judge(history, np.ascontiguousarray(addresses[rows]), middle[some], int(length) + skew_us)
        into.codes[rows], into.holds[rows], into.why[rows] = found.codes, found.holds, found.why
        into.found.holds[rows], into.found.counts[rows] = found.found.holds, found.found.counts
    _edges(history, told, into)
    exact = told.rows[told.exported & (into.codes[told.rows] == EXACT)]
    into.codes[exact], into.why[exact] = LIKELY, EXPORTED


def _edges(history: ClusterHistory, told: Stretches, into: Verdicts) -> None:
    """Where nobody looked at a part of the stretch, nothing is certain: not that one held it, nor that none did."""
    for times in (told.low, told.high):
        why = looked(history, times)
        blind = why != PLAIN
        rows = told.rows[blind]
        none = into.codes[rows] == NONE
        into.codes[rows[none]], into.why[rows[none]] = UNKNOWN, why[blind][none]
        into.codes[rows[into.codes[rows] == EXACT]] = LIKELY

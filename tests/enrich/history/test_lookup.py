"""The lookup's kernel against the definition: possible in [start_min, end_max), certain in [start_max, end_min)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrich.history.lookup import CANDIDATES, fill_table, holders
from enrich.history.time_index import index_of
from enrich.holds.derive import starts_of
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

MOMENTS = st.one_of(st.integers(-20, 60), st.sampled_from([BEFORE_ALL, AFTER_ALL, 1 << 50, (1 << 50) + 1]))
HOLDS = st.tuples(st.integers(0, 3), st.lists(MOMENTS, min_size=4, max_size=4), st.integers(0, 2))
QUERIES = st.tuples(st.integers(0, 4), st.one_of(MOMENTS, st.integers(-(1 << 61), 1 << 61)))


def looked_up(held: list[Any], asked: list[Any], skew: int) -> tuple[Any, Any, Any]:
    """Lay holds out as a history does, and ask. Returns: bounds and kinds in that order, found, counts."""
    rows = sorted((address, sorted(moments), kind) for address, moments, kind in held)
    halves = np.array([[0, address] for address, _, _ in rows], dtype=np.int64)
    bounds = np.array([[one[0], one[1], one[2], one[3]] for _, one, _ in rows], dtype=np.int64)
    kinds = np.array([kind for _, _, kind in rows], dtype=np.int32)
    first = starts_of(halves)
    reach = bounds[:, 3].copy()
    for low, high in itertools.pairwise(first):
        np.maximum.accumulate(reach[low:high], out=reach[low:high])
    pairs = np.ascontiguousarray(halves[first[:-1]])
    table = np.full(64, -1, dtype=np.int32)
    fill_table(pairs, table)
    index = index_of(bounds[:, 0], reach, kinds, first)
    queries = np.array([[0, address] for address, _ in asked], dtype=np.int64)
    times = np.array([moment for _, moment in asked], dtype=np.int64)
    found = np.full((len(asked), CANDIDATES), -1, dtype=np.int32)
    counts = np.zeros((len(asked), 4), dtype=np.int32)
    holders(
        queries, times - skew, times + skew, pairs, table, first, index.coarse, index.scale, bounds, reach, index.marks,
        found, counts,
    )  # fmt: skip
    return rows, found, counts


@settings(max_examples=300, deadline=None)
@given(st.lists(HOLDS, min_size=1, max_size=30), st.lists(QUERIES, min_size=1, max_size=20), st.sampled_from([0, 0, 3]))
def test_whoever_may_have_held_it_is_found(held: list[Any], asked: list[Any], skew: int) -> None:
    rows, found, counts = looked_up(held, asked, skew)
    for (address, time), some, count in zip(asked, found.tolist(), counts.tolist(), strict=True):
        mine = [row for row, one in enumerate(rows) if one[0] == address]
        possible = [row for row in mine if rows[row][1][0] <= time + skew and rows[row][1][3] > time - skew]
        sure = [row for row in possible if rows[row][1][1] <= time - skew and time + skew < rows[row][1][2]]
        pods = [row for row in possible if rows[row][2] == 0]
        assert count[:3] == [len(pods), len([row for row in sure if row in pods]), len(possible) - len(pods)]
        assert (count[3] >= 0) == bool(mine)
        told = [row for row in some if row >= 0]
        assert len(told) == min(len(possible), CANDIDATES)
        assert set(told) <= set(possible)
        assert set(told[: len(sure)]) <= set(sure)


def test_steps_of_the_index_keep_the_order_of_starts() -> None:
    starts = np.array([BEFORE_ALL, 0, 1, 2, (1 << 55) - 1, 1 << 55, (1 << 55) + 1], dtype=np.int64)
    reach = np.full(len(starts), AFTER_ALL, dtype=np.int64)
    kinds = np.zeros(len(starts), dtype=np.int32)
    index = index_of(starts, reach, kinds, np.array([0, len(starts)], dtype=np.int64))
    assert (np.diff(index.coarse.astype(np.int64)) >= 0).all()
    assert index.scale[2] > 0
    assert index.marks.tolist() == [0, 2, 2, 2, 2, 2, 2]

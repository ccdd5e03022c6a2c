"""Exclusion and lookup beside brute force: slow, obvious code that must say the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrich.history import ClusterHistory, _arrange
from enrich.holds import HOST_POD, POD, SERVICE, Hold, exclude
from enrich.lookup import CANDIDATES
from enrich.objects import ClusterTrack

ADDRESSES = [bytes(10) + b"\xff\xff" + bytes([10, 0, 0, n]) for n in range(3)]
small = st.integers(0, 12)


@st.composite
def true_holds(draw: st.DrawFn) -> list[tuple[int, int, Hold]]:
    """(start, end, what evidence may say of it), one after the other on one address, in any order of evidence."""
    edges = sorted(draw(st.lists(st.integers(0, 80), min_size=2, max_size=12, unique=True)))
    found = []
    for number, (start, end) in enumerate(pairwise(edges)):
        if draw(st.booleans()):
            early, late, short, after = (draw(small) for _ in range(4))
            proven = max(end - short, start)
            hold = Hold(ADDRESSES[0], POD, number, start - early, start + late, proven, end + after, proven_end=proven)
            found.append((start, end, hold))
    return draw(st.permutations(found))


@settings(max_examples=800, deadline=None)
@given(true_holds())
def test_exclusion_keeps_the_truth_and_only_tightens(lives: list[tuple[int, int, Hold]]) -> None:
    before = [(one.start_min, one.end_max) for _, _, one in lives]
    exclude([one for _, _, one in lives])
    for (start, end, one), (low, high) in zip(lives, before, strict=True):
        assert not one.conflict
        assert low <= one.start_min <= start
        assert end <= one.end_max <= high
        assert one.start_max >= start
        assert one.end_min <= end


@settings(max_examples=400, deadline=None)
@given(true_holds())
def test_exclusion_puts_an_end_where_a_certain_successor_begins(lives: list[tuple[int, int, Hold]]) -> None:
    exclude([one for _, _, one in lives])
    sure = sorted((one for _, _, one in lives if one.certain()), key=lambda one: one.start_max)
    for one, other in pairwise(sure):
        assert one.end_max <= other.start_max
        assert other.start_min >= one.end_min


@st.composite
def any_holds(draw: st.DrawFn) -> list[Hold]:
    found = []
    for number in range(draw(st.integers(0, 14))):
        low, high = sorted((draw(st.integers(0, 60)), draw(st.integers(0, 60))))
        sure, end = low + draw(small), high - draw(small)
        kind = draw(st.sampled_from((POD, POD, HOST_POD, SERVICE)))
        found.append(Hold(draw(st.sampled_from(ADDRESSES[:2])), kind, number, low, sure, end, high))
    return found


def arranged(holds: list[Hold]) -> ClusterHistory:
    holds = sorted(holds, key=lambda one: (one.ip, one.start_min, one.start_max))
    return _arrange(ClusterTrack("test"), [], [], holds, [(0, 60)], {})


@settings(max_examples=400, deadline=None)
@given(any_holds(), st.integers(0, 5))
def test_lookup_finds_what_a_scan_of_all_holds_finds(holds: list[Hold], skew: int) -> None:
    history = arranged(holds)
    asked = [(ip, time) for ip in ADDRESSES for time in range(-2, 64, 3)]
    packed = np.frombuffer(b"".join(ip for ip, _ in asked), dtype=np.uint8).reshape(-1, 16)
    found = history.lookup(packed, np.array([time for _, time in asked], dtype=np.int64), skew)
    for row, (ip, time) in enumerate(asked):
        mine = [n for n, one in enumerate(history.holds) if one.ip == ip]
        mine = [n for n in mine if history.holds[n].start_min <= time + skew and time - skew < history.holds[n].end_max]
        sure = {n for n in mine if history.holds[n].start_max <= time - skew and time + skew < history.holds[n].end_min}
        pods = [n for n in mine if history.holds[n].kind == POD]
        counts = (len(pods), len(sure & set(pods)), len(mine) - len(pods))
        assert tuple(found.counts[row, :3].tolist()) == counts
        listed = [n for n in found.holds[row].tolist() if n >= 0]
        assert len(listed) == min(len(mine), CANDIDATES)
        assert set(listed) <= set(mine)
        if len(sure) <= CANDIDATES:
            assert set(listed[: len(sure)]) == sure

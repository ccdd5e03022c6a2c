"""Exclusion and lookup beside brute force: slow, obvious code that must say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrich.history.entities import Entities
from enrich.history.history import ClusterHistory, arrange
from enrich.history.lookup import CANDIDATES
from enrich.history.open_ports import OpenPorts
from enrich.history.states import States
from enrich.holds.derive import HOST_POD, POD, SERVICE, Table, by_address
from enrich.holds.pod_tables import Rows, join

ADDRESSES = [bytes(10) + b"\xff\xff" + bytes([10, 0, 0, n]) for n in range(3)]
small = st.integers(0, 12)


@dataclass
class Hold:
    """What evidence says of one hold, to be changed in place by its neighbours."""

    ip: bytes
    kind: int
    entity: int
    start_min: int
    start_max: int
    end_min: int
    end_max: int
    conflict: bool = False
    proven_end: int = -(1 << 62)

    def certain(self) -> bool:
        return self.start_max < self.end_min


def table(holds: Sequence[Hold]) -> Table:
    bounds = [(one.start_min, one.start_max, one.end_min, one.end_max) for one in holds]
    size = len(holds)
    return Table(
        np.frombuffer(b"".join(one.ip for one in holds), dtype=">i8").astype(np.int64).reshape(-1, 2),
        np.array(bounds, dtype=np.int64).reshape(-1, 4),
        np.array([one.proven_end for one in holds], dtype=np.int64),
        np.zeros(size, dtype=np.int64),
        np.array([one.conflict for one in holds], dtype=bool),
        np.array([one.kind for one in holds], dtype=np.int32),
        np.array([one.entity for one in holds], dtype=np.int32),
    )


def exclude(holds: Sequence[Hold]) -> None:
    """Exclusion as histories have it, written back into the holds by their entity."""
    found = by_address(table(holds))
    rows = {int(entity): row for row, entity in enumerate(found.entity)}
    for one in holds:
        row = rows[one.entity]
        one.start_min, one.start_max, one.end_min, one.end_max = found.bounds[row].tolist()
        one.conflict = bool(found.conflict[row])


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


@settings(max_examples=400, deadline=None)
@given(true_holds())
def test_exclusion_orders_holds_whose_starts_do_not_overlap(lives: list[tuple[int, int, Hold]]) -> None:
    holds = [one for _, _, one in lives]
    starts = [(one.start_min, one.start_max, one) for one in holds]
    exclude(holds)
    for low, sure, one in starts:
        for begins, by, other in starts:
            if low < sure <= begins and one is not other:
                assert one.end_max <= by
                assert other.start_min >= min(one.proven_end, by)


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
    ordered = sorted(range(len(holds)), key=lambda n: (holds[n].ip, holds[n].start_min, holds[n].start_max))
    nobody = join([Rows().batch()])
    entities = Entities(nobody.pods, [], {})
    states = States(nobody, [], *entities.nodes())
    return arrange("test", entities, states, table([holds[n] for n in ordered]), [(0, 60)], [], (), OpenPorts({}, {}))


@settings(max_examples=400, deadline=None)
@given(any_holds(), st.integers(0, 5))
def test_lookup_finds_what_a_scan_of_all_holds_finds(holds: list[Hold], skew: int) -> None:
    history = arranged(holds)
    asked = [(ip, time) for ip in ADDRESSES for time in range(-2, 64, 3)]
    packed = np.frombuffer(b"".join(ip for ip, _ in asked), dtype=np.uint8).reshape(-1, 16)
    found = history.lookup(packed, np.array([time for _, time in asked], dtype=np.int64), skew_us=skew)
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

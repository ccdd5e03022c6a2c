"""Flows whose record tells a stretch of time, not a time: whoever held the address in it may be meant."""

from __future__ import annotations

from typing import Any

import pytest
from support.cluster_story import Story, complete, flow, live, named

from enrich import History

IP, PEER = "10.244.1.5", "10.244.1.9"


def reused() -> History:
    """`old` holds the address from 0 to 100, `new` from 110 on; PEER is held all the time."""
    story = Story()
    live(story, "peer", PEER, born=-30)
    complete(story, live(story, "old", IP), finished=100, told=101)
    live(story, "new", IP, born=110)
    return story.history()


def source(basis: str | None, start: float, end: float | None = None, **options: Any) -> tuple[str, str | None]:
    (row,) = named(reused(), flow(IP, PEER, start, end, time_basis=basis), **options)
    return row["src_confidence"], row["src_pod"]


def width(
    start: float, end: float, before: float = 0, after: float = 0, basis: str = "packet"
) -> tuple[str, str | None]:
    told = {"time_basis": basis, "time_before": round(before * 1e6), "time_after": round(after * 1e6)}
    (row,) = named(reused(), flow(IP, PEER, start, end, **told))
    assert (row["time_before"], row["time_after"]) == (told["time_before"], told["time_after"])
    return row["src_confidence"], row["src_pod"]


def test_a_name_holds_over_all_of_the_time_that_a_record_may_mean() -> None:
    assert width(95, 95) == ("exact", "old")
    assert width(95, 95, after=2) == ("exact", "old")
    assert width(95, 95, after=20) == ("ambiguous", None)
    assert width(115, 115, before=20) == ("ambiguous", None)
    assert width(120, 120, before=2) == ("exact", "new")
    assert width(120, 120, before=2, basis="window") == ("exact", "new")


def test_an_end_that_may_lie_behind_a_change_of_hands_is_told_with_both() -> None:
    assert width(60, 95) == ("exact", "old")
    assert width(60, 95, after=2) == ("exact", "old")
    told = {"time_before": 0, "time_after": 20_000_000}
    (row,) = named(reused(), flow(IP, PEER, 60, 95, **told))
    assert row["src_confidence"] == "ambiguous"
    assert [one["name"] for one in row["src_candidates"]] == ["old", "new"]


def test_a_record_without_a_time_has_no_holder_but_may_lie_outside() -> None:
    rows = named(reused(), flow(IP, "8.8.8.8", 60) | {"start_time": None, "end_time": None}, flow(IP, PEER, 60))
    assert (rows[0]["src_confidence"], rows[0]["src_reason"]) == ("unknown", "the record tells no time")
    assert (rows[0]["src_candidates"], rows[0]["dst_confidence"]) == (None, "external")
    assert (rows[1]["src_confidence"], rows[0]["start_time"]) == ("exact", None)


def test_the_time_of_an_export_is_told_as_the_width_that_was_judged() -> None:
    rows = named(reused(), flow(IP, PEER, 60, time_basis="export"), flow(IP, PEER, 60), export_seconds=20)
    assert [row["time_before"] for row in rows] == [20_000_000, None]


def test_what_is_known_by_its_export_is_never_certain() -> None:
    assert source("packet", 60, 60) == ("exact", "old")
    assert source("export", 60, 60, export_seconds=20) == ("likely", "old")
    (row,) = named(reused(), flow(IP, PEER, 60, 60, time_basis="export"), export_seconds=20)
    assert row["src_reason"].startswith("one possible holder at the time of export")


def test_both_who_held_it_before_the_export_are_told() -> None:
    (row,) = named(reused(), flow(IP, PEER, 150, 150, time_basis="export"), export_seconds=60)
    assert (row["src_confidence"], row["src_pod"]) == ("ambiguous", None)
    assert {one["name"] for one in row["src_candidates"]} == {"old", "new"}
    assert source("export", 150, 150, export_seconds=20) == ("likely", "new")


def test_who_came_within_a_window_of_counting_is_named_though_not_for_certain() -> None:
    assert source("window", 104, 130) == ("likely", "new")
    assert source("window", 80, 140) == ("ambiguous", None)
    assert source("window", 20, 80) == ("exact", "old")
    assert source("packet", 104, 130) == ("none", None)


def test_a_receipt_comes_at_once() -> None:
    assert width(60, 60, 2, 0, "receive") == ("exact", "old")
    assert width(112.5, 112.5, 2, 0, "receive")[0] != "exact"


@pytest.mark.parametrize("basis", ["export", "window", "receive"])
def test_where_nobody_looked_at_a_part_of_it_nothing_is_certain(basis: str) -> None:
    story = Story()
    live(story, "peer", PEER, born=-30)
    known = story.history()
    rows = named(
        known,
        flow(IP, PEER, -70, -59, time_basis=basis),
        flow(PEER, IP, 980, 1010, time_basis=basis),
        export_seconds=30,
    )
    assert [row["src_confidence"] in ("unknown", "likely") for row in rows] == [True, True]
    assert [row["dst_confidence"] for row in rows] == ["unknown", "unknown"]


def test_a_batch_of_all_sorts_is_as_each_by_itself() -> None:
    sorts = [(basis, start, start + long) for basis in (None, "packet", "uptime", "export", "window", "receive")
             for start in (50, 99, 105, 150) for long in (0, 7, 3600)]  # fmt: skip
    flows = [flow(IP, PEER, start, end, time_basis=basis) for basis, start, end in sorts]
    together = [(row["src_confidence"], row["src_pod"]) for row in named(reused(), *flows)]
    assert together == [source(*one) for one in sorts]


def test_stretches_beyond_reason_are_judged_too() -> None:
    assert source("window", 50, 10**9)[0] in ("ambiguous", "unknown", "likely")
    assert source("export", 50, 50, export_seconds=10**11)[0] in ("ambiguous", "unknown", "likely")

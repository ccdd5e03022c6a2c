"""Times of every unit and spelling; never in the machine's zone, never guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whowas.annotation.times import MISSING, NO_ZONE, OK, TWICE, UNREADABLE, Clock, Moments
from whowas.timestamps import rfc3339, zone_of

US = 1_795_250_376_123_456


@pytest.mark.parametrize(
    ("value", "us"),
    [
        ("2026-11-21T08:39:36.123456Z", US),
        ("2026-11-21T08:39:36.123456789Z", US),
        ("2026-11-21T08:39:36.123456+0000", US),
        ("2026-11-21 09:39:36.123456+01:00", US),
        ("2026/11/21 08:39:36.123456Z", US),
        ("20261121T083936Z", US - 123_456),
        (1_795_250_376, US - 123_456),
        (1_795_250_376.123456, US),
        ("1795250376.123456", US),
        ("1795250376", US - 123_456),
        (1_795_250_376_123, US - 456),
        ("1795250376123", US - 456),
        (US, US),
        (US * 1000 + 999, US),
        (str(US * 1000 + 999), US),
    ],
)
def test_a_time_is_read_alone_and_among_others(value: Any, us: int) -> None:
    told, codes = Clock().read([value])
    assert (told.tolist(), codes.tolist()) == ([us], [OK])
    told, codes = Clock().read([value, "nonsense", value, None, "2026-11-21T08:39:36Z"])
    assert told[[0, 2]].tolist() == [us, us]
    assert codes.tolist() == [OK, UNREADABLE, OK, MISSING, OK]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("2026-11-21T08:39:36", NO_ZONE), ("2026-11-21 08:39:36.5", NO_ZONE), ("2026-11-21", UNREADABLE),
        ("yesterday", UNREADABLE), ("2026-13-21T08:39:36Z", UNREADABLE), ("2026-11-21T08:39:36Q", UNREADABLE),
        (True, UNREADABLE), ([1], UNREADABLE), ({"a": 1}, UNREADABLE), (float("nan"), UNREADABLE),
        (float("inf"), UNREADABLE), (10**40, UNREADABLE), (10**400, UNREADABLE), (1e300, UNREADABLE),
        ("9" * 30, UNREADABLE), (0, MISSING), ("0", MISSING),
        ("0000-00-00 00:00:00", MISSING), ("1754-08-30T22:43:41.128654Z", MISSING), ("1970-01-01T00:00:00Z", MISSING),
        (None, MISSING), (msgspec.UNSET, MISSING), ("", MISSING), ("-", MISSING),
    ],
)  # fmt: skip
def test_what_is_no_time_says_why(value: Any, code: int) -> None:
    assert Clock().read([value])[1].tolist() == [code]
    assert Clock().read([value, US])[1].tolist() == [code, OK]


@pytest.mark.parametrize("value", ["2026-11-21 09:39:36.123456", "2026-11-21T09:39:36.123456"])
def test_local_times_are_read_in_the_zone_that_was_told(value: str) -> None:
    clock = Clock(zone=zone_of("Europe/Berlin"))
    assert clock.read([value, value])[0].tolist() == [US, US]
    # An offset that is there counts, whatever the zone.
    mixed, codes = clock.read(["2026-11-21T08:39:36.123456Z", value])
    assert mixed.tolist() == [US, US]
    assert not codes.any()


@pytest.mark.parametrize("value", ["2026-10-25 02:30:00", "2026-03-29 02:30:00"])
def test_an_hour_that_came_twice_or_never_is_not_guessed(value: str) -> None:
    clock = Clock(zone=zone_of("Europe/Berlin"))
    assert clock.read([value])[1].tolist() == [TWICE]
    assert clock.read(["2026-10-25 12:30:00", value])[1].tolist() == [OK, TWICE]


def test_a_unit_that_is_told_counts() -> None:
    assert Clock(unit="ms").read([10**11, 1.5 * 10**11])[0].tolist() == [10**14, 15 * 10**13]
    assert Clock(unit="s").read(["2000000000000"])[0].tolist() == [2_000_000_000_000 * 10**6]
    assert Clock(unit="ns").read([US])[0].tolist() == [US // 1000]


@pytest.mark.parametrize(
    ("value", "width"),
    [
        ("2026-11-21T08:39:36Z", 999_999), ("2026-11-21 09:39:36+01:00", 999_999), ("20261121T083936Z", 999_999),
        ("2026-11-21T08:39Z", 59_999_999), ("2026-11-21T08:39:36.000Z", 0), ("2026-11-21T08:39:36,5Z", 0),
        (1_795_250_376, 999_999), ("1795250376", 999_999), (1_795_250_376.0, 0), ("1795250376.0", 0),
        (1_795_250_376_000, 0), ("1795250376000000", 0), ("2026-11-21T08:39:36.123456Z", 0), (None, 0),
        (datetime(2026, 11, 21, 8, 39, 36, tzinfo=UTC), 0),
    ],
)  # fmt: skip
def test_a_time_in_whole_seconds_stands_for_all_of_its_second(value: Any, width: int) -> None:
    values = [value, value]
    clock = Clock()
    assert clock.widths(values, *clock.read(values)).tolist() == [width, width]


def test_columns_of_frames_that_know_no_more_than_seconds_stand_for_them() -> None:
    times, there = np.array([US, US // 10**6 * 10**6]), np.array([True, True])
    for whole, width in ((True, 999_999), (False, 0)):
        moments = Moments(times, there, whole)
        assert Clock().widths(moments, *Clock().read(moments)).tolist() == [0, width]


def test_units_that_were_taken_are_told() -> None:
    clock = Clock()
    clock.read([1_795_250_376, US, "2026-11-21T08:39:36Z"])
    assert dict(clock.seen) == {"s": 1, "us": 1, "text": 1}


@given(st.lists(st.integers(10**14, 4 * 10**15), min_size=1, max_size=20))
def test_all_at_once_or_one_by_one_is_the_same(moments: list[int]) -> None:
    texts = [rfc3339(one) for one in moments]
    assert Clock().read(texts)[0].tolist() == moments
    assert Clock().read([*texts, None])[0].tolist() == [*moments, 0]
    assert Clock().read([one * 1000 for one in moments])[0].tolist() == moments
    assert Clock().read(moments)[0].tolist() == moments

"""Moments: every spelling that is meant, none that is guessed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whowas.addresses import is_address
from whowas.annotation.times import Clock
from whowas.errors import ConfigError
from whowas.timestamps import (
    FIRST_NUMBER_US,
    LAST_NUMBER_US,
    UNITS,
    moment_us,
    read_moment,
    spell,
    unit_of,
    zone_of,
)

AT = 1_763_633_702_250_000  # 2025-11-20T10:15:02.25Z


@pytest.mark.parametrize(
    "text",
    ["2025-11-20T10:15:02.25Z", "2025-11-20 11:15:02.250000+01:00", "1763633702.25", "1763633702250",
     "1763633702250.0", "1763633702250000", "1763633702250000999", 1763633702.25, 1763633702250, 1763633702250000,
     1763633702250000123, np.int64(1763633702250), np.float64(1763633702.25),
     datetime(2025, 11, 20, 10, 15, 2, 250_000, tzinfo=UTC)],
)  # fmt: skip
def test_every_spelling_of_a_moment(text: Any) -> None:
    assert moment_us(text) == AT


@pytest.mark.parametrize(
    "told",
    ["-1763633702", -1763633702, "nan", float("nan"), "inf", float("-inf"), "1e400", "9" * 60, 10**400, True, 0, 86400,
     "20251120", "12345678901", "1763633702250000.5", "1763633702250000000.5", "99999999999999999999", "9999999999999999999999999999500", "1e-999999999"],
)  # fmt: skip
def test_numbers_that_are_no_moment_are_refused_in_one_line(told: Any) -> None:
    with pytest.raises(ConfigError, match=r"cannot (read|use) the time") as raised:
        moment_us(told)
    assert "\n" not in str(raised.value)
    assert "2026-11-20T10:15:02Z" in str(raised.value)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("1795168800123", "1795168800123 read as milliseconds: 2026-11-20 10:00:00.123000 UTC"),
        (1795168800, "1795168800 read as seconds: 2026-11-20 10:00:00.000000 UTC"),
        ("2026-11-20T10:00:00Z", ""),
        ("now", ""),
    ],
)
def test_how_a_number_was_taken_is_said_back(told: Any, said: str) -> None:
    assert read_moment(told).read_back(told) == said


def test_now_is_the_moment_of_asking() -> None:
    assert abs(moment_us("now") - time.time_ns() // 1000) < 60_000_000


@given(st.text(max_size=50) | st.floats() | st.integers())
def test_whatever_is_told_is_a_moment_or_refused(told: Any) -> None:
    try:
        us = moment_us(told)
    except ConfigError:
        return
    assert isinstance(us, int)


@given(st.integers(FIRST_NUMBER_US, LAST_NUMBER_US - 1), st.sampled_from(["ms", "us", "ns"]))
def test_logs_and_options_read_the_same_number_alike(us: int, unit: str) -> None:
    number = us * 1000 // UNITS[unit]
    told, codes = Clock().read([number])
    if unit_of(Decimal(number)) == unit:
        assert (told.tolist(), codes.tolist()) == ([moment_us(number)], [0])


@pytest.mark.parametrize("text", ["2025-11-20T10:15:02", "yesterday", "", "2025-13-01T00:00:00Z", "١٢٣"])
def test_a_moment_without_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot (read|use) the time"):
        moment_us(text)


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ConfigError, match="no zone"):
        moment_us(datetime(2025, 11, 20))


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-840, 840))
def test_moments_survive_every_offset(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    assert spell(moment_us(moment.isoformat())) == naive.strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def test_zones_are_for_people() -> None:
    assert spell(AT, zone_of("Asia/Tokyo"), 3) == "2025-11-20 19:15:02.250 JST"
    assert spell(AT, digits=0) == "2025-11-20 10:15:02 UTC"
    with pytest.raises(ConfigError, match="no such zone"):
        zone_of("Mars/Olympus")


def test_a_moment_that_no_calendar_has() -> None:
    assert spell(2**62) == f"{2**62} us since 1970"


@pytest.mark.parametrize(("text", "answer"), [("10.0.0.1", True), ("fd00::1", True), ("::ffff:1.2.3.4", True),
                                              ("shop/web", False), ("10.0.0", False),
                                              ("fe80::1%eth0", False)])  # fmt: skip
def test_addresses_are_told_from_names(text: str, answer: bool) -> None:
    assert is_address(text) is answer

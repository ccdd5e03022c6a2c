"""Moments: every spelling that is meant, none that is guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whowas.addresses import is_address
from whowas.errors import ConfigError
from whowas.timestamps import moment_us, spell, zone_of

AT = 1_763_633_702_250_000  # 2025-11-20T10:15:02.25Z


@pytest.mark.parametrize(
    "text",
    ["2025-11-20T10:15:02.25Z", "2025-11-20 11:15:02.250000+01:00", "1763633702.25", "1763633702250000"],
)
def test_every_spelling_of_a_moment(text: str) -> None:
    assert moment_us(text) == AT


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
                                              ("shop/web", False), ("10.0.0", False)])  # fmt: skip
def test_addresses_are_told_from_names(text: str, answer: bool) -> None:
    assert is_address(text) is answer

"""The time of a line is read at its start, in every spelling; never a time that a stranger wrote further inside."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whowas.annotation.text.line_times import LineTimes, Years
from whowas.errors import ConfigError

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def time_of(line: bytes, pattern: str = "", year: int | None = None) -> str | None:
    return LineTimes(Years(year, NOW), pattern).of(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"Nov 21 08:39:36 host sshd[1]: x", "2026-11-21T08:39:36"),
        (b"<34>Nov  1 08:39:36.25 host x", "2026-11-01T08:39:36.25"),
        (b"Nov 21 2026 08:39:36: %ASA-6-302013: x", "2026-11-21T08:39:36"),
        (b"*Nov 21 08:39:36.123 UTC: %SYS-5", "2026-11-21T08:39:36.123+00:00"),
        (b"<13>1 2026-11-21T08:39:36.123456+01:00 host app - - - x", "2026-11-21T08:39:36.123456+01:00"),
        (b"2026-11-21T08:39:36.123456789Z stdout F x", "2026-11-21T08:39:36.123456789+00:00"),
        (b"[pod/shop/web] 2026-11-21T08:39:36Z x", "2026-11-21T08:39:36+00:00"),
        (b"2026-11-21 08:39:36,123 INFO x", "2026-11-21T08:39:36.123"),
        (b"2026/11/21 08:39:36 [error] 7#7: *1 x", "2026-11-21T08:39:36"),
        (b"[Sat Nov 21 08:39:36.123456 2026] [core:error] [client 10.1.2.3:5] x", "2026-11-21T08:39:36.123456"),
        (b'10.1.2.3 - - [21/Nov/2026:08:39:36 +0100] "GET / HTTP/1.1" 200', "2026-11-21T08:39:36+01:00"),
        (b'a.example:80 10.1.2.3 - bob [21/Nov/2026:08:39:36 +0000] "GET /', "2026-11-21T08:39:36+00:00"),
        (b'10.1.2.3, 10.4.5.6 - - [21/Nov/2026:08:39:36 +0000] "GET /', "2026-11-21T08:39:36+00:00"),
        (b"I1121 08:39:36.123456       1 main.go:7] x", "2026-11-21T08:39:36.123456"),
        (b"1795250376.123     45 10.1.2.3 TCP_MISS/200", "1795250376.123"),
        (b"type=USER_LOGIN msg=audit(1795250376.123:45): x", "1795250376.123"),
        (b"no time 2026-11-21T08:39:36Z", None),
        (b"12:00:00 x", None),
        (b"", None),
    ],
)
def test_each_spelling_is_read(line: bytes, told: str | None) -> None:
    assert time_of(line) == told


@pytest.mark.parametrize(
    "line",
    [
        b'10.1.2.3 - x [20/Nov/2025:00:00:00 +0000] [21/Nov/2026:08:39:36 +0000] "GET /',
        b'10.1.2.3 - - [21/Nov/2026:08:39:36 +0000] "GET /[20/Nov/2025:00:00:00 +0000] "x',
        b'2026-11-21T08:39:36+00:00 host app: 10.1.2.3 - - [20/Nov/2025:00:00:00 +0000] "GET /',
    ],
)
def test_a_time_that_a_stranger_put_in_is_not_taken(line: bytes) -> None:
    assert time_of(line) == "2026-11-21T08:39:36+00:00"


def test_a_strangers_words_do_not_make_an_access_log() -> None:
    assert time_of(b'login failed for a [20/Nov/2025:00:00:00 +0000] "b') is None


def test_a_year_that_is_not_there_is_the_last_that_fits_and_goes_on_at_new_year() -> None:
    times = LineTimes(Years(None, NOW))
    lines = [b"Dec 31 23:59:59 a", b"Jan  1 00:00:01 a", b"Dec 31 23:59:58 a", b"Jan  1 00:00:02 a"]
    assert [str(times.of(line))[:4] for line in lines] == ["2025", "2026", "2025", "2026"]
    assert str(time_of(b"Nov 21 08:39:36 a", year=2019))[:4] == "2019"


def test_a_pattern_is_looked_for_and_nothing_else() -> None:
    assert time_of(b"x <21.11.2026 08:39> y", "%d.%m.%Y %H:%M") == "2026-11-21T08:39:00"
    assert time_of(b"@1795250376 y", "@%s") == "1795250376"
    assert time_of(b"2026-11-21T08:39:36Z y", "%d.%m.%Y %H:%M") is None


@pytest.mark.parametrize("pattern", ["%d.%m", "%Q", "%d %d %m %H %M", "%", "plain"])
def test_a_senseless_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="cannot use --time-pattern"):
        time_of(b"", pattern)


@given(st.binary(max_size=80))
def test_no_line_is_an_error(line: bytes) -> None:
    time_of(line)
    time_of(line, "%d/%m %H:%M")
    LineTimes(Years(None, NOW)).read(line)

"""Moments as people write them, and addresses told apart from names. Never the machine's local time."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from whowas.errors import ConfigError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Microseconds before and after all time; what is added to them still fits into 63 bits. Kernels are compiled with them.
BEFORE_ALL, AFTER_ALL = -(1 << 62), 1 << 62
FORM = "write it like 2026-11-20T10:15:02Z"
# Nanoseconds in each unit. Numbers below a limit count its unit: seconds up to year 5138, the others likewise.
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
LIMITS: tuple[tuple[float, str], ...] = ((10**11, "s"), (10**14, "ms"), (10**17, "us"), (math.inf, "ns"))
# Numbers of other moments (1971 to 2199 are taken) count something else: days, a clock from its start, a bad unit.
FIRST_NUMBER_US, LAST_NUMBER_US = 31_536_000_000_000, 7_258_118_400_000_000
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
# Of the text of a number, and of its exponent: nanoseconds of 2199 have 19 digits.
LONGEST, MAGNITUDE = 40, 20


class Moment(NamedTuple):
    """A moment as it was understood. us: since 1970 UTC. unit: of a number, "" where it was none."""

    us: int
    unit: str = ""

    def read_back(self, told: Any) -> str:
        """Say how a number was taken; "" where there was nothing to guess."""
        return f"{told} read as {UNIT_WORDS[self.unit]}: {spell(self.us)}" if self.unit else ""


def unit_of(number: Decimal) -> str:
    """Return the unit of a number since 1970 by its magnitude: s, ms, us or ns. It is the one rule for all times."""
    size = abs(number)
    return next(unit for limit, unit in LIMITS if size < limit)


def moment_us(at: Any) -> int:
    """Turn a moment as people and programs write it into microseconds since 1970 UTC. Raises: ConfigError."""
    return read_moment(at).us


def read_moment(at: Any) -> Moment:
    """Read RFC 3339 text, an aware datetime, `now`, or a number since 1970 in s, ms, us or ns, by its magnitude.

    Seconds and milliseconds may have a fraction, as tcpdump -tt prints them.
    Raises: ConfigError when there is no zone, or no sense in it.
    """
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ConfigError(f"cannot use the time {at.isoformat()}: it has no zone; give it tzinfo=UTC")
        return Moment((at - EPOCH) // timedelta(microseconds=1))
    if isinstance(at, bool):
        raise ConfigError(f"cannot read the time '{at}': it is no time; {FORM}")
    text = str(at).strip()
    if text.lower() == "now":
        return Moment(time.time_ns() // 1000)
    # str() of numpy's numbers is the plain number, too.
    return _number(text) if NUMBER.fullmatch(text) else _text(text)


def _number(text: str) -> Moment:
    """Numbers as their digits say them: a float would lose nanoseconds."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or len(text) > LONGEST or abs(number.adjusted()) > MAGNITUDE:
        raise ConfigError(f"cannot read the time '{text[:LONGEST]}': it is no number of a moment; {FORM}")
    if number < 0:
        raise ConfigError(f"cannot read the time '{text}': a negative number is before 1970; {FORM}")
    unit = unit_of(number)
    if unit in ("us", "ns") and number != number.to_integral_value():
        raise ConfigError(f"cannot read the time '{text}': {UNIT_WORDS[unit]} have no fraction; {FORM}")
    us = int(number * UNITS[unit] // 1000)
    if not FIRST_NUMBER_US <= us < LAST_NUMBER_US:
        raise ConfigError(
            f"cannot use the time '{text}': as {UNIT_WORDS[unit]} since 1970 it is {spell(us, digits=0)}; {FORM}"
        )
    return Moment(us, unit)


def _text(text: str) -> Moment:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"cannot read the time '{text}': {error}; {FORM}") from error
    if parsed.tzinfo is None:
        raise ConfigError(f"cannot use the time '{text}': it has no zone; {FORM} or with an offset like +01:00")
    return read_moment(parsed)


def zone_of(name: str) -> tzinfo:
    """Return the zone in which people are shown times. Raises: ConfigError for a name nobody knows."""
    import zoneinfo

    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"cannot use the zone '{name}': no such zone; say UTC or one like Europe/Berlin") from error


def spell(us: int, zone: tzinfo = UTC, digits: int = 6) -> str:
    """Write a moment for people: date, time, zone. Times beyond year 9999 are written as their number."""
    try:
        moment = (EPOCH + timedelta(microseconds=us)).astimezone(zone)
    except OverflowError:
        return f"{us} us since 1970"
    text = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    text = text[: len(text) - 6 + digits] if digits else text[:-7]
    return f"{text} {moment.strftime('%Z')}"


def utc(us: int) -> datetime:
    """Return a moment for Python: aware, UTC. What lies beyond the years 1 to 9999 becomes their edge."""
    try:
        return EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return (datetime.min if us < 0 else datetime.max).replace(tzinfo=UTC)


def rfc3339(us: int) -> str:
    """Write a moment for programs, in UTC. Times beyond year 9999 are written as their number."""
    try:
        return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except OverflowError:
        return str(us)

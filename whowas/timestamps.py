"""Moments as people write them, and addresses told apart from names. Never the machine's local time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from whowas.errors import ConfigError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Microseconds before and after all time; what is added to them still fits into 63 bits. Kernels are compiled with them.
BEFORE_ALL, AFTER_ALL = -(1 << 62), 1 << 62
FORM = "write it like 2026-11-20T10:15:02Z"


def moment_us(at: Any) -> int:
    """Turn RFC 3339 text, an aware datetime, seconds or microseconds into microseconds since 1970 UTC.

    A bare number is read as microseconds from 10^14 on, else as seconds (as tcpdump -tt prints them).
    Raises: ConfigError when there is no zone or no sense in it.
    """
    if isinstance(at, int):
        return at
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ConfigError(f"cannot use the time {at.isoformat()}: it has no zone; give it tzinfo=UTC")
        return (at - EPOCH) // timedelta(microseconds=1)
    return _parse(str(at).strip())


def _parse(text: str) -> int:
    if len(text) < 30 and text.replace(".", "", 1).isdigit() and text.isascii():
        whole, _, fraction = text.partition(".")
        return int(whole) if int(whole) >= 10**14 else int(whole) * 10**6 + int(fraction[:6].ljust(6, "0") or 0)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"cannot read the time '{text}': {error}; {FORM}") from error
    if parsed.tzinfo is None:
        raise ConfigError(f"cannot use the time '{text}': it has no zone; {FORM} or with an offset like +01:00")
    return moment_us(parsed)


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


def rfc3339(us: int) -> str:
    """Write a moment for programs, in UTC. Times beyond year 9999 are written as their number."""
    try:
        return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except OverflowError:
        return str(us)

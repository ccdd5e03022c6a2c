"""The times of a filter: since, until, at. A span of time counts back from now, or from the last flow of old ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

from whowas.errors import ConfigError
from whowas.query.filters import Filter, Test, every
from whowas.timestamps import moment_us, rfc3339

UNITS_US = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6, "w": 7 * 86_400 * 10**6}
AROUND_US = 1_000_000
MOMENT = "CAST(? AS TIMESTAMPTZ)"
_SPAN = re.compile(r"(?:\d{1,9}[smhdw])+")


@dataclass(frozen=True)
class When:
    """Moments in us since 1970. low: first that counts. high: first that does not. at: under way then.

    from_last: spans counted back from this moment, of the last flow, and not from now.
    """

    low: int | None = None
    high: int | None = None
    at: int | None = None
    from_last: int | None = None

    def filter(self) -> Filter:
        """The flows that began in that time, or were under way at that moment, within a second."""
        parts: list[Filter] = []
        if self.low is not None:
            parts.append(Test(f"start_time >= {MOMENT}", (rfc3339(self.low),)))
        if self.high is not None:
            parts.append(Test(f"start_time < {MOMENT}", (rfc3339(self.high),)))
        if self.at is not None:
            parts.append(Test(f"start_time <= {MOMENT}", (rfc3339(self.at + AROUND_US),)))
            ends = f"coalesce(end_time, start_time) >= {MOMENT}"
            parts.append(Test(ends, (rfc3339(self.at - AROUND_US),)))
        return every(parts)


def span_us(text: str) -> int | None:
    """Return how long a span like 90s, 2h or 1d12h is; None for what is none."""
    if not _SPAN.fullmatch(text):
        return None
    return sum(int(count) * UNITS_US[unit] for count, unit in re.findall(r"(\d+)([smhdw])", text))


def parse(since: str | None, until: str | None, at: str | None, now_us: int, last_us: int | None) -> When:
    """Read the three words. last_us: start of the last flow; None: there is none.

    A span reaches back from now; where the flows ended before it began, or begin after now, from the last of them.
    Raises: ConfigError.
    """
    if at is not None and (since is not None or until is not None):
        raise ConfigError("cannot use --at with --since or --until: it is a moment; give one or the other")
    spans = [span for text in (since, until) if text is not None and (span := span_us(text)) is not None]
    longest = max(spans, default=0)
    old = last_us is not None and bool(spans) and not now_us - longest <= last_us <= now_us
    base = last_us if old and last_us is not None else now_us
    low, high = _moment(since, base), _moment(until, base)
    if low is not None and high is not None and low >= high:
        raise ConfigError("cannot use --since after --until: nothing lies between; exchange them")
    return When(low, high, _moment(at, now_us), last_us if old else None)


def _moment(text: str | None, base_us: int) -> int | None:
    if text is None:
        return None
    if text == "now":
        return base_us
    span = span_us(text)
    return moment_us(text) if span is None else base_us - span

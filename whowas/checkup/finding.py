"""One thing that was looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from whowas.errors import WhowasError

OK, WARN, FAIL = "ok", "warn", "fail"
DAY, HOUR, MINUTE = 86_400, 3_600, 60


@dataclass(frozen=True)
class Finding:
    """about: installed, configuration, reachable, permitted, places or fresh. state: OK, WARN or FAIL.

    what: the thing. detail: what was seen. advice: what to do, "" where nothing is.
    """

    about: str
    what: str
    state: str
    detail: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """What `whowas doctor --json` prints of it."""
        return {
            "about": self.about,
            "what": self.what,
            "state": self.state,
            "detail": self.detail,
            "advice": self.advice,
        }


def guarded(about: str, what: str, look: Callable[[], Iterator[Finding]], state: str = FAIL) -> Iterator[Finding]:
    """Look; what cannot be looked at is a finding too, of the state given."""
    try:
        yield from look()
    except WhowasError as error:
        yield of_error(about, what, str(error), state)
    except OSError as error:
        yield Finding(about, what, state, f"cannot be looked at: {error.strerror or error}", "check the rights")


def of_error(about: str, what: str, message: str, state: str = FAIL) -> Finding:
    """An error as it is worded everywhere: the cause, and behind the last semicolon what to do."""
    cause, _, advice = message.rpartition("; ")
    return Finding(about, what, state, cause or message, advice if cause else "")


def age(us: int) -> str:
    """How long ago a moment was, in one unit."""
    seconds = (time.time_ns() // 1000 - us) / 1e6
    if seconds < 0:
        return "in the future"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"

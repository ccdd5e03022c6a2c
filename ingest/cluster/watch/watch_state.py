"""Holds a watch's state, readable from other threads, and its options."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

OBJECT_VERBS = ("LISTED", "ADDED", "MODIFIED", "DELETED")
STATES = ("starting", "listing", "watching", "waiting", "forbidden", "absent", "stopped")
REASONS = ("odd_field", "odd_item", "no_evidence", "broken")
# A clock that is steered drifts by less; what jumps by more was set.
STEP_NS = 2_000_000_000


@dataclass(frozen=True)
class WatchOptions:
    """Measures of a watch. Times in seconds, sizes in bytes.

    page_size: objects a page. watch_seconds: between which a watch is ended by the server. connect_seconds,
    silence_seconds: what counts as dead; bookmarks come about every 60 s. backoff: the first and the longest pause
    between attempts, with full jitter. refused_seconds: the pause where rights or the resource are missing.
    line_most: the longest event. clocks: read node Leases, at most one a node in clock_seconds unless it tells more.
    istio: follow Istio's policies too; where the server has none it is asked again now and then.
    """

    page_size: int = 500
    watch_seconds: tuple[int, int] = (240, 480)
    connect_seconds: float = 5.0
    silence_seconds: float = 90.0
    backoff_seconds: tuple[float, float] = (0.5, 30.0)
    refused_seconds: float = 60.0
    line_most: int = 32 << 20
    page_most: int = 1 << 30
    clocks: bool = True
    clock_seconds: float = 60.0
    istio: bool = False


@dataclass
class StreamState:
    """How the watch of one kind does. Written by its thread, read by others without a lock.

    state: one of STATES, since `since_us`. last_received_us: the last word of the server, of whatever kind.
    version: the resourceVersion up to which all was handed on. objects: how many there are, None = not known yet.
    optional: nothing is wrong with the recorder when this one may not watch.
    """

    kind: str
    optional: bool = False
    state: str = "starting"
    since_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    last_received_us: int | None = None
    version: str | None = None
    restarts: int = 0
    gaps: int = 0
    objects: int | None = None
    last_error: str = ""
    # All keys stand from the start: a reader in another thread must not meet a dict that grows.
    events: Counter[str] = field(
        default_factory=lambda: Counter(dict.fromkeys((*OBJECT_VERBS, "BOOKMARK", "CLOCK"), 0))
    )
    refused: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))

    def enter(self, state: str) -> None:
        """Note a change of state."""
        if state != self.state:
            self.since_us = time.time_ns() // 1000
            self.state = state


class WallClock:
    """The time of receipt, and whether somebody set the clock meanwhile.

    Args: wall, steady: nanoseconds since 1970, and of a clock nobody sets.
    """

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()
        self.stepped_seconds = 0.0

    def now_us(self) -> int:
        """Return the wall clock's time; `stepped_seconds` is not 0 when it jumped since it was read last."""
        now = self._wall()
        ahead = now - self._steady()
        step = ahead - self._ahead
        self.stepped_seconds = step / 1e9 if abs(step) > STEP_NS else 0.0
        self._ahead = ahead
        return now // 1000

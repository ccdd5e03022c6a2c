"""What is true in the simulated world, and what of it was told to whom."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

NEVER = 1 << 62


@dataclass(eq=False)
class Hold:
    """The truth: this holder had this address in [start, end).

    uids: under which the API knew it; more than one for a static pod whose mirror was made anew.
    kind: pod, service or node. told: whether a line of the evidence shows it. The other fields are what the lines
    prove of it to somebody who knows which sandbox each line speaks of; see questions.py.
    """

    ip: str
    uids: list[str]
    start: int
    end: int = NEVER
    kind: str = "pod"
    name: str = ""
    told: bool = False
    proven_start: int = NEVER
    proven_end: int = -1
    ended_by: int = NEVER
    focus: bool = False
    # A line shows it running; and when the API ceased to show it so (silence until then says that it went on).
    shown_running: bool = False
    silent_from: int = NEVER
    node: str = ""
    # When containers ran in it: (start, end).
    ran: list[tuple[int, int]] = field(default_factory=list)

    def speaks(self, time: int) -> bool:
        """Say whether a process sends packets from the address then."""
        return any(start <= time < end for start, end in self.ran)


@dataclass(frozen=True)
class Sight:
    """What one written status of a pod shows: which holds, whether running, and what its time stamps prove.

    holds: those it shows to last. over: those it shows to have ended. shown: the addresses that stand in it.
    started, finished: a run in the sandbox of `ran_in` lasted over these true times; None when not told.
    """

    uid: str
    holds: tuple[Hold, ...] = ()
    over: tuple[Hold, ...] = ()
    shown: tuple[str, ...] = ()
    ran_in: tuple[Hold, ...] = ()
    running: bool = False
    started: int | None = None
    finished: int | None = None


@dataclass
class Versions:
    """Something that changes in time: the newest value at or before a moment."""

    times: list[int] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def put(self, at: int, value: object) -> None:
        """Write down a new value, if it is new."""
        if not self.values or self.values[-1] != value:
            self.times.append(at)
            self.values.append(value)

    def between(self, low: int, high: int) -> list[object]:
        """Every value it had in [low, high]."""
        first = max(bisect_right(self.times, low) - 1, 0)
        return self.values[first : bisect_right(self.times, high)]


class Truth:
    """Who held each address when. Holds of one address do not overlap."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        self.by_ip: dict[str, list[Hold]] = {}
        for one in sorted(holds, key=lambda one: one.start):
            self.by_ip.setdefault(one.ip, []).append(one)
        self._starts = {ip: [one.start for one in several] for ip, several in self.by_ip.items()}
        for several in self.by_ip.values():
            for one, other in pairwise(several):
                assert one.end <= other.start, "the simulator gave one address to two pods at once"

    def around(self, ip: str, time: int) -> tuple[Hold | None, Hold | None, Hold | None]:
        """The hold before, the hold at, the hold after a moment."""
        several = self.by_ip.get(ip, [])
        row = bisect_right(self._starts.get(ip, []), time) - 1
        at = several[row] if row >= 0 and time < several[row].end else None
        before = several[row - 1] if at and row > 0 else (None if at or row < 0 else several[row])
        return before, at, several[row + 1] if row + 1 < len(several) else None

"""Who held which address when: the CNI plugin's calls. While a call lasts either answer is right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

NEVER = float("inf")
NEAR_SECONDS = 3.0
Place = Literal["deep", "near start", "near end", "just free", "free"]


@dataclass(frozen=True)
class Call:
    """One successful call. began, done: s since 1970."""

    began: float
    done: float
    adds: bool
    sandbox: str
    pod: str
    uid: str
    ip: str


@dataclass(frozen=True)
class Hold:
    """A sandbox had an address from some time in start to some time in end; each is (call began, call done), s."""

    ip: str
    uid: str
    pod: str
    start: tuple[float, float]
    end: tuple[float, float] = (NEVER, NEVER)

    def may_hold(self, at: float) -> bool:
        """Say whether it may have held it then."""
        return self.start[0] <= at <= self.end[1]

    def holds(self, at: float) -> bool:
        """Say whether it held it for sure."""
        return self.start[1] <= at <= self.end[0]


def read_calls(text: str) -> list[Call]:
    """Read the log of logged-plugin.sh; calls that failed, and a line that is still being written, are left out."""
    return [call for line in text.splitlines() if (call := _call(line)) is not None]


def _call(line: str) -> Call | None:
    words = line.split(" ", 6)
    if len(words) < 6 or words[3] != "0":
        return None
    result = words[6] if len(words) > 6 else ""
    addresses = [one["address"].split("/")[0] for one in json.loads(result).get("ips", ())] if result else []
    pod, uid = (re.search(f"{name}=([^;]*)", words[5]) for name in ("K8S_POD_NAME", "K8S_POD_UID"))
    if pod is None or uid is None:
        return None
    return Call(float(words[0]), float(words[1]), words[2] == "ADD", words[4], pod[1], uid[1], "".join(addresses[:1]))


def holds_of(calls: Iterable[Call]) -> list[Hold]:
    """Return each ADD with the first DEL of its sandbox."""
    ordered = sorted(calls, key=attrgetter("began"))
    ends: dict[str, tuple[float, float]] = {}
    for call in ordered:
        if not call.adds:
            ends.setdefault(call.sandbox, (call.began, call.done))
    return [Hold(call.ip, call.uid, call.pod, (call.began, call.done), ends.get(call.sandbox, (NEVER, NEVER)))
            for call in ordered if call.adds]  # fmt: skip


@dataclass
class Truth:
    """The holds of each address, in order."""

    by_ip: dict[str, list[Hold]] = field(default_factory=dict)

    @classmethod
    def of(cls, holds: Sequence[Hold]) -> Truth:
        """Sort them by address."""
        found = cls()
        for hold in sorted(holds, key=lambda one: one.start):
            found.by_ip.setdefault(hold.ip, []).append(hold)
        return found

    def may_hold(self, ip: str, first: float, last: float) -> Iterator[Hold]:
        """Yield who may have held it at any time in [first, last]."""
        return (one for one in self.by_ip.get(ip, ()) if one.start[0] <= last and one.end[1] >= first)

    def free(self, ip: str, at: float) -> bool:
        """Say whether it may have been free."""
        return not any(one.holds(at) for one in self.by_ip.get(ip, ()))

    def place(self, ip: str, at: float) -> Place:
        """Say where a moment lies among the holds of an address."""
        there = [one for one in self.by_ip.get(ip, ()) if one.may_hold(at)]
        if there:
            since, left = at - there[-1].start[1], there[-1].end[0] - at
            return "deep" if min(since, left) >= NEAR_SECONDS else "near start" if since <= left else "near end"
        gone = [at - one.end[1] for one in self.by_ip.get(ip, ()) if one.end[1] < at]
        return "just free" if gone and min(gone) < NEAR_SECONDS else "free"

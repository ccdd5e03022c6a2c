"""What others would have said, restated in a few lines each and given the very same evidence.

- present state (as NetObserv's transform does): a cache of pods by address, asked when the flow is processed, here
  5 s after it was seen. An object that shows an address puts its pod there; DELETED takes it away.
- newest start (as Pixie's metadata does): all pods that ever had the address; the last to be created at or before
  the flow. When it ended is not looked at.
- grace (as Antrea's flow aggregator does): pods stay for 5 minutes after DELETED. If one only has had the address it
  is taken unchecked; of several, one that was created before the flow and not deleted before it.
- last writer (as Retina's cache does): address to pod, overwritten by whatever event shows the address last, asked
  at once. DELETED clears the address, whoever has it.

All of them are sure of whatever they say. Restated from how they are documented to work, not their code.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.churn.asking import packed
from bench.churn.questions import Question
from bench.churn.times import SECOND, read

PROCESSED_AFTER = 5 * SECOND
GRACE = 300 * SECOND


class Event(NamedTuple):
    """A pod event that shows an address."""

    at: int
    deleted: bool
    ip: bytes
    uid: str
    created: int


Peer = Callable[[list[Event], Sequence[Question]], list[str | None]]


def events_of(lines: Sequence[str], cluster: str) -> list[Event]:
    """Every pod event of a cluster, in the order of receipt."""
    found = []
    for line in lines:
        if '"kind":"Pod"' not in line or '"podIPs"' not in line or f'"cluster":"{cluster}"' not in line:
            continue
        one = json.loads(line)
        meta, status = one["object"]["metadata"], one["object"]["status"]
        if one["object"]["spec"].get("hostNetwork"):
            continue
        for ip in status["podIPs"]:
            found.append(Event(read(one["received"]), one["type"] == "DELETED", packed(ip["ip"]), meta["uid"],
                               read(meta["creationTimestamp"])))  # fmt: skip
    return sorted(found, key=lambda one: one.at)


class _Table:
    """What a map says at each time, from changes in order."""

    def __init__(self) -> None:
        self.times: dict[bytes, list[int]] = {}
        self.values: dict[bytes, list[str | None]] = {}

    def put(self, at: int, ip: bytes, value: str | None) -> None:
        self.times.setdefault(ip, []).append(at)
        self.values.setdefault(ip, []).append(value)

    def at(self, ip: bytes, time: int) -> str | None:
        place = bisect_right(self.times.get(ip, []), time)
        return self.values[ip][place - 1] if place else None


def present_state(events: list[Event], questions: Sequence[Question]) -> list[str | None]:
    """See above."""
    table, living = _Table(), dict[bytes, dict[str, None]]()
    for one in events:
        pods = living.setdefault(one.ip, {})
        if one.deleted:
            pods.pop(one.uid, None)
        else:
            pods[one.uid] = None
        table.put(one.at, one.ip, next(reversed(pods), None))
    return [table.at(packed(one.ip), one.asked + PROCESSED_AFTER) for one in questions]


def newest_start(events: list[Event], questions: Sequence[Question]) -> list[str | None]:
    """See above."""
    table = _Table()
    for ip, uid, created in sorted({(one.ip, one.uid, one.created) for one in events}, key=lambda one: one[2]):
        table.put(created, ip, uid)
    return [table.at(packed(one.ip), one.asked) for one in questions]


def grace(events: list[Event], questions: Sequence[Question]) -> list[str | None]:
    """See above."""
    shown: dict[bytes, dict[str, list[int]]] = {}
    for one in events:
        pod = shown.setdefault(one.ip, {}).setdefault(one.uid, [one.at, one.created, 1 << 62])
        if one.deleted:
            pod[2] = one.at
    found: list[str | None] = []
    for question in questions:
        now = question.asked + PROCESSED_AFTER
        pods = {uid: pod for uid, pod in shown.get(packed(question.ip), {}).items() if pod[0] <= now < pod[2] + GRACE}
        if len(pods) == 1:
            found.append(next(iter(pods)))
            continue
        fits = [
            uid
            for uid, (_, created, end) in pods.items()
            if created <= question.asked < (end if end <= now else 1 << 62)
        ]
        found.append(fits[0] if fits else None)
    return found


def last_writer(events: list[Event], questions: Sequence[Question]) -> list[str | None]:
    """See above."""
    table = _Table()
    for one in events:
        table.put(one.at, one.ip, None if one.deleted else one.uid)
    return [table.at(packed(one.ip), one.asked) for one in questions]


PEERS: dict[str, Peer] = {
    "present state, 5 s later (NetObserv)": present_state,
    "newest start (Pixie)": newest_start,
    "5 minutes' grace (Antrea)": grace,
    "last writer (Retina)": last_writer,
}


def judged(question: Question, uid: str | None) -> str:
    """`right`, `wrong` (another pod, or one where nobody was), `missed` (none named though one held it)."""
    holder = question.holder
    if uid is None:
        return "right" if holder is None else "missed"
    return "right" if holder is not None and uid in holder.uids else "wrong"

"""What a correct recorder puts down of a world: evidence lines, through whatever befalls its watches.

The lines are those of docs/how-to/evidence.md. What each line proves about a hold is written into the hold, for
questions.py; the lines themselves carry nothing that an apiserver would not send.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from bench.churn.times import SECOND, START, micro
from bench.churn.truth import NEVER
from bench.churn.world import Change, World

POINT = "LISTED"


@dataclass
class Fault:
    """What befalls the recorder in [low, high), us.

    kind: `gap` (nobody looks, the history of the apiserver is lost: down for long, 410 in either form; then a list),
    `late` (broken or half-open connection; resumed from the durable version, nothing lost), `twice` (a crash between
    an event and its version: what was delivered since `low` comes again at `high`), `half list` (as gap; a list is
    broken off by an expired continue token, then made anew), `no bookmarks`, `restored` (as gap: etcd was put back).
    """

    kind: str
    low: int
    high: int


@dataclass
class Recording:
    """Evidence lines in the order of receipt, and when somebody looked."""

    cluster: str
    lines: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    first: int = START
    last: int = START

    def looked(self, low: int, high: int) -> bool:
        """Say whether somebody looked all through [low, high]."""
        return self.first <= low and high <= self.last and all(end <= low or high < start for start, end in self.gaps)


class Recorder:
    """Follows the log of a world.

    vanishing: LISTED and VANISHED lines are understood; else a list's items are written as ADDED.
    """

    def __init__(self, world: World, faults: tuple[Fault, ...] = (), vanishing: bool = False) -> None:
        self.world = world
        self.faults = sorted(faults, key=lambda one: one.low)
        self.vanishing = vanishing
        self.out: list[tuple[int, int, str]] = []
        self.known: dict[tuple[str, str], Change] = {}
        self.made = Recording(world.name)
        self._sent: dict[str, int] = {}
        self._log = 0

    def record(self, begin: int, end: int) -> Recording:
        """Look from begin to end (us): a list first, then the watch."""
        self._list(begin)
        for fault in [one for one in self.faults if one.kind != "no bookmarks"]:
            self._watch(fault.low)
            getattr(self, f"_{fault.kind.split()[0]}")(fault)
        self._watch(end)
        self._bookmarks(begin, end)
        self.out.sort(key=lambda one: one[:2])
        self.made.lines = [text for _, _, text in self.out]
        self.made.first, self.made.last = self.out[0][0], self.out[-1][0]
        return self.made

    # Ways of hearing of changes.

    def _watch(self, until: int) -> None:
        while self._log < len(self.world.log) and self.world.log[self._log].at < until:
            self._deliver(self.world.log[self._log])
            self._log += 1

    def _deliver(self, change: Change, not_before: int = 0) -> None:
        delay = int(self.world.dice.uniform(0.0005, 0.008) * SECOND)
        received = max(change.at + delay, not_before, self._sent.get(change.kind, 0) + 1)
        self._sent[change.kind] = received
        self._say(change.verb, received, change)

    def _say(self, verb: str, received: int, change: Change) -> None:
        text = (
            f'{{"type":"{verb}","received":"{micro(received)}","cluster":"{self.world.name}","object":{change.text}}}'
        )
        self.out.append((received, len(self.out), text))
        if verb == "DELETED":
            self.known.pop((change.kind, change.uid), None)
        else:
            self.known[change.kind, change.uid] = change
        self._proves(change, received, verb)

    def _list(self, at: int, part: float = 1.0) -> None:
        """Everything there is at a moment."""
        while self._log < len(self.world.log) and self.world.log[self._log].at < at:
            self._log += 1
        living = list(self.world_at(at).values())
        received = at + int(self.world.dice.uniform(0.002, 0.05) * SECOND)
        verb = POINT if self.vanishing and self.out else "ADDED"
        for change in living[: int(len(living) * part)]:
            received += 3
            self._say(verb, received, change)
        if part == 1.0:
            self._vanish(at, received, {(one.kind, one.uid) for one in living})
        for kind in {one.kind for one in living}:
            self._sent[kind] = received

    def world_at(self, at: int) -> dict[tuple[str, str], Change]:
        """The objects at a moment, after restores that came before it."""
        found: dict[tuple[str, str], Change] = {}
        for change in self.world.log[: self._log]:
            if any(back < change.at <= moment <= at for back, moment in self.world.restores):
                continue
            if change.verb == "DELETED":
                found.pop((change.kind, change.uid), None)
            else:
                found[change.kind, change.uid] = change
        return found

    def _vanish(self, at: int, received: int, living: set[tuple[str, str]]) -> None:
        """What a complete list no longer shows went some time before it."""
        for kind, uid in [key for key in self.known if key not in living]:
            gone = self.known.pop((kind, uid))
            if self.vanishing and kind != "Lease":
                meta = {"uid": uid, "name": gone.meta[1], "namespace": gone.meta[0]}
                thing = {"kind": kind, "metadata": meta}
                line = {"type": "VANISHED", "received": micro(received), "cluster": self.world.name, "object": thing}
                self.out.append((received, len(self.out), json.dumps(line, separators=(",", ":"))))
            for hold in (*gone.sight.holds, *gone.sight.over):
                hold.silent_from = min(hold.silent_from, at)

    # Faults.

    def _gap(self, fault: Fault) -> None:
        line = {"type": "GAP", "from": micro(fault.low), "to": micro(fault.high), "cluster": self.world.name}
        self.out.append((fault.high, len(self.out), json.dumps(line)))
        self.made.gaps.append((fault.low, fault.high))
        self._list(fault.high)

    _restored = _gap

    def _half(self, fault: Fault) -> None:
        middle = (fault.low + fault.high) // 2
        self._list(middle, 0.5)
        self._gap(fault)

    def _late(self, fault: Fault) -> None:
        while self._log < len(self.world.log) and self.world.log[self._log].at < fault.high:
            self._deliver(self.world.log[self._log], fault.high)
            self._log += 1

    def _twice(self, fault: Fault) -> None:
        again = [one for one in self.world.log[: self._log] if fault.low - 2 * SECOND <= one.at < fault.low]
        for change in again:
            received = max(fault.high, self._sent.get(change.kind, 0) + 1)
            self._sent[change.kind] = received
            text = f'{{"type":"{change.verb}","received":"{micro(received)}","cluster":"{self.world.name}",'
            self.out.append((received, len(self.out), f'{text}"object":{change.text}}}'))
        self._late(fault)

    def _bookmarks(self, begin: int, end: int) -> None:
        """About every 60 s; the last tells that the watch went on to the end."""
        times = list(range(begin + 60 * SECOND, end, 60 * SECOND)) if not self._mute() else []
        for time in [*times, end]:
            if any(one.low <= time <= one.high for one in self.faults if one.kind != "no bookmarks"):
                continue
            version = max((one.version for one in self.world.log if one.at <= time), default=1)
            thing = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}}
            line = {"type": "BOOKMARK", "received": micro(time), "cluster": self.world.name, "object": thing}
            self.out.append((time, len(self.out), json.dumps(line)))

    def _mute(self) -> bool:
        return any(one.kind == "no bookmarks" for one in self.faults)

    # What a line proves.

    def _proves(self, change: Change, received: int, verb: str) -> None:
        sight = change.sight
        for ip in sight.shown:
            # An address that the pod has again says nothing of when it had it before.
            several = [one for one in (*sight.over, *sight.holds) if one.ip == ip]
            for hold in several[-1:]:
                hold.told = True
        for hold in sight.ran_in:
            if sight.started is not None:
                hold.proven_start = min(hold.proven_start, sight.started + self._margin(hold.node))
            if sight.finished is not None:
                hold.proven_end = max(hold.proven_end, sight.finished - self._margin(hold.node))
        for hold in sight.holds:
            hold.proven_start = min(hold.proven_start, received)
            if sight.running and verb != "DELETED":
                hold.shown_running = True
            if verb == "DELETED" or not sight.running:
                hold.silent_from = min(hold.silent_from, change.at if hold.shown_running else NEVER)
        for hold in sight.over:
            hold.ended_by = min(hold.ended_by, received)
            hold.silent_from = min(hold.silent_from, change.at)

    def _margin(self, name: str) -> int:
        """How far a node's stamp may be off, for who knows its clock: 1 s cut off, 0.5 s, twice its error."""
        node = next((one for one in self.world.nodes if one.name == name), None)
        return SECOND * 3 // 2 + (2 * node.off_by_at_most() if node else 0)

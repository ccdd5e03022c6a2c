"""Who held this address then? Questions with the truth, most of them near the moments at which it changes.

What evidence decides. A question (address, time) about a held address is *decidable* when an ideal observer of the
very same lines could be certain of the holder, by two proofs:

- the hold had begun: some line shows the pod with the address; and by then such a line was received, or a line says
  that a container of this sandbox had started, by the node's clock: 1 s for the digits cut off, 0.5 s, and twice the
  error that this clock really has (its Leases tell of it) earlier;
- the hold went on: a line says that a container of this sandbox ended later (with the same margin); or somebody
  looked on for 30 s after and the API still showed it running then. No kubelet keeps an end to itself for longer,
  but one that is cut off from the apiserver: its silence proves nothing.

Two pods never hold one address at once, so that nothing need be known of any other pod. A question about a free
address is decidable when the end of the hold before was received by then, and the next pod to hold it was made at
least a second later, and somebody looked. Nothing here is taken from the inference that is scored: the proofs are
kept by recording.py, which knows of which sandbox a line speaks. Where a time is by the sensor's clock, both proofs
must hold for all that the sensor may mean.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.churn.recording import Recording
from bench.churn.times import SECOND
from bench.churn.truth import NEVER, Hold, Truth

SILENCE = 30 * SECOND
AROUND = tuple(int(by * SECOND) for by in (0.000001, 0.1, 1, 3, 10))


@dataclass(frozen=True)
class Question:
    """time: the truth's. asked: by the clock of who asks. word: what must be said instead of a pod, or empty."""

    cluster: str
    ip: str
    time: int
    asked: int
    holder: Hold | None
    decidable: bool
    looked: bool
    focus: bool
    word: str = ""
    side: str = "dst"
    port: int = 0
    other: str = ""


@dataclass
class Asker:
    """Makes the questions about one recorded world."""

    recording: Recording
    truth: Truth
    born: dict[str, int]
    lost: dict[str, list[list[int]]]
    dice: random.Random
    skew: int = 0

    def ask(self, holds: list[Hold], uniform: int) -> list[Question]:
        """Around each edge of holds, and at random."""
        found = []
        for hold in holds:
            for time in self._moments(hold):
                if self.recording.first < time < self.recording.last:
                    found.append(self.question(hold.ip, time, hold.focus))
        for _ in range(uniform):
            hold = self.dice.choice(holds)
            time = self.dice.randrange(self.recording.first, self.recording.last)
            found.append(self.question(hold.ip, time, False))
        return found

    def _moments(self, hold: Hold) -> Iterator[int]:
        for edge in (hold.start, hold.end):
            for by in AROUND:
                yield from (edge - by, edge + by)
            yield edge
        for _ in range(3):
            yield self.dice.randrange(hold.start, max(hold.end, hold.start + 1))

    def question(self, ip: str, time: int, focus: bool) -> Question:
        """One question, with its truth and whether it can be decided."""
        before, at, after = self.truth.around(ip, time)
        asked = time + (self.dice.randint(-self.skew, self.skew) if self.skew else 0)
        low, high = (asked - self.skew, asked + self.skew) if self.skew else (time, time)
        looked = self.recording.looked(low, high)
        decided = self._held(at, low, high) if at else looked and self._free(before, after, low, high)
        word = at.kind if at and at.kind != "pod" else ""
        return Question(self.recording.cluster, ip, time, asked, at, decided, looked, focus, word)

    def _held(self, hold: Hold, low: int, high: int) -> bool:
        if not (hold.start <= low and high < hold.end):
            return False
        if hold.kind != "pod":
            return self.recording.looked(low, high) and min(low - hold.start, hold.end - high) > SECOND
        return hold.told and hold.proven_start <= low and max(hold.proven_end, self._silence(hold)) > high

    def _silence(self, hold: Hold) -> int:
        """Until when it went on, as nobody who would have had to said otherwise."""
        if not hold.shown_running:
            return -1
        until = min(hold.silent_from, self.recording.last)
        for start, end in reversed(self.recording.gaps):
            if start <= until <= end + SECOND:
                until = start
        for start, end in self.lost.get(hold.node, []):
            if start <= until and hold.start < end:
                until = start
        return until - SILENCE

    def _free(self, before: Hold | None, after: Hold | None, low: int, high: int) -> bool:
        if before is not None and (before.end > low or before.ended_by > low):
            return False
        if after is None:
            return high + SILENCE < self.recording.last and all(end < high for _, end in self.recording.gaps)
        return after.start > high and min(self.born.get(uid, NEVER) for uid in after.uids) - SECOND > high

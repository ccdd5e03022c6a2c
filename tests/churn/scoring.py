"""Answers beside the truth: how often a name was right, wrong, or not given."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from churn.simulated_cluster import Cluster, Held

from enrich.answers import EXACT, UNKNOWN, judge
from enrich.history import ClusterHistory
from enrich.lookup import CANDIDATES
from enrich.sights import address16
from whowas.schema import CONFIDENCES

EDGE = 100_000


class Truth:
    """Who really held each address when; per address the holds do not overlap."""

    def __init__(self, holds: Sequence[Held]) -> None:
        self.by_ip: dict[str, list[Held]] = {}
        for one in sorted(holds, key=lambda one: one.start):
            self.by_ip.setdefault(one.ip, []).append(one)
        self._starts = {ip: [one.start for one in several] for ip, several in self.by_ip.items()}

    def at(self, ip: str, time: int) -> Held | None:
        """The holder at that moment, or None."""
        row = bisect_right(self._starts[ip], time) - 1
        one = self.by_ip[ip][row] if row >= 0 else None
        return one if one is not None and time < one.end else None

    def questions(self, every: int) -> Iterator[tuple[str, int]]:
        """Moments all through each address's story, and just around every true edge."""
        for ip, several in self.by_ip.items():
            yield from ((ip, time) for time in range(several[0].start - every, several[-1].end + every, every))
            for one in several:
                yield from ((ip, edge + by) for edge in (one.start, one.end) for by in (-EDGE, -1, 0, 1, EDGE))


@dataclass
class Score:
    """Counts. `wrong`: certain and wrong, `missed`: the true holder was not even thought possible."""

    answers: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    inside_exact: int = 0
    wrong: list[tuple[str, int, str, str | None]] = field(default_factory=list)
    missed: list[tuple[str, int, str, str]] = field(default_factory=list)


def score(history: ClusterHistory, cluster: Cluster, every: int = 250_000, deep: int = 9_000_000) -> Score:
    """Ask all questions of the truth, compare.

    inside: moments at least `deep` us from both ends of a hold whose pod was not deleted by force: after that
    its containers run on unseen, and nobody can be certain.
    """
    truth = Truth(cluster.truth)
    asked = list(truth.questions(every))
    addresses = np.frombuffer(b"".join(address16(ip) or b"" for ip, _ in asked), dtype=np.uint8).reshape(-1, 16)
    verdicts = judge(history, addresses, np.array([time for _, time in asked], dtype=np.int64), 0)
    found = Score(Counter(CONFIDENCES[code] for code in verdicts.codes.tolist()))
    uids = [history.entities[one].uid for one in history.entity_of]
    for row, (ip, time) in enumerate(asked):
        holder = truth.at(ip, time)
        hold, exact = verdicts.holds[row], verdicts.codes[row] == EXACT
        uid = holder.uid if holder else None
        if exact and uids[hold] != uid:
            found.wrong.append((ip, time, uids[hold], uid))
        if holder is None:
            continue
        possible = {uids[one] for one in verdicts.found.holds[row] if one >= 0}
        # What was never published cannot be known; beyond the candidates that are kept there are more.
        known = (holder.uid, holder.start) in cluster.published and verdicts.codes[row] != UNKNOWN
        if known and holder.uid not in possible and verdicts.found.holds[row, CANDIDATES - 1] < 0:
            found.missed.append((ip, time, CONFIDENCES[verdicts.codes[row]], holder.uid))
        if holder.start + deep <= time < holder.end - deep and holder.uid not in cluster.forced:
            found.inside += 1
            found.inside_exact += int(exact)
    return found

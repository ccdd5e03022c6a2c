"""What the lines of a pod prove of one hold, to somebody who knows of which sandbox each line speaks.

The measure is that of bench/churn/questions.py, taken by the kubelet's truth and nothing of the inference: a status
speaks of the hold in whose second its sandbox became ready, or ceased to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.churn.times import SECOND, read
from bench.churn.truth import NEVER, Hold

# Stamps are cut to seconds; half a second more for clocks, as in the simulated score.
SLACK = SECOND // 2
STAMPED = SECOND + SLACK


@dataclass(frozen=True)
class Told:
    """One line of a pod. ready: the sandbox, and since when (us). runs: (started, finished or None), us."""

    at: int
    gone: bool
    addresses: tuple[str, ...]
    ready: tuple[bool, int] | None
    runs: tuple[tuple[int, int | None], ...]

    @classmethod
    def of(cls, status: dict[str, Any], at: int, gone: bool) -> Told:
        """Read a status."""
        ready = next(((one["status"] == "True", read(one["lastTransitionTime"])) for one in
                      status.get("conditions") or () if one["type"] == "PodReadyToStartContainers"), None)  # fmt: skip
        runs = []
        for box in status.get("containerStatuses") or ():
            for state in (box.get("state") or {}, box.get("lastState") or {}):
                run = state.get("running") or state.get("terminated") or {}
                if run.get("startedAt"):
                    runs.append((read(run["startedAt"]), read(run["finishedAt"]) if run.get("finishedAt") else None))
        return cls(at, gone, tuple(one["ip"] for one in status.get("podIPs") or ()), ready, tuple(runs))

    def speaks_of(self, hold: Hold) -> bool:
        """Say whether the sandbox of this status is that of the hold."""
        if self.ready is None or self.at < hold.start:
            return False
        there, since = self.ready
        turned = hold.start if there else hold.end
        return turned != NEVER and 0 <= since // SECOND - turned // SECOND <= 1


def prove(hold: Hold, lines: list[Told]) -> None:
    """Write into a hold what the lines of one of its pods prove of it."""
    for place, one in enumerate(lines):
        if not one.speaks_of(hold):
            continue
        assert one.ready is not None
        if hold.ip in one.addresses:
            hold.told = True
            hold.proven_start = min(hold.proven_start, one.at)
        if one.ready[0]:
            hold.proven_start = min(hold.proven_start, one.ready[1] + STAMPED)
        for started, finished in one.runs:
            _run(hold, started, finished)
        # A pod that is deleted by force is shown as it was last, and nobody says any more what becomes of it.
        if one.ready[0] and not one.gone and any(finished is None for _, finished in one.runs):
            hold.shown_running = True
            following = lines[place + 1].at if place + 1 < len(lines) else NEVER
            hold.silent_from = max(following, hold.silent_from if hold.silent_from < NEVER else 0)


def _run(hold: Hold, started: int, finished: int | None) -> None:
    """A container of this sandbox ran from .. to."""
    if not hold.start - SECOND < started < hold.end:
        return
    hold.proven_start = min(hold.proven_start, started + STAMPED)
    hold.proven_end = max(hold.proven_end, (started if finished is None else finished) - SLACK)

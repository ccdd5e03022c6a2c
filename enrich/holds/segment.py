"""One sandbox's hold on one address, narrowed by each status that tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from enrich.holds.pod_status import PodStatus, Run
from enrich.holds.time_bounds import SECOND, STAMPED, UNSEEN
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

# Before 1.36 the condition of a sandbox is written with the first status after a container's start: mostly not later.
CONDITION_LATE = 5 * SECOND
# No address: which one a pod had, no status has shown yet.
UNTOLD = bytes(16)


@dataclass(slots=True)
class Segment:
    """A hold: start in [start_min, start_max), end in [end_min, end_max).

    `seen` is when it was last shown as holding, `told` when its end, its deletion or the loss of its sandbox was shown.
    lost: since when its sandbox is shown not to be ready any more. old: the address may be that of the sandbox before,
    which a kubelet tells once more when it has made another: nothing in it is certain. network: "" is the cluster.
    """

    ip: bytes
    start_min: int
    start_max: int
    end_min: int = BEFORE_ALL
    end_max: int = AFTER_ALL
    sandbox_at: int | None = None
    ended: bool = False
    seen: int = BEFORE_ALL
    told: int | None = None
    first: bool = True
    finished: bool = False
    source: str = ""
    runs: tuple[tuple[int, int], ...] = ()
    network: str = ""
    lost: int | None = None
    old: bool = False
    twice: bool = False

    def finishes(self, found: list[Run]) -> list[int]:
        """Return when runs of this sandbox ended: of another sandbox's runs nothing follows."""
        return [one.finished for one in found if one.finished is not None and one.key() in self.runs]

    def end_by(self, bounds: list[int | None]) -> None:
        """The hold is over: the tightest of the upper bounds counts; the first is when it was shown."""
        self.ended = True
        if self.told is None:
            self.told = bounds[0]
        self.end_max = min([self.end_max, *(one for one in bounds if one is not None)])

    def lose(self, since: int, told: int | None) -> None:
        """Its sandbox is not ready any more: the address goes back some seconds later, and nobody tells when."""
        if self.lost is None:
            self.lost = since
        if self.told is None:
            self.told = told

    def lasted(self, runs: list[Run]) -> bool:
        """Runs of this sandbox ended: it stood until then. Returns: whether any did."""
        ends = self.finishes(runs)
        self.end_min = max([self.end_min, *(at - UNSEEN for at in ends)])
        return bool(ends)

    def is_before(self, sight: PodStatus) -> bool:
        """Say whether the sandbox of a status is another, made after this one."""
        if sight.sandbox is None:
            return False
        ready, at = sight.sandbox
        if not ready:
            # Lost since another time: one stood in between. A run nobody was told of may have been in another.
            unseen = bool(self.runs) and any(one.restarts > 0 and one.key() not in self.runs for one in sight.runs)
            return unseen or (self.lost is not None and at > self.lost)
        # What ran in this sandbox did not end before it was ready.
        over = any(end < at for end in self.finishes(sight.runs))
        return over or self.lost is not None or (self.sandbox_at is not None and at > self.sandbox_at)

    def begin(self, sight: PodStatus, fresh: bool, floor: int, old_sandbox: int) -> None:
        """Bound the start from above: ready sandbox, running container, the first write with the address.

        Args: fresh: no status has shown it before. floor: when an earlier sandbox of the pod went on; old_sandbox: when
            the last of these was ready.
        """
        bounds = [self.start_max]
        if self._was_made_twice(sight):
            self.twice, bounds = True, [(self.sandbox_at or 0) + STAMPED]
        if sight.upper is not None:
            bounds.append(sight.upper)
        # Of a later sandbox only what cannot be the earlier one's: times are cut to the second.
        least = BEFORE_ALL if self.first and floor == BEFORE_ALL else self.start_min + STAMPED
        bounds += [one.started + STAMPED for one in self._runs_of(sight, fresh) if one.started >= least]
        if sight.sandbox and sight.sandbox[0] and sight.sandbox[1] > old_sandbox and self.lost is None:
            if self.sandbox_at is None:
                self.sandbox_at = sight.sandbox[1]
            if sight.sandbox[1] + UNSEEN >= self.start_min:
                bounds.append(sight.sandbox[1] + STAMPED)
        self.start_max = max(min(bounds), self.start_min)

    def _runs_of(self, sight: PodStatus, fresh: bool) -> list[Run]:
        """Return the runs of a status that were in this sandbox, and remember them."""
        # Of a pod that is over, seen holding before: it may have had another sandbox since.
        again = sight.terminal and not fresh
        found = [one for one in sight.own if not (again and (one.restarts or self.runs))]
        # What started before this sandbox was ready ran in one before it.
        found = [one for one in found if self.sandbox_at is None or one.started >= self.sandbox_at]
        self.runs += tuple(one.key() for one in found if one.key() not in self.runs)
        return found

    def _was_made_twice(self, sight: PodStatus) -> bool:
        """A run ended in the second in which the sandbox became ready: this may be another, of the same second."""
        if self.twice or self.sandbox_at is None:
            return False
        last = max((one.started, one.restarts) for one in sight.runs) if sight.runs else None
        return any(one.finished == self.sandbox_at and not (sight.terminal and one.key() == last) for one in sight.runs)

    def prove(self, sight: PodStatus, when: int) -> None:
        """It goes on. when: this was shown."""
        if not sight.terminal and self.lost is None and not self.old:
            self.seen = max(self.seen, when)
        for run in sight.runs:
            if run.key() in self.runs:
                proof = run.started if run.finished is None else run.finished
                self.end_min = max(self.end_min, proof - UNSEEN)


def is_old(ip: bytes, sight: PodStatus, closed: list[Segment]) -> bool:
    """Say whether an address that a sandbox had may be told once more, though another sandbox stands by now.

    When a kubelet (1.36) has made a sandbox anew, it first tells of it with the address and the containers of the one
    before; so for as long as an image is pulled. What ran in the new sandbox only tells that the address is its own.
    """
    if sight.sandbox is None:
        return False
    at = sight.sandbox[1]
    known = any(
        one.ip == ip and (one.lost is not None or one.sandbox_at is None or at > one.sandbox_at) for one in closed
    )
    return known and not has_new_run(sight, closed)


def is_of_another(sight: PodStatus) -> bool:
    """Say whether a status first seen may tell of a sandbox with the address and the containers of the one before."""
    if sight.sandbox is None or not sight.sandbox[0]:
        return False
    running = [one.started for one in sight.runs if one.finished is None]
    return bool(running) and max(running) < sight.sandbox[1] - CONDITION_LATE


def has_new_run(sight: PodStatus, closed: list[Segment]) -> bool:
    """Say whether a run was in the ready sandbox that a status shows, and in none before."""
    if sight.sandbox is None or not sight.sandbox[0]:
        return False
    before = {key for one in closed for key in one.runs}
    return any(one.started >= sight.sandbox[1] and one.key() not in before for one in sight.runs)

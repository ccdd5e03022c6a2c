"""Findings on their way to several places, each at its own pace: one that is down holds up none and loses nothing.

    outlets = [Outlet("topic", AlertTopics(...), ocsf.view), Outlet("hook", Webhook(...), ecs.view, least="high")]
    alerts = Alerts(outlets)
    alerts.check()                                          # before the first flow
    judge.acknowledge(alerts.send(judge.pending()))                # as often as you like; never waits
    judge.acknowledge(alerts.flush(10.0)); judge.commit(); alerts.close()   # at the end

The judge is the queue that lasts: it offers a finding again and again until it is told that the finding was delivered.
Here is only known, in memory, which place has which revision. After a crash a place may get a finding twice (its uid
and revision say so); none misses one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detect.model import LEVELS, Finding
from whowas.backoff import Backoff
from whowas.errors import ConfigError, WhowasError
from whowas.stages import Alert, AlertSink

View = Callable[[Finding], Mapping[str, Any]]

# So many findings are on their way at once; what is over stays with the judge, who offers it again.
MOST_OPEN = 10_000
# So many are given to a sink before it is asked whether they arrived.
TOGETHER = 200
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# How long a sink is waited for before it is looked whether the end has come.
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Outlet:
    """A place for alerts. name: unique, for people and metrics. view: how a finding is written.

    least: findings below this level are not for this place.
    """

    name: str
    sink: AlertSink
    view: View
    least: str = LEVELS[0]

    def __post_init__(self) -> None:
        """Raises: ConfigError when `least` is no level."""
        if self.least not in LEVELS:
            raise ConfigError(f"cannot send from level '{self.least}' on: say one of {', '.join(LEVELS)}")

    def wants(self, finding: Finding) -> bool:
        """Say whether a finding goes here. A level that is no level is never too low."""
        level = finding.rule.level
        return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.least)


@dataclass
class _Way:
    """A finding that has not arrived everywhere: its newest revision, and what each place has."""

    newest: Finding
    reached: dict[str, Finding | None]
    told: int = -1


class Alerts:
    """Sends findings to outlets, a thread each. Use it from one thread.

    counts: per outlet `delivered`, `failures` (attempts that failed) and `refused` (kept in dead letters); under ""
    `deferred` (offers that were not taken, because too many are open) and `unwanted` (no outlet takes their level).
    """

    def __init__(self, outlets: Sequence[Outlet], most_open: int = MOST_OPEN) -> None:
        self._moving = threading.Condition()
        self._couriers = {one.name: _Courier(one, self._moving) for one in outlets}
        self._ways: dict[str, _Way] = {}
        self._most_open = most_open
        self._own: Counter[str] = Counter()

    def check(self) -> None:
        """Refuse before the first flow what could not be delivered. Raises: OutputError, BrokerError, ConfigError."""
        for one in self._couriers.values():
            one.outlet.sink.check()

    def send(self, findings: Sequence[Finding]) -> list[Finding]:
        """Take findings with news; return those that have arrived wherever they should, since the last call.

        Never waits for a sink. What is offered again is not sent again; a higher revision replaces a lower one that
        still waits. A returned finding says which revision arrived: there may be newer ones on their way.
        """
        with self._moving:
            for one in findings:
                self._take(one)
            self._moving.notify_all()
            return self._arrived()

    def flush(self, seconds: float) -> list[Finding]:
        """Return as `send` does, but only when everything has arrived or the time is over."""
        end = time.monotonic() + seconds
        found: list[Finding] = []
        with self._moving:
            while True:
                found += self._arrived()
                left = end - time.monotonic()
                if not self._ways or left <= 0:
                    return found
                self._moving.wait(min(left, LOOK_SECONDS))

    @property
    def open(self) -> int:
        """How many findings have not arrived everywhere."""
        with self._moving:
            return len(self._ways)

    def on_the_way(self) -> frozenset[str]:
        """The uids of findings that have not arrived everywhere: they need not be offered again."""
        with self._moving:
            return frozenset(self._ways)

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """What happened so far."""
        return {"": Counter(self._own)} | {name: one.told() for name, one in self._couriers.items()}

    def troubles(self) -> dict[str, str]:
        """Return, of each outlet that does not get on, why."""
        return {
            name: trouble for name, one in self._couriers.items() if (trouble := one.trouble or one.outlet.sink.trouble)
        }

    def close(self, seconds: float = 5.0) -> None:
        """End the threads and close the sinks. What has not arrived stays undelivered with the judge."""
        with self._moving:
            for one in self._couriers.values():
                one.closing = True
            self._moving.notify_all()
        end = time.monotonic() + seconds
        for one in self._couriers.values():
            one.end(max(0.0, end - time.monotonic()))

    def _take(self, finding: Finding) -> None:
        way = self._ways.get(finding.uid)
        if way is not None and way.newest.revision >= finding.revision:
            return
        if way is None and len(self._ways) >= self._most_open:
            self._own["deferred"] += 1
            return
        wanting = [one for one in self._couriers.values() if one.outlet.wants(finding)]
        if not wanting:
            self._own["unwanted"] += 1
        if way is None:
            way = self._ways[finding.uid] = _Way(finding, {one.outlet.name: None for one in wanting})
        way.newest = finding
        for one in wanting:
            one.take(finding)

    def _arrived(self) -> list[Finding]:
        """What every place that wants it has by now."""
        moved = {uid for uid, way in self._ways.items() if not way.reached}
        for name, one in self._couriers.items():
            for uid, finding in one.arrivals():
                self._ways[uid].reached[name] = finding
                moved.add(uid)
        return [found for uid in sorted(moved) if (found := self._settle(uid)) is not None]

    def _settle(self, uid: str) -> Finding | None:
        way = self._ways[uid]
        reached = list(way.reached.values()) or [way.newest]
        least = min(reached, key=lambda one: -1 if one is None else one.revision)
        if least is None or least.revision <= way.told:
            return None
        way.told = least.revision
        if least.revision >= way.newest.revision:
            del self._ways[uid]
        return least


@dataclass
class _Courier:
    """Carries findings to one outlet. Everything but `_carry` happens under the common lock."""

    outlet: Outlet
    moving: threading.Condition
    waiting: dict[str, Finding] = field(default_factory=dict)
    done: list[tuple[str, Finding]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    trouble: str = ""
    closing: bool = False
    thread: threading.Thread | None = None

    def take(self, finding: Finding) -> None:
        """Put a finding in line; an older revision that still waits gives it its place."""
        self.waiting[finding.uid] = finding
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, name=f"alerts-{self.outlet.name}", daemon=True)
            self.thread.start()

    def arrivals(self) -> list[tuple[str, Finding]]:
        """Return, once, what has arrived."""
        found, self.done = self.done, []
        return found

    def told(self) -> Counter[str]:
        """Return the counts with those of the sink."""
        return self.counts + Counter(refused=self.outlet.sink.refused)

    def end(self, seconds: float) -> None:
        """Wait for the thread, which closes the sink. A sink that hangs is left behind."""
        if self.thread is None:
            self.outlet.sink.close()
        else:
            self.thread.join(seconds)

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, steady=1.0)
        while batch := self._next():
            if self._carried(batch):
                backoff.healthy()
                continue
            with self.moving:
                self._again(batch)
                self.moving.wait_for(lambda: self.closing, backoff.pause())
        self._guard(self.outlet.sink.close)

    def _next(self) -> list[Finding]:
        """The next ones in line; none at the end."""
        with self.moving:
            self.moving.wait_for(lambda: self.closing or self.waiting)
            if self.closing:
                return []
            uids = list(self.waiting)[:TOGETHER]
            return [self.waiting.pop(uid) for uid in uids]

    def _again(self, batch: list[Finding]) -> None:
        """Put back in front what did not arrive, unless a newer revision waits."""
        self.counts["failures"] += 1
        self.waiting = {one.uid: one for one in batch} | self.waiting

    def _carried(self, batch: list[Finding]) -> bool:
        if not self._guard(lambda: self._carry(batch)):
            return False
        with self.moving:
            self.trouble = ""
            self.counts["delivered"] += len(batch)
            self.done += [(one.uid, one) for one in batch]
            self.moving.notify_all()
        return True

    def _carry(self, batch: list[Finding]) -> bool:
        sink, view = self.outlet.sink, self.outlet.view
        sink.send([Alert(one.uid, one.rule.level, one.rule.topic, view(one)) for one in batch])
        while not sink.flush(LOOK_SECONDS):
            if self.closing:
                return False
        return True

    def _guard(self, act: Callable[[], bool | None]) -> bool:
        """Whether it went well; what went wrong is kept in words, and no error ends the thread."""
        try:
            return act() is not False
        except WhowasError as error:
            self.trouble = str(error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must be seen and must not stop the alerts
            self.trouble = f"cannot send alerts to '{self.outlet.name}': {type(error).__name__}: {error}; report this"
        return False

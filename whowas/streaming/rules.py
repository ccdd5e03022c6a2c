"""Rules on the named flows of one worker: each flow is judged once, and what is found goes out at its own pace.

How far each partition was judged is kept in one transaction with what was counted and found; what comes again after a
crash is left out. So the offsets of the flows may be committed as soon as that is durable: alerts need not have
arrived, the judge offers them again until they have.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from detect.judge.judge import Judge
from detect.judge.limits import Limits
from detect.judge.silences import Silences
from detect.judge.state import State
from detect.model import Finding, RuleSet
from detect.pack import rule_paths
from detect.sigma.loader import load
from detect.site import load_site
from whowas.errors import OutputError, StoreBusyError
from whowas.kafka import Partition
from whowas.settings import Rules, StreamConfig
from whowas.streaming.alert_delivery import Alerts
from whowas.streaming.alert_outlets import outlets
from whowas.streaming.partition_queue import PartitionBatch
from whowas.streaming.vitals import JudgingVitals

LOOK_SECONDS = 0.5
FLUSH_SECONDS = 2.0
# Findings with their evidence are heavy: so many leave the judge in one look.
AT_ONCE = 500


class EventTime:
    """Up to when flows have come, as well as their own times tell.

    A partition that is still behind holds it back; one that has nothing to read does not.
    """

    def __init__(self) -> None:
        self._newest: dict[Partition, int] = {}
        self._told = 0

    def saw(self, partition: Partition, start_us: int) -> None:
        """A flow of a partition began then."""
        self._newest[partition] = max(self._newest.get(partition, 0), start_us)

    def forget(self, partition: Partition) -> None:
        """It is no longer ours."""
        self._newest.pop(partition, None)

    def until(self, behind: Sequence[Partition]) -> int:
        """Return the time in us; it never goes back. behind: partitions of which more waits to be read."""
        if any(one not in self._newest for one in behind):
            return self._told
        times = [self._newest[one] for one in behind] or list(self._newest.values())
        reached = min(times) if behind else max(times, default=0)
        self._told = max(self._told, reached)
        return self._told


class Judging:
    """What a worker does with its rules. Everything but `vitals` belongs to the worker's thread."""

    def __init__(self, config: StreamConfig) -> None:
        assert config.rules is not None
        self._state = _state(config.rules.state)
        self._time = EventTime()
        self._looked_at = 0.0
        self._untold = False
        self._waiting = 0
        try:
            self._judge = judge_of(config, self._state)
        except BaseException:
            self._state.close()
            raise
        self._alerts = Alerts(outlets(config, self._judge.ruleset))

    def check(self) -> None:
        """Refuse before the first read what could not be delivered. Raises: OutputError, BrokerError, ConfigError."""
        self._alerts.check()

    def judged(self, partition: Partition) -> int:
        """Return the offset before which everything was judged; 0 where nothing was."""
        return max(self._judge.judged(str(partition)), 0)

    def take(self, lot: PartitionBatch) -> None:
        """Judge what of a lot was not judged before."""
        origin = str(lot.partition)
        new = lot.range(self.judged(lot.partition))
        for part, flows in zip(lot.parts, new.batches, strict=True):
            self._judge.judge(flows, origin, part.chunk.last + 1)
            if flows.num_rows:
                newest = pc.max(flows.column("start_time")).cast("int64").as_py()
                self._time.saw(lot.partition, newest or 0)

    def commit(self, behind: Sequence[Partition]) -> None:
        """Close what time has closed, and make everything durable. Raises: OutputError where it can be tried again."""
        self._judge.advance(self._time.until(behind))
        self._commit()

    def _commit(self) -> None:
        try:
            self._judge.commit()
        except StoreBusyError as error:
            raise OutputError(str(error)) from error
        self._untold = False

    def forget(self, partition: Partition) -> None:
        """A partition went to another worker."""
        self._time.forget(partition)

    def renew(self, config: StreamConfig) -> None:
        """Judge by the rules, lists and silences as they are now. Raises: ConfigError; then nothing has changed."""
        loaded = ruleset_of(config)
        self._commit()
        self._judge = judge_of(config, self._state, loaded)

    def look(self) -> None:
        """Send what is news, and remember what has arrived. Never waits."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._send()

    def _send(self) -> bool:
        """Offer what is news; return whether there is more than could be offered at once."""
        found = self._judge.pending(AT_ONCE, skip=self._alerts.on_the_way())
        more = len(found) == AT_ONCE
        self._waiting = max(self._judge.waiting() - len(found), 0) if more else 0
        self._tell(self._alerts.send(found))
        return more

    def _tell(self, arrived: Sequence[Finding]) -> None:
        if arrived:
            self._judge.acknowledge(arrived)
            self._untold = True

    def finish(self) -> None:
        """Wait a little for what is on its way; the rest is offered again by the next run. Raises: OutputError."""
        until = time.monotonic() + FLUSH_SECONDS
        more = True
        while more and time.monotonic() < until:
            more = self._send()
            self._tell(self._alerts.flush(max(until - time.monotonic(), 0.0)))
        if self._untold:
            self._commit()

    def close(self) -> None:
        """Give back what is held."""
        self._alerts.close()
        self._judge.close()

    def vitals(self) -> JudgingVitals:
        """Return how it goes."""
        return JudgingVitals(
            rules=len(self._judge.ruleset.rules) + len(self._judge.ruleset.correlations),
            judged=Counter(dict(self._judge.counts)),
            outlets={name: Counter(one) for name, one in self._alerts.counts.items()},
            troubles=dict(self._alerts.troubles()),
            undelivered=self._alerts.open + self._waiting,
        )


def _state(path: str) -> State:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder of '{path}': {error.strerror}; see [rules] state") from error
    return State(path)


def ruleset_of(config: StreamConfig) -> RuleSet:
    """Load the rules of a configuration. Raises: ConfigError naming file and line of all that is refused."""
    assert config.rules is not None
    return load(rule_paths(config.rules.paths), load_site(config.rules.site)).ruleset


def judge_of(config: StreamConfig, state: State, ruleset: RuleSet | None = None) -> Judge:
    """Return the judge of a configuration."""
    told = config.rules
    assert told is not None
    silences = Silences.load(told.silences) if told.silences is not None else Silences()
    ruleset = ruleset or ruleset_of(config)
    silences.check(ruleset.infos())
    limits = Limits(alerts_per_minute=told.alerts_per_minute)
    lateness_us = round(told.lateness_seconds * 1e6)
    return Judge(ruleset, state, lateness_us, silences, limits)


def files_of(rules: Rules) -> list[str | None]:
    """Return the files that, when they change, change what is found."""
    found: list[str | None] = [rules.site, rules.silences]
    for path in rule_paths(rules.paths):
        files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        found += [str(one) for one in files]
    return found

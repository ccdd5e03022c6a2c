"""Rules on the named flows of one worker: each flow is judged once, and what is found goes out at its own pace.

How far each partition was judged is kept in one transaction with what was counted and found; what comes again after a
crash is left out. So the offsets of the flows may be committed as soon as that is durable: alerts need not have
arrived, the judge offers them again until they have.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from detect.judging import Judge
from whowas.alerting import Alerts
from whowas.brokers import Partition
from whowas.streaming.lanes import Lot

LOOK_SECONDS = 0.5
FLUSH_SECONDS = 3.0


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
    """What a worker does with its rules. Everything but `counts` belongs to the worker's thread."""

    def __init__(self, judge: Judge, alerts: Alerts) -> None:
        self._judge = judge
        self._alerts = alerts
        self._time = EventTime()
        self._looked_at = 0.0
        self._untold = False

    def check(self) -> None:
        """Refuse before the first read what could not be delivered. Raises: OutputError, BrokerError, ConfigError."""
        self._alerts.check()

    def judged(self, partition: Partition) -> int:
        """Return the offset before which everything was judged."""
        return self._judge.judged(str(partition))

    def take(self, lot: Lot) -> None:
        """Judge what of a lot was not judged before."""
        new = lot.range(self.judged(lot.partition))
        for flows in new.batches:
            self._judge.judge(flows)
            if flows.num_rows:
                newest = pc.max(flows.column("start_time")).cast("int64").as_py()
                self._time.saw(lot.partition, newest or 0)
        self._judge.reach(str(lot.partition), lot.next)

    def commit(self, behind: Sequence[Partition]) -> None:
        """Close what time has closed, and make everything durable. Raises: OutputError."""
        self._judge.advance(self._time.until(behind))
        self._judge.commit()
        self._untold = False

    def forget(self, partition: Partition) -> None:
        """A partition went to another worker."""
        self._time.forget(partition)

    def look(self) -> None:
        """Send what is news, and remember what has arrived. Never waits."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._tell(self._alerts.send(self._judge.pending()))

    def _tell(self, arrived: Sequence[Any]) -> None:
        if arrived:
            self._judge.told(arrived)
            self._untold = True

    def finish(self) -> None:
        """Wait a little for what is on its way; the rest is offered again by the next run."""
        self._alerts.send(self._judge.pending())
        self._tell(self._alerts.flush(FLUSH_SECONDS))
        if self._untold:
            self._judge.commit()

    def close(self) -> None:
        """Give back what is held."""
        self._alerts.close()
        self._judge.close()

    def counts(self) -> Mapping[str, Counter[str]]:
        """Return what happened: of the judge under "", of each place for alerts under its name."""
        told = {name: Counter(one) for name, one in self._alerts.counts.items()}
        told[""] = told.get("", Counter()) + Counter(self._judge.counts)
        return told

    def troubles(self) -> Mapping[str, str]:
        """Return, of each place for alerts that does not get on, why."""
        return self._alerts.troubles()

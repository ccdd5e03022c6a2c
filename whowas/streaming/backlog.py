"""Counts and bounds what a worker holds, and measures the lag behind it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ingest.kafka.consumer import Consumer
from whowas.kafka import Partition
from whowas.streaming.delivery import Delivery
from whowas.streaming.partition_queue import PartitionBatch, PartitionQueue

POLL_MOST = 50_000
LAG_EVERY_SECONDS = 5.0


class Backlog:
    """The lanes of a worker's partitions, and the delivery that is under way. Other threads may ask how much that is.

    Args: most: what may be held; beyond it nothing is read. full: whether that is so. lags: records that are not
    delivered, by partition, as far as it is known.
    """

    def __init__(self, most: int) -> None:
        self.lanes: dict[Partition, PartitionQueue] = {}
        self.delivery: Delivery | None = None
        self.full = False
        self.lags: dict[Partition, int] = {}
        self._most = most
        self._stuck: set[Partition] = set()
        self._lag_due = 0.0

    def take_ready(self) -> list[PartitionBatch]:
        """Take what is named, a lot a lane."""
        return [lot for lane in self.lanes.values() if (lot := lane.take_ready()) is not None]

    # How much it is.

    def weight(self) -> int:
        """Return what counts against the bound on memory."""
        delivery = self.delivery
        return sum(one.weight for one in list(self.lanes.values())) + (delivery.weight() if delivery else 0)

    def records(self) -> int:
        """Return how many records would be read again."""
        return sum(one.records for one in list(self.lanes.values())) + self._delivering()

    def undelivered_records(self) -> int:
        """Return how many of them are named."""
        ready = sum(one.chunk.records for lane in list(self.lanes.values()) for one in list(lane.ready))
        return ready + self._delivering()

    def _delivering(self) -> int:
        delivery = self.delivery
        return sum(lot.records() for lot in list(delivery.lots.values())) if delivery else 0

    # How much more may come.

    def room(self) -> int:
        """Return how many records may come with one poll."""
        return min(POLL_MOST, max(self._most - self.weight(), self._most // 10, 1))

    def pace(self, consumer: Consumer, stuck: set[Partition]) -> None:
        """Stop reading while too much is held: Kafka keeps the rest. Polling goes on, or the group gives us up.

        stuck: partitions that are to wait in any case.
        """
        weight, stuck = self.weight(), stuck & self.lanes.keys()
        if weight >= self._most:
            # Again each time: a partition that came meanwhile would run on.
            consumer.pause(list(self.lanes))
            self.full = True
        elif self.full and weight < self._most * 0.8:
            consumer.resume(list(self.lanes))
            self.full = False
        if stuck:
            consumer.pause(stuck)
        if not self.full and self._stuck - stuck:
            consumer.resume(self._stuck - stuck)
        self._stuck = stuck

    # What waits.

    def lag_is_due(self) -> bool:
        """Return whether to ask for lags again, and say that it is done."""
        due = time.monotonic() >= self._lag_due
        if due:
            self._lag_due = time.monotonic() + LAG_EVERY_SECONDS
        return due

    def ask_lags(self, consumer: Consumer, probed: Sequence[Partition]) -> None:
        """Ask what waits; without partitions for those that are `probed`. Raises: BrokerError."""
        for one, (_, end) in consumer.bounds(list(self.lanes) or probed).items():
            if one in self.lanes:
                self.lags[one] = max(end - self._undelivered(self.lanes[one], end), 0)

    def _undelivered(self, lane: PartitionQueue, end: int) -> int:
        """The first offset that is not done with; the end where nothing was read yet."""
        lot = self.delivery.lots.get(lane.partition) if self.delivery else None
        parts = [*(lot.parts if lot else ()), *lane.ready]
        chunks = [one.chunk for one in parts[:1]] or [one for one, _ in zip(lane.waiting, range(1), strict=False)]
        return chunks[0].first if chunks else lane.next if lane.next >= 0 else end

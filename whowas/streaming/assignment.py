"""Follows the group's assignment: partitions gained and lost, their outputs claimed."""

from __future__ import annotations

from collections import deque

from ingest.kafka.consumer import Consumer, Owning
from whowas.kafka import Partition
from whowas.kafka_topics import describe
from whowas.settings import StreamConfig
from whowas.streaming.backlog import Backlog
from whowas.streaming.claims import Claims
from whowas.streaming.delivery import Outputs
from whowas.streaming.parsing import RecordParser
from whowas.streaming.partition_queue import PartitionQueue
from whowas.streaming.retries import Retries
from whowas.streaming.vitals import Counts


class Assignment:
    """The partitions that are ours. What a client says is noted, and takes effect with `rebalance`."""

    def __init__(
        self,
        config: StreamConfig,
        outputs: Outputs,
        held: Backlog,
        parsing: RecordParser,
        troubles: Retries,
        counts: Counts,
    ) -> None:
        self._config, self._outputs, self._held, self._parsing = config, outputs, held, parsing
        self._troubles, self._counts = troubles, counts
        # A client may call from a thread of its own: a deque is appended to and taken from in one step.
        self._changes: deque[tuple[str, list[Partition]]] = deque()
        latest = config.input.folder is None and config.input.start == "latest"
        self._claims = Claims(outputs, latest, counts.expired, self._topic_id)

    def owning(self) -> Owning:
        """Return what a client calls when partitions come or go, from whatever thread."""
        return Owning(self._gained, self._lost)

    def _gained(self, partitions: list[Partition]) -> None:
        self._changes.append(("gained", partitions))

    def _lost(self, partitions: list[Partition]) -> None:
        self._changes.append(("lost", partitions))

    def rebalance(self) -> None:
        """Forget what is lost, before anything else is done: its next owner may have begun."""
        while self._changes:
            change, partitions = self._changes.popleft()
            self._counts.rebalances += 1
            self._held.full = False
            for partition in partitions:
                self._forget(partition)
                if change == "gained":
                    self._held.lanes[partition] = PartitionQueue(partition)

    def _forget(self, partition: Partition) -> None:
        lane = self._held.lanes.pop(partition, None)
        lot = self._held.delivery.forget(partition) if self._held.delivery is not None else None
        if lane is not None:
            self._counts.forgotten[partition.topic] += lane.records + (lot.records() if lot else 0)
        self._held.lags.pop(partition, None)
        self._parsing.forget(partition)
        if self._outputs.parquet is not None:
            self._outputs.parquet.release(partition)
        if self._outputs.judging is not None:
            self._outputs.judging.forget(partition)

    def claim(self, consumer: Consumer) -> None:
        """Take hold of the output of each new partition; its last owner may still be busy with it."""
        wanted = [lane for lane in self._held.lanes.values() if not lane.claimed]
        if not wanted or not self._troubles.allowed("claim"):
            return
        with self._troubles.attempt("claim"):
            self._claims.claim(wanted, consumer)

    def _topic_id(self, topic: str) -> str:
        kafka = self._config.kafka
        return "" if self._config.input.folder is not None else describe(kafka.client, kafka.options, topic).id

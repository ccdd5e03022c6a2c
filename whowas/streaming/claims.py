"""Prepares a new partition: start offset, output claim, retention check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ingest.kafka.consumer import Consumer
from whowas.errors import ConfigError
from whowas.kafka import Partition
from whowas.streaming.delivery import Outputs
from whowas.streaming.partition_queue import PartitionQueue


class Claims:
    """Takes hold of partitions that came. latest: a group without offsets begins at the end. expired: by topic.

    topic_id: tells which topic of its name one is; "" where nobody knows.
    """

    def __init__(self, outputs: Outputs, latest: bool, expired: Counter[str], topic_id: Callable[[str], str]) -> None:
        self._outputs, self._latest, self._expired, self._topic_id = outputs, latest, expired, topic_id

    def claim(self, lanes: Sequence[PartitionQueue], consumer: Consumer) -> None:
        """Claim what can be claimed now; of the rest the last owner may still be busy with the output.

        Raises: BrokerError, OutputError; ConfigError for a topic that is not the one it was.
        """
        if self._latest:
            self._begin([one for one in lanes if not one.begun], consumer)
            lanes = [one for one in lanes if one.begun]
        parquet = self._outputs.parquet
        mine = [one for one in lanes if parquet is None or parquet.claim(one.partition)]
        if mine:
            self._check([one.partition for one in mine], consumer)
        for one in mine:
            one.claimed = True

    def _begin(self, lanes: Sequence[PartitionQueue], consumer: Consumer) -> None:
        """Commit where each begins that the group never committed: whoever has it next would begin at the end of then.

        What came in between would be skipped, and with it all that this worker holds when it is killed.
        """
        new = [one for one in lanes if one.start is None]
        if new:
            self._fix_starts(new, consumer)
        starts = {one.partition: one.start for one in lanes if one.start is not None and not one.begun}
        if consumer.commit(starts):
            for one in lanes:
                one.begun = True

    def _fix_starts(self, lanes: Sequence[PartitionQueue], consumer: Consumer) -> None:
        committed = consumer.committed([one.partition for one in lanes])
        new = []
        for one in lanes:
            one.begun = one.partition in committed
            if not one.begun:
                new.append(one)
        bounds = consumer.bounds([one.partition for one in new])
        for one in new:
            if one.waiting:
                one.start = one.waiting[0].first
                continue
            # The client looks for the end by itself, a moment before or after us: it goes where we say.
            starts = consumer.begin_at({one.partition: bounds[one.partition][1]})
            one.start = one.next = starts[one.partition]

    def _check(self, partitions: list[Partition], consumer: Consumer) -> None:
        """Count what Kafka deleted before it was read. Raises: ConfigError for a topic that is not the one it was."""
        bounds, committed = consumer.bounds(partitions), consumer.committed(partitions)
        parquet = self._outputs.parquet
        if parquet is not None:
            ids = {topic: self._topic_id(topic) for topic in {one.topic for one in partitions}}
            for one in partitions:
                parquet.identify(one, ids[one.topic])
        for one in partitions:
            first, end = bounds[one]
            self._expired[one.topic] += max(first - committed.get(one, first), 0)
            written = self._outputs.written(one)
            if written > end:
                raise ConfigError(
                    f"cannot go on with {one}: its files go up to offset {written - 1}, but the topic ends at "
                    f"{end}: it was recreated or has lost records; start in a new folder with a new group"
                )
            judged = self._outputs.judging.judged(one) if self._outputs.judging is not None else 0
            if judged > end:
                raise ConfigError(
                    f"cannot go on with {one}: its flows were judged up to offset {judged - 1}, but the topic ends at "
                    f"{end}: it was recreated or has lost records; give [rules] a new state, and the group a new name"
                )

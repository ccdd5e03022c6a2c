"""What is done with named flows, in the one order in which nothing is lost and nothing doubled.

For the lots of one delivery, each of which is a range of offsets of one partition:

1. dead letters: on disk, or sent;
2. Parquet: each lot's files are on disk and its mark replaced (sinks/flows/offset_ranges.py); what the mark
   covered already, because the group had not heard of it, is left out;
3. rules: each lot is judged; what was counted and found is durable with how far it was judged (rules.py);
4. Kafka, at least once: everything sent, dead letters too, is acknowledged by every replica in sync;
5. Kafka, in transactions: flows and offsets are committed together; else
6. offsets: committed to the consumer group.

Killed before 6 (or 5), the group reads the lots again: Parquet leaves out what its mark covers, the rules what they
judged, Kafka gets the same messages with the same keys, or the transaction was never seen. Whatever step fails is tried
again, and no later one begins before it is done. Alerts are no step: findings are durable since 3, and offered to
whoever wants them until they have arrived.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ingest.kafka.consumer import Consumer
from sinks.flows.dead_letters import DeadLetterFiles
from sinks.flows.offset_ranges import Range, RangeFiles
from sinks.kafka.producer import Producer
from whowas.kafka import BrokerError, Partition
from whowas.settings import KafkaOutput
from whowas.streaming.messages import dead_letters, messages
from whowas.streaming.partition_queue import PartitionBatch

if TYPE_CHECKING:
    from whowas.streaming.rules import Judging

ACKNOWLEDGED_SECONDS = 2.0


class Outputs:
    """Where named flows and dead letters go. What is None is not asked for."""

    def __init__(
        self,
        parquet: RangeFiles | None,
        topic: KafkaOutput | None,
        letter_files: DeadLetterFiles | None,
        letter_topic: str | None,
        producer: Callable[[str | None], Producer],
        transactional_id: str,
        judging: Judging | None = None,
    ) -> None:
        self.parquet = parquet
        self.topic = topic
        self.letter_files = letter_files
        self.letter_topic = letter_topic
        self.judging = judging
        self._transactional_id = transactional_id
        self._connect = producer
        self._producers: dict[str | None, Producer] = {}

    @property
    def transactions(self) -> bool:
        """Whether flows and offsets are committed together."""
        return self.topic is not None and self.topic.delivery == "transactions"

    def producer(self, transactional: bool) -> Producer:
        """Return the producer, made when it is first needed or after it was given up. Raises: BrokerError."""
        name = self._transactional_id if transactional else None
        if name not in self._producers:
            self._producers[name] = self._connect(name)
        return self._producers[name]

    def renew(self, transactional: bool) -> None:
        """Give up a producer that cannot go on."""
        old = self._producers.pop(self._transactional_id if transactional else None, None)
        if old is not None:
            with suppress(BrokerError):
                old.close()

    def send(self, flows: Any, revision: int | None) -> None:
        """Send flows now, where that is allowed: not in transactions. Raises: BrokerError."""
        if self.topic is not None and not self.transactions and flows.num_rows:
            made = messages(flows, self.topic.format, revision)
            self.producer(transactional=False).send(self.topic.topic, made)

    def acknowledged(self) -> bool:
        """Return whether all that was sent has arrived. Raises: BrokerError."""
        plain = self._producers.get(None)
        return plain is None or plain.flush(ACKNOWLEDGED_SECONDS)

    def written(self, partition: Partition) -> int:
        """Return the offset before which Parquet has everything; 0 where it has nothing."""
        return (self.parquet.next(partition) or 0) if self.parquet is not None else 0

    def close(self) -> None:
        """Let go of everything."""
        for one in list(self._producers.values()):
            with suppress(BrokerError):
                one.close()
        if self.parquet is not None:
            self.parquet.close()
        if self.judging is not None:
            self.judging.close()


class Delivery:
    """Some lots on their way out: `write`, then `commit`, each until it is done; after an error, again, later."""

    def __init__(self, outputs: Outputs, lots: Sequence[PartitionBatch]) -> None:
        self.lots = {one.partition: one for one in lots}
        self.began = time.monotonic()
        self.repeated: Counter[str] = Counter()
        self._outputs = outputs
        self._lettered: set[Partition] = set()
        self._written: set[Partition] = set()
        self._ranges: dict[Partition, Range] = {}
        self._judged: set[Partition] = set()
        self._durable = True
        self._unsure = False

    def forget(self, partition: Partition) -> PartitionBatch | None:
        """Leave out a partition that now belongs to somebody else, who reads it again."""
        return self.lots.pop(partition, None)

    def weight(self) -> int:
        """Return what it counts against the bound on memory."""
        return sum(one.weight() for one in self.lots.values())

    def offsets(self) -> dict[Partition, int]:
        """Return what is to be committed."""
        return {one.partition: one.next for one in self.lots.values()}

    def write(self, behind: Sequence[Partition] = ()) -> bool:
        """Do what is left of steps 1 to 4. Returns: whether they are done. Raises: OutputError, BrokerError.

        behind: partitions of which more waits to be read.
        """
        for lot in self.lots.values():
            self._letters(lot)  # 1
        for lot in self.lots.values():
            self._parquet(lot)  # 2
        self._judge(behind)  # 3
        return self._outputs.acknowledged()  # 4

    def commit(self, consumer: Consumer) -> bool:
        """Do step 5 or 6, after the others. Returns: whether the broker has confirmed it. Raises: BrokerError."""
        if not self.lots:
            return True
        if self._outputs.transactions:
            self._transaction(consumer)  # 5
            return True
        return consumer.commit(self.offsets())  # 6

    def _letters(self, lot: PartitionBatch) -> None:
        written = self._outputs.written(lot.partition)
        letters = [one for one in lot.letters() if one.offset >= written]
        if lot.partition in self._lettered or not letters:
            return
        if self._outputs.letter_files is not None:
            self._outputs.letter_files.write(letters)
        elif self._outputs.letter_topic is not None:
            self._outputs.producer(transactional=False).send(self._outputs.letter_topic, dead_letters(letters))
        self._lettered.add(lot.partition)

    def _parquet(self, lot: PartitionBatch) -> None:
        if self._outputs.parquet is not None and lot.partition not in self._written:
            # Cut once: what a failed try has written is not what came again.
            if lot.partition not in self._ranges:
                self._ranges[lot.partition] = lot.range(self._outputs.written(lot.partition))
            new = self._ranges[lot.partition]
            self._outputs.parquet.write(new)
            self._written.add(lot.partition)
            self.repeated[lot.partition.topic] += lot.rows() - sum(batch.num_rows for batch in new.batches)

    def _judge(self, behind: Sequence[Partition]) -> None:
        judging = self._outputs.judging
        if judging is None:
            return
        for lot in self.lots.values():
            if lot.partition not in self._judged:
                judging.take(lot)
                self._judged.add(lot.partition)
                self._durable = False
        if not self._durable:
            judging.commit(behind)
            self._durable = True

    def _transaction(self, consumer: Consumer) -> None:
        """All flows and offsets, or nothing: after a failure the whole transaction is made again."""
        topic = self._outputs.topic
        assert topic is not None
        producer = self._outputs.producer(transactional=True)
        if self._unsure and self._was_committed(consumer):
            return
        self._unsure = True
        try:
            producer.begin()
            for lot in self.lots.values():
                for part in lot.parts:
                    producer.send(topic.topic, messages(part.flows, topic.format, None))
            producer.commit(self.offsets(), consumer.membership())
        except BaseException:
            self._take_back(producer)
            raise

    def _was_committed(self, consumer: Consumer) -> bool:
        """Whether a transaction that failed was committed after all: its offsets, which went with it, tell."""
        committed = consumer.committed(list(self.lots))
        return all(committed.get(one, -1) >= offset for one, offset in self.offsets().items())

    def _take_back(self, producer: Producer) -> None:
        try:
            producer.abort()
        except BrokerError:
            # It cannot even do that: a new one of the same name does it when it begins.
            self._outputs.renew(transactional=True)

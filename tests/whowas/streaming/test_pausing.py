"""Partitions that wait in Kafka while others are read, and go on where they were. On both clients."""

from __future__ import annotations

import time

from support.servers.broker import Broker
from support.streaming.flow_records import produce

from ingest.kafka.connect import connect
from ingest.kafka.consumer import Consumer, Owning, Subscription
from whowas.kafka import Partition

MANY = 60_000
# kafka-python asks for a position again only after 30 s if a busy broker let the first question go.
PATIENCE_SECONDS = 120


def read(consumer: Consumer, seconds: float, most: int) -> list[tuple[int, int]]:
    """Poll until `most` records came, or so long. Returns: partition and offset of each."""
    found: list[tuple[int, int]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(found) < most:
        for one in consumer.poll(0.1, 5000):
            found += [(one.partition.number, offset) for offset in one.offsets]
    return found


def test_a_partition_that_waited_alone_goes_on_where_it_was(broker: Broker, topic: str, client: str) -> None:
    produce(broker, topic, [b"?"] * MANY, partition=2)
    nobody = Owning(lambda _: None, lambda _: None)
    consumer = connect(client, broker.options(), Subscription([topic], f"g-{topic}"), nobody)
    try:
        found = read(consumer, PATIENCE_SECONDS, 1)
        assert 0 < len(found) < MANY
        consumer.pause([Partition(topic, 2)])
        produce(broker, topic, [b"!"] * 10, partition=0)
        assert read(consumer, PATIENCE_SECONDS, 10) == [(0, offset) for offset in range(10)]
        assert read(consumer, 1, 1) == []
        consumer.resume([Partition(topic, 2)])
        found += read(consumer, PATIENCE_SECONDS, MANY - len(found))
        assert found == [(2, offset) for offset in range(MANY)]
    finally:
        consumer.close()

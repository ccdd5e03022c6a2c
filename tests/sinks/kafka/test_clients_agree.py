"""Both clients put a key into the same partition: who changes the client finds old and new side by side."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from confluent_kafka import Consumer, TopicPartition
from support.servers.broker import Broker

from sinks.kafka.connect import connect


def test_a_key_has_one_partition_whichever_client_writes(broker: Broker) -> None:
    topic = broker.create(f"keys-{uuid.uuid4().hex[:8]}", 7)
    keys = [f"{number:032x}".encode() for number in range(300)] + [b"web", b"a longer key of another length"]
    for client in ("kafka-python", "confluent"):
        producer = connect(client, broker.options())
        producer.send(topic, [(key, client.encode()) for key in keys])
        producer.send(topic, [(b"alone", client.encode())])
        assert producer.flush(60)
        producer.close()
    places: dict[bytes, set[int]] = {}
    for number in range(7):
        for key in _keys(broker, topic, number):
            places.setdefault(key, set()).add(number)
    assert len(places) == len(keys) + 1
    assert all(len(found) == 1 for found in places.values())
    assert len({place for found in places.values() for place in found}) == 7


def _keys(broker: Broker, topic: str, number: int) -> Iterator[bytes]:
    client = Consumer({"bootstrap.servers": broker.plain, "group.id": "looks", "enable.auto.commit": False})
    try:
        place = TopicPartition(topic, number, 0)
        _, end = client.get_watermark_offsets(place, timeout=20)
        client.assign([place])
        seen = 0
        while seen < end:
            for one in client.consume(end - seen, 1.0):
                assert one.error() is None
                seen += 1
                yield one.key()
    finally:
        client.close()

"""What stands in a topic."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from support.servers.broker import Broker


def messages(broker: Broker, topic: str) -> list[tuple[str, Any]]:
    """All (key, body) of a topic's only partition."""
    client = Consumer({"bootstrap.servers": broker.plain, "group.id": "looks", "enable.auto.commit": False})
    try:
        place = TopicPartition(topic, 0, 0)
        _, end = client.get_watermark_offsets(place, timeout=20)
        client.assign([place])
        found: list[tuple[str, Any]] = []
        while len(found) < end:
            for one in client.consume(end - len(found), 1.0):
                assert one.error() is None
                found.append((one.key().decode(), json.loads(one.value())))
        return found
    finally:
        client.close()

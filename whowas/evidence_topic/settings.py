"""Defines the evidence topic's settings and message keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from enrich.store.replica import Message
from whowas.kafka import Value

WORDS = {"snapshot": False, "live": True}


@dataclass(frozen=True)
class TopicSettings:
    """A topic of evidence. client: one of whowas.kafka.CLIENTS. options: under librdkafka's names."""

    topic: str
    client: str = "kafka-python"
    options: Mapping[str, Value] = field(default_factory=dict)


def key_of(one: Message) -> bytes:
    """Return a message's key. No two that differ have one key, so that compaction removes repeats only."""
    word = "live" if one.live else "snapshot"
    return f"{one.store}/{one.epoch}/{word}/{one.number}".encode()


def message_of(key: bytes) -> Message | None:
    """Return what a key says; None for one that is not ours."""
    try:
        store, epoch, word, number = key.decode("ascii").split("/")
        found = Message(store, int(epoch), int(number), WORDS[word])
    except (UnicodeDecodeError, ValueError, KeyError):
        return None
    return found if store and 0 < found.epoch < 1 << 63 and 0 < found.number < 1 << 63 else None

"""States of a publisher and of a replica, as metrics, JSON and reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from whowas.metrics import Sample


@dataclass(frozen=True)
class PublisherVitals:
    """How the topic is being filled. state: connecting, publishing, failing (it is tried again), stopped.

    waiting, bytes: what is in the outbox. behind_seconds: since it was empty last. overflows: how often it grew too
    large, and all had to be sent anew. warning: what will lose history, "" = nothing.
    """

    topic: str
    state: str
    since_us: int
    reason: str
    warning: str
    waiting: int
    bytes: int
    behind_seconds: float
    sent: int
    failures: int
    overflows: int
    epochs: int

    def unready(self) -> list[str]:
        """Return why the topic is not filled as it should be, in words."""
        if self.state in ("failing", "connecting"):
            return [f"topic {self.topic}: {self.state}: {self.reason or 'no answer yet'}"]
        return []

    def to_json(self) -> dict[str, Any]:
        """Return the `topic` part of `whowas watch --json`."""
        return {
            "name": self.topic,
            "state": self.state,
            "reason": self.reason,
            "warning": self.warning,
            "waiting": self.waiting,
            "waiting_bytes": self.bytes,
            "behind_seconds": round(self.behind_seconds, 3),
            "sent": self.sent,
            "epochs": self.epochs,
        }

    def samples(self) -> Iterator[Sample]:
        """Yield every value that whowas.metrics declares for an outbox."""
        yield Sample("whowas_outbox_state", (self.state,), 1)
        yield Sample("whowas_outbox_messages", (), self.waiting)
        yield Sample("whowas_outbox_bytes", (), self.bytes)
        yield Sample("whowas_outbox_behind_seconds", (), self.behind_seconds)
        yield Sample("whowas_outbox_sent_total", (), self.sent)
        yield Sample("whowas_outbox_failures_total", (), self.failures)
        yield Sample("whowas_outbox_overflows_total", (), self.overflows)
        yield Sample("whowas_outbox_snapshots_total", (), self.epochs)


@dataclass(frozen=True)
class ReplicaVitals:
    """How a replica is. state: connecting, reading, shared (another process feeds it), failing, stopped.

    behind: messages of the topic that are not taken in, as far as known. events: that said something new, since the
    start. rebuilt: times that all was forgotten and read again. foreign: messages that are no evidence. refused: lines.
    """

    topic: str
    state: str
    reason: str
    next: int
    behind: int | None
    events: int
    messages: int
    rebuilt: int
    foreign: int
    refused: dict[str, int]

    def samples(self) -> Iterator[Sample]:
        """Yield every value that whowas.metrics declares for a replica."""
        yield Sample("whowas_replica_state", (self.state,), 1)
        if self.behind is not None:
            yield Sample("whowas_replica_behind_messages", (), self.behind)
        yield Sample("whowas_replica_messages_total", (), self.messages)
        yield Sample("whowas_replica_events_total", (), self.events)
        yield Sample("whowas_replica_rebuilds_total", (), self.rebuilt)
        yield Sample("whowas_replica_foreign_total", (), self.foreign)
        for reason, count in self.refused.items():
            yield Sample("whowas_replica_refused_total", (reason,), count)

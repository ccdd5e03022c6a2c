"""Reports a stream's state for probes, metrics and people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from whowas.evidence_topic import ReplicaVitals
from whowas.kafka import Partition
from whowas.metrics import Histogram, Sample
from whowas.timestamps import rfc3339

# A worker whose loop has not come round for so long can only be helped by a restart.
STUCK_SECONDS = 240.0
# States in which nothing has failed.
WHY = {"starting": "inputs and history are being opened", "stopped": "it was told to stop"}


@dataclass(frozen=True)
class LagVitals:
    """A partition that this worker owns. lag: records that are in Kafka and not committed; None before it is asked."""

    partition: Partition
    claimed: bool
    lag: int | None


@dataclass(frozen=True)
class JudgingVitals:
    """How the rules go. judged: the judge's counts by reason. outlets: by place for alerts, what happened there.

    troubles: of each place that does not get on, why. undelivered: findings on their way.
    """

    rules: int
    judged: Counter[str]
    outlets: Mapping[str, Counter[str]]
    troubles: Mapping[str, str]
    undelivered: int

    def to_json(self) -> dict[str, Any]:
        """Return what a JSON line shows of it."""
        places = {name: dict(one) for name, one in self.outlets.items() if name}
        alerts = {name: one | {"trouble": self.troubles.get(name, "")} for name, one in places.items()}
        return {"rules": self.rules, "counts": dict(self.judged), "alerts": alerts, "undelivered": self.undelivered}

    def samples(self) -> Iterator[Sample]:
        """Yield every value that whowas.metrics declares for rules."""
        yield Sample("whowas_rules", (), self.rules)
        for reason, count in self.judged.items():
            yield Sample("whowas_rules_judged_total", (reason,), count)
        for place, counts in self.outlets.items():
            for what, count in counts.items():
                yield Sample("whowas_alerts_total", (place or "all", what), count)
        yield Sample("whowas_alerts_undelivered", (), self.undelivered)


@dataclass
class Counts:
    """What has happened since the start. One thread counts.

    received = delivered + forgotten + held, in records: delivered are durable in every output (refused and skipped
    ones too); forgotten were given back with their partition, and are read again by its next owner. repeated: flows
    of delivered records that Parquet had already. expired: records that Kafka deleted before they were read.
    """

    received: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    forgotten: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    noted: Counter[tuple[str, str]] = field(default_factory=Counter)
    flows: int = 0
    late: int = 0
    revised: int = 0
    rebalances: int = 0
    reloads: int = 0
    deliveries: int = 0
    failures: int = 0
    confidence: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class StreamVitals:
    """Everything at one moment.

    state: starting, reading, full (waits for the history or an output), stopped; or the step that fails: broker,
    poll, claim, send, output. reason: why, in words. held: rows in memory. undelivered: records that are named and not
    durable yet. unread: of a folder, files that are not read, and why. format_trouble: why records wait to be read.
    """

    at_us: int
    state: str
    reason: str
    counts: Counts
    held: int
    held_records: int
    capacity: int
    partitions: tuple[LagVitals, ...]
    watermark_us: int
    history_trouble: str
    reload_trouble: str
    quiet_seconds: float
    files: int
    bytes: int
    delivery_seconds: Histogram
    undelivered: int = 0
    format_trouble: str = ""
    unread: Mapping[str, str] = field(default_factory=dict)
    replica: ReplicaVitals | None = None
    judging: JudgingVitals | None = None

    def unready(self) -> list[str]:
        """Return why flows do not come through as they should, in words; nothing when they do."""
        reasons = (
            []
            if self.state in ("reading", "full")
            else [f"{self.state}: {self.reason or WHY.get(self.state, 'it is tried again')}"]
        )
        if self.history_trouble:
            reasons.append(f"the history cannot be followed: {self.history_trouble}")
        if self.reload_trouble:
            reasons.append(self.reload_trouble)
        if self.judging is not None:
            reasons += [f"alerts: {trouble}" for trouble in self.judging.troubles.values()]
        if self.format_trouble:
            reasons.append(self.format_trouble)
        waiting = [str(one.partition) for one in self.partitions if not one.claimed]
        if waiting:
            reasons.append(f"another worker has not let go of {', '.join(waiting)} yet")
        return reasons

    def unhealthy(self) -> list[str]:
        """Return why only a restart can help."""
        if self.quiet_seconds > STUCK_SECONDS:
            return [f"one step has been under way for {self.quiet_seconds:.0f} s"]
        return ["the stream has ended"] if self.state == "stopped" else []

    def lag(self) -> int | None:
        """Return how many records wait in Kafka; None before that is known."""
        known = [one.lag for one in self.partitions if one.lag is not None]
        return sum(known) if len(known) == len(self.partitions) else None

    def behind_seconds(self) -> float | None:
        """Return how far the history's knowledge is behind now; None where it knows nothing."""
        return (self.at_us - self.watermark_us) / 1e6 if self.watermark_us > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return the line of `whowas stream --json`, and what /readyz shows a program."""
        counts = self.counts
        return {
            "time": rfc3339(self.at_us),
            "state": self.state,
            "ready": not self.unready(),
            "reasons": self.unready(),
            "received": counts.received.total(),
            "delivered": counts.delivered.total(),
            "forgotten": counts.forgotten.total(),
            "repeated": counts.repeated.total(),
            "expired": counts.expired.total(),
            "held_records": self.held_records,
            "refused": _by_reason(counts.refused),
            "skipped": _by_reason(counts.skipped),
            "noted": _by_reason(counts.noted),
            "flows": counts.flows,
            "late": counts.late,
            "revised": counts.revised,
            "held_rows": self.held,
            "lag": self.lag(),
            "history_known_until": rfc3339(self.watermark_us) if self.watermark_us > 0 else None,
            "replica": None if self.replica is None else vars(self.replica),
            "rules": None if self.judging is None else self.judging.to_json(),
            "rebalances": counts.rebalances,
            "failures": counts.failures,
            "files": self.files,
            "bytes": self.bytes,
            "unread": dict(sorted(self.unread.items())[:20]),
            "partitions": [
                {"topic": one.partition.topic, "partition": one.partition.number, "claimed": one.claimed,
                 "lag": one.lag} for one in self.partitions
            ],
        }  # fmt: skip

    def samples(self) -> Iterator[Sample]:
        """Yield every value that whowas.metrics declares for a stream."""
        counts = self.counts
        yield Sample("whowas_build_info", (version("whowas"),), 1)
        yield Sample("whowas_ready", (), not self.unready())
        yield Sample("whowas_stream_state", (self.state,), 1)
        for name in ("received", "delivered", "forgotten", "repeated", "expired"):
            for topic, count in dict(getattr(counts, name)).items():
                yield Sample(f"whowas_stream_{name}_total", (topic,), count)
        for name in ("refused", "skipped", "noted"):
            for labels, count in dict(getattr(counts, name)).items():
                yield Sample(f"whowas_stream_{name}_total", labels, count)
        for word, count in dict(counts.confidence).items():
            yield Sample("whowas_stream_ends_total", (word,), count)
        for name in ("flows", "late", "revised", "rebalances", "reloads", "deliveries", "failures"):
            yield Sample(f"whowas_stream_{name}_total", (), getattr(counts, name))
        yield Sample("whowas_stream_held_rows", (), self.held)
        yield Sample("whowas_stream_held_records", (), self.held_records)
        yield Sample("whowas_stream_held_capacity", (), self.capacity)
        for one in self.partitions:
            if one.lag is not None:
                yield Sample("whowas_stream_lag_records", (one.partition.topic, str(one.partition.number)), one.lag)
        behind = self.behind_seconds()
        if behind is not None:
            yield Sample("whowas_stream_history_behind_seconds", (), behind)
        yield Sample("whowas_stream_files_total", (), self.files)
        yield Sample("whowas_stream_bytes_total", (), self.bytes)
        yield Sample("whowas_stream_delivery_seconds", (), self.delivery_seconds)
        if self.replica is not None:
            yield from self.replica.samples()
        if self.judging is not None:
            yield from self.judging.samples()


def _by_reason(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, reason), count in dict(counts).items():
        found[reason] += count
    return dict(found)

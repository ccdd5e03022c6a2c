"""Reports a recorder's state for probes, metrics and people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from whowas.evidence_topic import PublisherVitals
from whowas.metrics import Histogram, Sample
from whowas.recorder.mailbox import Sort
from whowas.timestamps import rfc3339

# The apiserver sends a bookmark about every minute: two missed and half a minute for the way.
SILENCE_SECONDS = 150.0
# A store that takes longer for one transaction is stuck: a disk that does not answer.
STUCK_SECONDS = 300.0


@dataclass(frozen=True)
class WatchVitals:
    """One watch, as ingest.cluster.watch.cluster_watch.StreamState tells of it. Times in us since 1970.

    objects: None until a list is complete. durable: a complete list is in the store: from here on nothing is lost.
    optional: a recording is complete without it. odd: what could not be read, by reason.
    """

    cluster: str
    kind: str
    state: str
    since_us: int
    last_received_us: int | None
    restarts: int = 0
    gaps: int = 0
    objects: int | None = None
    last_error: str = ""
    durable: bool = True
    optional: bool = False
    odd: dict[str, int] = field(default_factory=dict)

    def lag_seconds(self, at_us: int) -> float | None:
        """Return the time since the server's last word; None before the first."""
        return None if self.last_received_us is None else max((at_us - self.last_received_us) / 1e6, 0.0)

    def name(self) -> str:
        """`prod Pod`."""
        return f"{self.cluster} {self.kind}"


@dataclass(frozen=True)
class StoreVitals:
    """The writer and its store. `state`: opening, writing, failing (it is tried again), damaged (given up), closed."""

    state: str
    since_us: int
    reason: str = ""
    failures: int = 0
    events: int = 0
    bytes: int = 0
    busy_seconds: float = 0.0
    alive: bool = True


@dataclass(frozen=True)
class Vitals:
    """Everything at one moment. received = written + dropped + queued, apart from what is being written."""

    at_us: int
    streams: tuple[WatchVitals, ...]
    store: StoreVitals
    received: Counter[Sort]
    written: Counter[Sort]
    dropped: Counter[Sort]
    queued: int
    capacity: int
    write_seconds: Histogram
    silence_seconds: float = SILENCE_SECONDS
    topic: PublisherVitals | None = None

    def unready(self) -> list[str]:
        """Return why the recording is not complete now, in words; nothing when it is."""
        reasons = [] if self.store.state == "writing" else [f"the store is {self.store.state}: {self.store.reason}"]
        for one in self.streams:
            if not one.optional:
                reasons += self._unwell(one)
        return reasons + (self.topic.unready() if self.topic else [])

    def _unwell(self, one: WatchVitals) -> list[str]:
        if one.state in ("forbidden", "stopped"):
            return [": ".join(filter(None, (one.name(), one.state, one.last_error)))]
        lag = one.lag_seconds(self.at_us)
        if one.objects is None or lag is None or not one.durable:
            return [f"{one.name()}: the first list is not complete" + (f": {one.last_error}" if one.last_error else "")]
        if lag > self.silence_seconds:
            return [f"{one.name()}: silent for {lag:.0f} s" + (f": {one.last_error}" if one.last_error else "")]
        return []

    def unhealthy(self) -> list[str]:
        """Return why only a restart can help; nothing when the process can go on by itself."""
        reasons = []
        if not self.store.alive:
            reasons.append(f"nothing is written any more: the store is {self.store.state}: {self.store.reason}")
        elif self.store.busy_seconds > STUCK_SECONDS:
            reasons.append(f"one write has been under way for {self.store.busy_seconds:.0f} s")
        reasons += [f"{one.name()}: the watch has ended" for one in self.streams if one.state == "stopped"]
        return reasons

    def objects(self) -> int:
        """Return how many objects stand now, over all clusters and kinds."""
        return sum(one.objects or 0 for one in self.streams)

    def gaps(self) -> int:
        """Return how often history was lost since the start."""
        return sum(one.gaps for one in self.streams)

    def lag_seconds(self) -> float | None:
        """Return the longest silence of a watch that matters; None before every first word."""
        lags = [one.lag_seconds(self.at_us) for one in self.streams if not one.optional and one.state != "forbidden"]
        known = [lag for lag in lags if lag is not None]
        return max(known) if known and len(known) == len(lags) else None

    def to_json(self) -> dict[str, Any]:
        """Return the line of `whowas watch --json`, and what /readyz shows a program."""
        lag = self.lag_seconds()
        return {
            "time": rfc3339(self.at_us),
            "ready": not self.unready(),
            "reasons": self.unready(),
            "objects": self.objects(),
            "received": self.received.total(),
            "written": self.written.total(),
            "dropped": self.dropped.total(),
            "queued": self.queued,
            "events": self.store.events,
            "gaps": self.gaps(),
            "lag_seconds": None if lag is None else round(lag, 3),
            "store": {"state": self.store.state, "reason": self.store.reason, "bytes": self.store.bytes},
            "topic": None if self.topic is None else self.topic.to_json(),
            "streams": [self._stream_json(one) for one in self.streams],
        }

    def _stream_json(self, one: WatchVitals) -> dict[str, Any]:
        lag = one.lag_seconds(self.at_us)
        return {
            "cluster": one.cluster,
            "kind": one.kind,
            "state": one.state,
            "since": rfc3339(one.since_us),
            "lag_seconds": None if lag is None else round(lag, 3),
            "objects": one.objects,
            "restarts": one.restarts,
            "gaps": one.gaps,
            "last_error": one.last_error,
        }

    def samples(self) -> Iterator[Sample]:
        """Yield every value that whowas.metrics declares."""
        yield Sample("whowas_build_info", (version("whowas"),), 1)
        yield Sample("whowas_ready", (), not self.unready())
        for name, counts in (("received", self.received), ("written", self.written), ("dropped", self.dropped)):
            for sort, count in counts.items():
                yield Sample(f"whowas_{name}_total", sort, count)
        for one in self.streams:
            yield from self._stream_samples(one)
        yield Sample("whowas_queue_observations", (), self.queued)
        yield Sample("whowas_queue_capacity", (), self.capacity)
        yield Sample("whowas_store_bytes", (), self.store.bytes)
        yield Sample("whowas_store_events_total", (), self.store.events)
        yield Sample("whowas_store_state", (self.store.state,), 1)
        yield Sample("whowas_store_failures_total", (), self.store.failures)
        yield Sample("whowas_store_write_seconds", (), self.write_seconds)
        if self.topic is not None:
            yield from self.topic.samples()

    def _stream_samples(self, one: WatchVitals) -> Iterator[Sample]:
        labels = (one.cluster, one.kind)
        lag = one.lag_seconds(self.at_us)
        yield Sample("whowas_watch_state", (*labels, one.state), 1)
        if lag is not None:
            yield Sample("whowas_watch_lag_seconds", labels, lag)
        yield Sample("whowas_watch_restarts_total", labels, one.restarts)
        yield Sample("whowas_watch_gaps_total", labels, one.gaps)
        if one.objects is not None:
            yield Sample("whowas_watch_objects", labels, one.objects)
        for reason, count in one.odd.items():
            yield Sample("whowas_odd_total", (*labels, reason), count)

"""Every metric, declared once. Labels are clusters, kinds, topics and words, never an address or a pod."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from whowas.errors import MissingExtra


class Metric(NamedTuple):
    """A metric as Prometheus shows it. `form`: counter, gauge or histogram."""

    name: str
    form: str
    labels: tuple[str, ...]
    meaning: str


STREAM = ("cluster", "kind")
OUTBOX_METRICS = (
    Metric("whowas_outbox_state", "gauge", ("state",), "1 for the state that filling the topic is in."),
    Metric("whowas_outbox_messages", "gauge", (), "Messages that the topic does not have yet."),
    Metric("whowas_outbox_bytes", "gauge", (), "Their size."),
    Metric("whowas_outbox_behind_seconds", "gauge", (), "Time since the topic had everything."),
    Metric("whowas_outbox_sent_total", "counter", (), "Messages that the broker has acknowledged."),
    Metric("whowas_outbox_failures_total", "counter", (), "Times that the broker failed and was tried again."),
    Metric(
        "whowas_outbox_overflows_total", "counter", (), "Times that too much waited; everything is sent again then."
    ),
    Metric("whowas_outbox_snapshots_total", "counter", (), "Times that all of the store was sent, from its beginning."),
)
REPLICA_METRICS = (
    Metric("whowas_replica_state", "gauge", ("state",), "1 for the state that the replica is in."),
    Metric("whowas_replica_behind_messages", "gauge", (), "Messages of the topic that are not taken in yet."),
    Metric("whowas_replica_messages_total", "counter", (), "Messages read."),
    Metric("whowas_replica_events_total", "counter", (), "Events that said something new, since the start."),
    Metric("whowas_replica_rebuilds_total", "counter", (), "Times that all was forgotten and read again."),
    Metric("whowas_replica_foreign_total", "counter", (), "Messages that are no evidence."),
    Metric("whowas_replica_refused_total", "counter", ("reason",), "Lines of messages that could not be read."),
)
SHARED = (
    Metric("whowas_build_info", "gauge", ("version",), "Always 1; the version is its label."),
    Metric("whowas_ready", "gauge", (), "1 when /readyz is green."),
)
METRICS = (
    *SHARED,
    Metric(
        "whowas_received_total", "counter", (*STREAM, "verb"), "Observations received; see verbs in observation.py."
    ),
    Metric("whowas_written_total", "counter", (*STREAM, "verb"), "Observations that are durable in the store."),
    Metric("whowas_dropped_total", "counter", (*STREAM, "verb"), "Observations given up; asked for again at a start."),
    Metric("whowas_odd_total", "counter", ("cluster", "kind", "reason"), "Objects and fields that could not be read."),
    Metric("whowas_watch_state", "gauge", (*STREAM, "state"), "1 for the state that a watch is in."),
    Metric("whowas_watch_lag_seconds", "gauge", STREAM, "Time since the server's last word."),
    Metric("whowas_watch_restarts_total", "counter", STREAM, "Times that a watch was opened again."),
    Metric("whowas_watch_gaps_total", "counter", STREAM, "Times that history was lost and a gap recorded."),
    Metric("whowas_watch_objects", "gauge", STREAM, "Objects that stand now."),
    Metric("whowas_queue_observations", "gauge", (), "Observations that wait to be written."),
    Metric("whowas_queue_capacity", "gauge", (), "Observations at which the watches are made to wait."),
    Metric("whowas_store_bytes", "gauge", (), "Size of the store's files."),
    Metric("whowas_store_events_total", "counter", (), "Events that said something new, since the start."),
    Metric("whowas_store_state", "gauge", ("state",), "1 for the state that the store is in."),
    Metric("whowas_store_failures_total", "counter", (), "Writes that failed and were tried again."),
    Metric("whowas_store_write_seconds", "histogram", (), "Time that one transaction took until it was durable."),
    *OUTBOX_METRICS,
)
JUDGING_METRICS = (
    Metric("whowas_rules", "gauge", (), "Rules that flows are judged by, correlations too."),
    Metric("whowas_rules_judged_total", "counter", ("reason",), "What the judge counted: flows, and what it left out."),
    Metric("whowas_alerts_total", "counter", ("place", "outcome"), "Alerts delivered, refused and kept, or failed."),
    Metric("whowas_alerts_undelivered", "gauge", (), "Findings that have not arrived everywhere."),
)
STREAM_METRICS = (
    *SHARED,
    Metric("whowas_stream_state", "gauge", ("state",), "1 for the state that the stream is in."),
    Metric("whowas_stream_received_total", "counter", ("topic",), "Records read from Kafka."),
    Metric("whowas_stream_delivered_total", "counter", ("topic",), "Records done with: durable in every output."),
    Metric("whowas_stream_forgotten_total", "counter", ("topic",), "Records given back with their partition."),
    Metric("whowas_stream_repeated_total", "counter", ("topic",), "Flows that came again and were in Parquet already."),
    Metric("whowas_stream_expired_total", "counter", ("topic",), "Records that Kafka deleted before they were read."),
    Metric("whowas_stream_refused_total", "counter", ("topic", "reason"), "Records that could not be read."),
    Metric("whowas_stream_skipped_total", "counter", ("topic", "reason"), "Well-formed records that carry no flow."),
    Metric("whowas_stream_noted_total", "counter", ("topic", "reason"), "Flows with no times or exchanged ones."),
    Metric("whowas_stream_flows_total", "counter", (), "Flows named."),
    Metric("whowas_stream_ends_total", "counter", ("confidence",), "Ends of flows, by how sure their names are."),
    Metric("whowas_stream_late_total", "counter", (), "Flows named before the history was known far enough."),
    Metric("whowas_stream_revised_total", "counter", (), "Provisional answers that were replaced."),
    Metric("whowas_stream_rebalances_total", "counter", (), "Times that partitions came or went."),
    Metric("whowas_stream_reloads_total", "counter", (), "Times that the configuration was read again."),
    Metric("whowas_stream_deliveries_total", "counter", (), "Deliveries finished."),
    Metric("whowas_stream_failures_total", "counter", (), "Steps that failed and were tried again."),
    Metric("whowas_stream_held_rows", "gauge", (), "Rows in memory."),
    Metric("whowas_stream_held_records", "gauge", (), "Records in memory, read and not delivered."),
    Metric("whowas_stream_held_capacity", "gauge", (), "Rows at which reading waits."),
    Metric("whowas_stream_lag_records", "gauge", ("topic", "partition"), "Records in Kafka that are not committed."),
    Metric("whowas_stream_history_behind_seconds", "gauge", (), "How far the history's knowledge is behind now."),
    Metric("whowas_stream_files_total", "counter", (), "Parquet files written."),
    Metric("whowas_stream_bytes_total", "counter", (), "Bytes of Parquet files written."),
    Metric("whowas_stream_delivery_seconds", "histogram", (), "Time that a delivery took until it was durable."),
    *REPLICA_METRICS,
    *JUDGING_METRICS,
)
PAGE_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts of seconds in buckets. One thread adds, others read."""

    BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

    def __init__(self) -> None:
        self.total_seconds = 0.0
        self.counts = [0] * (len(self.BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.total_seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many lie at or below it)."""
        names, below, found = [*map(str, self.BOUNDS), "+Inf"], 0, []
        for name, count in zip(names, list(self.counts), strict=True):
            below += count
            found.append((name, float(below)))
        return found


class Sample(NamedTuple):
    """A value of a metric under the values of its labels."""

    name: str
    labels: tuple[str, ...]
    value: float | Histogram


class _Collector:
    """Reads the values when somebody asks: they stand in one place only."""

    def __init__(self, read: Callable[[], Iterable[Sample]], metrics: Sequence[Metric], families: Any) -> None:
        self._read = read
        self._metrics = metrics
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Yield every declared metric with what was read."""
        found: dict[str, list[Sample]] = {one.name: [] for one in self._metrics}
        for sample in self._read():
            found[sample.name].append(sample)
        for one in self._metrics:
            yield self._family(one, found[one.name])

    def _family(self, one: Metric, samples: list[Sample]) -> Any:
        shapes = {
            "counter": self._families.CounterMetricFamily,
            "gauge": self._families.GaugeMetricFamily,
            "histogram": self._families.HistogramMetricFamily,
        }
        family = shapes[one.form](one.name, one.meaning, labels=one.labels)
        for _, labels, value in samples:
            if isinstance(value, Histogram):
                family.add_metric(labels, value.buckets(), value.total_seconds)
            else:
                family.add_metric(labels, value)
        return family


def exposition(
    read: Callable[[], Iterable[Sample]], metrics: Sequence[Metric] = METRICS, extra: str = "watch"
) -> Callable[[], bytes]:
    """Return what makes the page: our metrics, read when asked for, and the process's own figures.

    Args: extra: which extra of whowas brings prometheus-client.
    Raises: MissingExtra where prometheus-client is not installed.
    Source: the Prometheus text format, version 0.0.4.
    """
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, metrics_core
    except ImportError as error:
        raise MissingExtra("prometheus_client", extra) from error
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Collector(read, metrics, metrics_core))
    return lambda: generate_latest(registry)

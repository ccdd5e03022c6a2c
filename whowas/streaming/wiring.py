"""Builds a worker's consumer and outputs from its configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingest.folder.consumer import FolderConsumer, FolderOptions
from ingest.folder.ledger import Ledger
from ingest.kafka.connect import connect as connect_consumer
from ingest.kafka.consumer import Consumer, Owning, Subscription
from ingest.records import RecordOptions
from sinks.flows.dead_letters import DeadLetterFiles
from sinks.flows.offset_ranges import RangeFiles
from sinks.kafka.connect import connect as connect_producer
from sinks.kafka.producer import Producer
from whowas.errors import ConfigError
from whowas.kafka import Partition
from whowas.settings import Input, ParquetOutput, StreamConfig
from whowas.streaming.delivery import Outputs

if TYPE_CHECKING:
    from whowas.streaming.rules import Judging


def consumer(config: StreamConfig, outputs: Outputs, owning: Owning, options: RecordOptions) -> Consumer:
    """Join the group, or open the folder. Raises: BrokerError, ConfigError, MissingExtra, StoreError."""
    told = config.input
    if told.folder is not None:
        return _folder(told, outputs, owning, options)
    wanted = Subscription(told.topics, told.group, told.start)
    return connect_consumer(config.kafka.client, config.kafka.options, wanted, owning)


def _folder(told: Input, outputs: Outputs, owning: Owning, options: RecordOptions) -> FolderConsumer:
    assert told.folder is not None
    assert outputs.parquet is not None
    form = None if told.format == "auto" else told.format
    asked = FolderOptions(told.folder, form, told.settled_seconds, told.start == "latest", options)
    return FolderConsumer(asked, Ledger(outputs.parquet.home / "files.db"), owning.gained, owning.lost)


def first_partitions(found: Consumer, topics: Sequence[str]) -> list[Partition]:
    """Return a partition of the first topic, by which the broker can be asked before any is ours.

    Raises: ConfigError where there is no such topic.
    """
    first = []
    for topic in topics:
        there = found.partitions(topic)
        if not there:
            found.close()
            raise ConfigError(f"cannot read topic '{topic}': the broker has no such topic; create it, or see [input]")
        first.append(there[0])
    return first[:1]


def ranges(told: ParquetOutput, group: str) -> RangeFiles:
    """Return the writer of a group's folder. Raises: MissingExtra."""
    if told.format == "delta":
        from sinks.flows.delta_ranges import RangeTable

        return RangeTable(told.folder, group)
    return RangeFiles(told.folder, group)


def outputs(config: StreamConfig) -> Outputs:
    """Return where named flows and dead letters go."""
    out, letters = config.kafka_output, config.dead_letters
    options = {**config.kafka.options, **(out.options if out else {})}
    name = (out.transactional_id if out else None) or f"whowas-{config.input.group}-{os.uname().nodename}"

    def producer(transactional_id: str | None) -> Producer:
        return connect_producer(config.kafka.client, options, transactional_id)

    return Outputs(
        ranges(config.parquet, config.input.group) if config.parquet else None,
        out,
        DeadLetterFiles(letters.folder) if letters.folder else None,
        letters.topic,
        producer,
        name,
        _judging(config),
    )


def _judging(config: StreamConfig) -> Judging | None:
    """Rules are a large import, and an extra."""
    if config.rules is None:
        return None
    from whowas.streaming.rules import Judging

    return Judging(config)


def versions(config: StreamConfig) -> list[int]:
    """Return what tells that a file was changed which the worker reads again while it runs."""
    found = []
    paths = [config.path, config.naming.networks, config.naming.identities]
    if config.rules is not None:
        from whowas.streaming.rules import files_of

        paths += files_of(config.rules)
    for path in paths:
        try:
            found.append(os.stat(path).st_mtime_ns if path else 0)
        except OSError:
            found.append(0)
    return found

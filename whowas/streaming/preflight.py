"""`whowas stream --check`: everything that a stream needs, tried before the first read. No record is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from enrich.store.replica import position
from ingest.kafka.connect import connect as connect_consumer
from ingest.kafka.consumer import Consumer, Owning, Subscription
from ingest.kafka.log import open_log
from sinks.flows.dead_letters import DeadLetterFiles
from sinks.kafka.connect import connect as connect_producer
from whowas.errors import ConfigError, WhowasError
from whowas.kafka import Value
from whowas.kafka_topics import describe
from whowas.settings import ParquetOutput, StreamConfig
from whowas.streaming.history_follower import HistoryFollower
from whowas.streaming.wiring import ranges
from whowas.timestamps import spell

# Joins no group: what is asked here must not make workers share their partitions anew.
NOBODY = Owning(lambda _: None, lambda _: None)


class Check(NamedTuple):
    """One thing that was tried."""

    what: str
    ok: bool
    detail: str


EVERYTHING = frozenset({"folder", "broker", "topic", "history", "parquet", "output", "letters", "rules", "alerts"})


def checks(config: StreamConfig, wanted: frozenset[str] = EVERYTHING) -> Iterator[Check]:
    """Try each part by itself, so that one failure hides no other. wanted: which; some write to where they look."""
    consumer: list[Consumer] = []
    for what, run in _parts(config, consumer):
        if what in wanted:
            yield _try(what, run)
    for one in consumer:
        one.close()


def _parts(config: StreamConfig, consumer: list[Consumer]) -> Iterator[tuple[str, Callable[[], str]]]:
    if config.input.folder is not None:
        yield ("folder", lambda: _folder(config.input.folder or ""))
    if config.input.folder is None or config.kafka_output is not None or config.dead_letters.topic:
        yield ("broker", lambda: _broker(config, consumer))
    for topic in config.input.topics:
        yield ("topic", lambda topic=topic: _topic(config, consumer, topic))  # type: ignore[misc]
    yield ("history", lambda: _history(config))
    parquet, letters = config.parquet, config.dead_letters
    if parquet is not None:
        yield ("parquet", lambda: _parquet(parquet, config.input.group))
    out = config.kafka_output
    if out is not None:
        yield ("output", lambda: _written(config, consumer, out.topic))
    if letters.topic:
        yield ("letters", lambda: _written(config, consumer, letters.topic or ""))
    if letters.folder:
        yield ("letters", lambda: _letters(letters.folder or ""))
    if config.rules is not None:
        yield ("rules", lambda: _rules(config))
        yield ("alerts", lambda: _alerts(config))


def _try(what: str, run: Callable[[], str]) -> Check:
    try:
        return Check(what, True, run())
    except WhowasError as error:
        return Check(what, False, str(error))


def _broker(config: StreamConfig, consumer: list[Consumer]) -> str:
    wanted = Subscription((), config.input.group)
    made = connect_consumer(config.kafka.client, config.kafka.options, wanted, NOBODY)
    made.partitions((*config.input.topics, "whowas")[0])
    consumer.append(made)
    return f"{config.kafka.options['bootstrap.servers']} answers to {config.kafka.client}"


def _folder(folder: str) -> str:
    try:
        return f"'{folder}': {len(os.listdir(folder)):,} entries"
    except OSError as error:
        raise ConfigError(f"cannot read folder '{folder}': {error.strerror}; see [input] folder") from None


def _the(consumer: list[Consumer]) -> Consumer:
    if not consumer:
        raise ConfigError("not tried: the broker does not answer")
    return consumer[0]


def _topic(config: StreamConfig, consumer: list[Consumer], topic: str) -> str:
    partitions = _the(consumer).partitions(topic)
    if not partitions:
        raise ConfigError(f"cannot read topic '{topic}': the broker has no such topic; create it, or see [input]")
    bounds, committed = _the(consumer).bounds(partitions), _the(consumer).committed(partitions)
    first = {one: low if config.input.start == "earliest" else high for one, (low, high) in bounds.items()}
    waiting = sum(bounds[one][1] - committed.get(one, first[one]) for one in partitions)
    told = f"'{topic}': {len(partitions)} partitions, {waiting:,} records for group '{config.input.group}'"
    return told + _may(config, config.kafka.options, topic, "READ")


def _history(config: StreamConfig) -> str:
    if config.history.topic is not None:
        return _replica(config, config.history.topic)
    known = HistoryFollower(config.history, config.naming)
    known.close()
    until = spell(known.watermark_us, digits=0) if known.watermark_us > 0 else "nothing"
    return f"'{config.history.path}': cluster {known.namer.history.name}, known until {until}"


def _replica(config: StreamConfig, topic: str) -> str:
    log = open_log(config.kafka.client, config.kafka.options, topic)
    try:
        first, end = log.edges()
    finally:
        log.close()
    path = config.history.path
    known = position(path) if os.path.exists(path) else None
    if os.path.exists(path) and (known is None or known.topic != topic):
        raise ConfigError(
            f"cannot keep a replica of topic '{topic}' in '{path}': it is something else; name a new file"
        )
    return f"topic '{topic}': {end - first:,} messages; '{path}' has come to {known.next if known else 0:,} of {end:,}"


def _rules(config: StreamConfig) -> str:
    from detect.judge.silences import Silences
    from whowas.streaming.rules import ruleset_of

    assert config.rules is not None
    silences = Silences.load(config.rules.silences) if config.rules.silences is not None else Silences()
    over = [one.id for one in silences.expired(time.time_ns() // 1000)]
    found = ruleset_of(config)
    silences.check(found.infos())
    told = f"{len(found.rules):,} rules on flows, {len(found.correlations):,} correlations"
    return told + (f"; expired silences: {', '.join(over)}" if over else "")


def _alerts(config: StreamConfig) -> str:
    from whowas.streaming.alert_delivery import Alerts
    from whowas.streaming.alert_outlets import outlets
    from whowas.streaming.rules import ruleset_of

    places = outlets(config, ruleset_of(config))
    alerts = Alerts(places)
    try:
        alerts.check()
    finally:
        alerts.close()
    return f"to {', '.join(one.name for one in places)}"


def _parquet(told: ParquetOutput, group: str) -> str:
    files = ranges(told, group)
    try:
        files.check()
    finally:
        files.close()
    return f"'{told.folder}' can be written"


def _letters(folder: str) -> str:
    DeadLetterFiles(folder).check()
    return f"'{folder}' can be written"


def _written(config: StreamConfig, consumer: list[Consumer], topic: str) -> str:
    """Whether a topic to write to is there, and whether we may."""
    partitions = _the(consumer).partitions(topic)
    if not partitions:
        raise ConfigError(f"cannot write to topic '{topic}': the broker has no such topic; create it")
    out = config.kafka_output
    options = {**config.kafka.options, **(out.options if out else {})}
    connect_producer(config.kafka.client, options).close()
    return f"'{topic}': {len(partitions)} partitions{_may(config, options, topic, 'WRITE')}"


def _may(config: StreamConfig, options: Mapping[str, Value], topic: str, right: str) -> str:
    """Ask for a right. Returns: what to add where the broker does not tell. Raises: ConfigError, BrokerError."""
    told = describe(config.kafka.client, options, topic).rights
    if told is not None and right not in told:
        raise ConfigError(
            f"cannot {'read' if right == 'READ' else 'write to'} topic '{topic}': this user may only "
            f"{', '.join(sorted(told))}; allow it {right}"
        )
    return "" if told is not None else "; the broker does not tell rights"

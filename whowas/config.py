"""`whowas.toml`: what `whowas stream` reads, how it names, where it writes. Unknown words are refused, with the file.

Every setting stands here once, with its default and its meaning; docs/reference/stream-toml.md is made from it.
"""

from __future__ import annotations

import difflib
import os
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from whowas.brokers import Value
from whowas.errors import ConfigError


def _said(meaning: str, default: Any = MISSING) -> Any:
    """A setting with its meaning."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Input:
    """What is read."""

    topics: tuple[str, ...] = _said("Topics with flow records.", ())
    folder: str | None = _said(
        "In place of topics: a folder into which a sensor rotates captures or flow logs. Each is read once.", None
    )
    settled_seconds: float = _said(
        "Of a folder: a capture, or what is compressed, counts as whole when nobody wrote to it for so long.", 10.0
    )
    group: str = _said("Consumer group; workers of one group share the partitions.", "whowas")
    format: str = _said("Format of the records; `auto` tells it by the first ones of each topic.", "auto")
    start: Literal["earliest", "latest"] = _said(
        "Where a new group begins. `latest`: the end as it is when a worker first gets the partition; that place is "
        "committed before anything else.",
        "earliest",
    )
    options: dict[str, Value] = field(
        default_factory=dict,
        metadata={"meaning": "What the format must be told (the fields of an AWS log, a time zone…)."},
    )


@dataclass(frozen=True)
class Kafka:
    """How Kafka is reached."""

    client: Literal["kafka-python", "confluent"] = _said(
        "`kafka-python` (pip install 'whowas[kafka]') or `confluent` ('whowas[confluent]'), which takes less time.",
        "kafka-python",
    )
    options: dict[str, Value] = field(
        default_factory=dict,
        metadata={
            "meaning": "Options of the client under librdkafka's names; `bootstrap.servers` is needed. A secret may be "
            '`{ env = "NAME" }` or `{ file = "/path" }`.'
        },
    )


@dataclass(frozen=True)
class HistorySettings:
    """Who held which address when."""

    path: str = _said("The store that `whowas watch` writes (followed as it grows), or evidence files.")
    topic: str | None = _said(
        "A topic that `whowas watch --to-kafka` fills; `path` is then the replica that workers of this machine keep "
        "of it, made where there is none.",
        None,
    )
    cluster: str | None = _said("Which cluster of the history, where it has several.", None)
    refresh_seconds: float = _said("How often a store is looked at for news.", 2.0)


@dataclass(frozen=True)
class Naming:
    """How flows are named."""

    wait: Literal["final", "never", "provisional"] = _said(
        "`final`: a flow waits until the history is known beyond its end. `never`: it is named at once by what is "
        "known. `provisional`: at once to Kafka with `revision` 0, and again with `revision` 1 if the final answer "
        "differs; Parquet gets the final one only.",
        "final",
    )
    publication_seconds: float = _said("How long after the fact an address may become known.", 30.0)
    max_wait_seconds: float = _said("After so long a flow goes out as certain as the history allows, counted.", 600.0)
    held_rows: int = _said("Rows a worker may hold; beyond it the rest waits in Kafka.", 500_000)
    networks: str | None = _said("TOML file of names for outside ranges (see the how-to of replay).", None)
    vnis: tuple[int, ...] | None = _said("VNIs of the cluster's pod network.", None)
    sensor_skew_seconds: float = _said("By how much the sensors' clocks may be off.", 0.0)
    export_seconds: float = _said(
        "How long before its export a flow may have been, where a record tells only when it was exported.", 120.0
    )


@dataclass(frozen=True)
class ParquetOutput:
    """Named flows as Parquet files, exactly once."""

    folder: str = _said("Where; one folder for all workers of the group.")
    flush_seconds: float = _said("How long a flow may wait for its file.", 10.0)
    flush_rows: int = _said("Rows at which files are written before that.", 200_000)


@dataclass(frozen=True)
class KafkaOutput:
    """Named flows to a topic."""

    topic: str = _said("Where; it must exist.")
    format: Literal["json", "arrow"] = _said("`json`: a message a flow. `arrow`: an Arrow IPC stream a batch.", "json")
    delivery: Literal["at-least-once", "transactions"] = _said(
        "`at-least-once`: key is flow_id, a repeat is the same message. `transactions`: exactly once for readers "
        "with isolation.level=read_committed.",
        "at-least-once",
    )
    transactional_id: str | None = _said("Name of this worker, each its own; made of group and host name.", None)
    options: dict[str, Value] = field(
        default_factory=dict, metadata={"meaning": "Options of the client for this output, beyond [kafka.options]."}
    )


@dataclass(frozen=True)
class DeadLetters:
    """Where records go that cannot be read, with reason, topic, partition and offset. Say `topic` or `folder`."""

    topic: str | None = _said("A topic: the value as it came, its place and the reason as JSON in the key.", None)
    folder: str | None = _said("A folder: JSON lines, the value in base64.", None)


@dataclass(frozen=True)
class Serving:
    """Probes and metrics."""

    listen: str = _said("Where /metrics, /healthz and /readyz are served; `none` for nowhere.", "127.0.0.1:9465")


@dataclass(frozen=True)
class StreamConfig:
    """All of `whowas.toml`."""

    path: str = field(metadata={"hidden": True})
    input: Input
    history: HistorySettings
    kafka: Kafka = field(default_factory=Kafka)
    naming: Naming = field(default_factory=Naming)
    parquet: ParquetOutput | None = None
    kafka_output: KafkaOutput | None = None
    dead_letters: DeadLetters = field(default_factory=DeadLetters)
    serving: Serving = field(default_factory=Serving)


def load(path: str) -> StreamConfig:
    """Read and check a configuration file. Raises: ConfigError naming file and key."""
    config: StreamConfig = _Reader(path).table(StreamConfig, _tables(path), "", {"path": path})
    _check(config)
    return config


def load_kafka(path: str) -> Kafka:
    """Read how Kafka is reached from a configuration file, whatever else stands in it. Raises: ConfigError."""
    kafka: Kafka = _Reader(path).table(Kafka, _tables(path).get("kafka", {}), "kafka")
    return kafka


def _tables(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as handle:
            return tomllib.load(handle)
    except OSError as error:
        raise ConfigError(f"cannot read configuration '{path}': {error.strerror}; see deploy/whowas.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read configuration '{path}': {error}; see deploy/whowas.toml") from error


def of_folder(
    folder: str, history: HistorySettings, out: str, told: Input, naming: Naming, listen: str
) -> StreamConfig:
    """Return the configuration of `whowas stream --files`: a folder in, Parquet out."""
    return StreamConfig(
        path="",
        input=replace(told, folder=folder, group="files"),
        history=history,
        naming=naming,
        parquet=ParquetOutput(out),
        serving=Serving(listen),
    )


def _check(config: StreamConfig) -> None:
    """Refuse what contradicts itself."""

    def refuse(key: str, why: str) -> ConfigError:
        return ConfigError(f"cannot use '{config.path}': {key}: {why}")

    if not config.input.topics and not config.input.folder:
        raise refuse("input.topics", "there is none; name the topics to read, or a folder")
    if config.input.topics and config.input.folder:
        raise refuse("input", "topics and folder are both said; say one")
    if config.input.folder and config.parquet is None:
        raise refuse(
            "parquet", "a folder is read into Parquet files, which keep what was read; write a table [parquet]"
        )
    if config.kafka_output is not None and config.kafka_output.delivery == "transactions" and config.input.folder:
        raise refuse("kafka_output.delivery", "transactions need [input] topics; say at-least-once")
    if config.parquet is None and config.kafka_output is None:
        raise refuse("parquet, kafka_output", "there is no output; write a table [parquet] or [kafka_output]")
    if config.dead_letters.topic and config.dead_letters.folder:
        raise refuse("dead_letters", "topic and folder are both said; say one")
    out = config.kafka_output
    if out is not None and out.topic in config.input.topics:
        raise refuse("kafka_output.topic", f"'{out.topic}' is read too; choose another")
    if config.naming.wait == "provisional" and (out is None or out.delivery == "transactions"):
        raise refuse("naming.wait", 'provisional needs [kafka_output] with delivery = "at-least-once"')
    for key, number in (
        ("naming.held_rows", config.naming.held_rows),
        ("naming.max_wait_seconds", config.naming.max_wait_seconds),
        ("parquet.flush_seconds", config.parquet.flush_seconds if config.parquet else 1),
        ("parquet.flush_rows", config.parquet.flush_rows if config.parquet else 1),
    ):
        if number <= 0:
            raise refuse(key, f"{number} is not above 0")


class _Reader:
    """Turns tables of a TOML file into dataclasses."""

    def __init__(self, path: str) -> None:
        self._path = path

    def refuse(self, key: str, why: str) -> ConfigError:
        return ConfigError(f"cannot use '{self._path}': {key}: {why}")

    def table(self, kind: Any, told: Any, at: str, given: Mapping[str, Any] | None = None) -> Any:
        """Read one table. `at`: its name, for messages."""
        if not isinstance(told, dict):
            raise self.refuse(at, "it is no table; write [" + at + "]")
        known = {one.name: one for one in fields(kind) if not one.metadata.get("hidden")}
        for name in told:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
                raise self.refuse(_joined(at, name), f"unknown key; {hint}")
        types = typing.get_type_hints(kind)
        found = dict(given or {})
        for name, one in known.items():
            if name in told:
                found[name] = self.value(types[name], told[name], _joined(at, name))
            elif _needed(one):
                raise self.refuse(_joined(at, name), "it is missing")
        return kind(**found)

    def value(self, kind: Any, told: Any, at: str) -> Any:
        """Read one value of the type that the dataclass declares."""
        kinds = [one for one in get_args(kind) if one is not NoneType] if isinstance(kind, UnionType) else [kind]
        kind = kinds[0]
        if is_dataclass(kind):
            return self.table(kind, told, at)
        if get_origin(kind) is Literal:
            if told not in get_args(kind):
                raise self.refuse(at, f"{told!r} is an unknown word; say one of {', '.join(get_args(kind))}")
            return told
        if get_origin(kind) is tuple:
            if not isinstance(told, list):
                raise self.refuse(at, f"{told!r} is no list")
            return tuple(self.value(get_args(kind)[0], one, at) for one in told)
        if get_origin(kind) is dict:
            return self._options(told, at)
        if kind is float and isinstance(told, int) and not isinstance(told, bool):
            return float(told)
        if type(told) is not kind:
            raise self.refuse(at, f"{told!r} is not {_ARTICLE[kind]}")
        return told

    def _options(self, told: Any, at: str) -> dict[str, Value]:
        """Options as a client takes them: tables of tables are dotted names, secrets are fetched."""
        if not isinstance(told, dict):
            raise self.refuse(at, "it is no table; write [" + at + "]")
        found: dict[str, Value] = {}
        for name, value in told.items():
            if isinstance(value, dict) and set(value) in ({"env"}, {"file"}):
                found[name] = self._secret(value, f"{at}.{name}")
            elif isinstance(value, dict):
                found |= {f"{name}.{rest}": one for rest, one in self._options(value, f"{at}.{name}").items()}
            elif isinstance(value, (str, int, float, bool)):
                found[name] = value
            else:
                raise self.refuse(f"{at}.{name}", f"{value!r} is no text, number or truth")
        return found

    def _secret(self, told: dict[str, Any], at: str) -> str:
        if "env" in told:
            value = os.environ.get(str(told["env"]))
            if value is None:
                raise self.refuse(at, f"the environment has no {told['env']}")
            return value
        try:
            with open(str(told["file"]), encoding="utf-8") as handle:
                return handle.read().strip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise self.refuse(at, f"cannot read '{told['file']}': {error}") from error


_ARTICLE: dict[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _needed(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING

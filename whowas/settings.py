"""What can be said in `whowas.toml`: every setting once, with its default and its meaning.

docs/reference/stream-toml.md is made from it.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from whowas.kafka import Value

Level = Literal["informational", "low", "medium", "high", "critical"]


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
        "Of a folder: a capture, or what is compressed, counts as complete when nobody wrote to it for this long.", 10.0
    )
    group: str = _said("Consumer group; workers of one group share the partitions.", "whowas")
    format: str = _said(
        "Format of the records; `auto` tells it by the first ones of each topic, and lets those wait that tell none.",
        "auto",
    )
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
        "`kafka-python` (the extra `kafka`) or `confluent` (the extra `confluent`), which takes less time.",
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
    max_wait_seconds: float = _said("After this long a flow goes out as certain as the history allows; counted.", 600.0)
    held_rows: int = _said("Rows a worker may hold; beyond it the rest waits in Kafka.", 500_000)
    networks: str | None = _said("TOML file of names for outside ranges (see the how-to of replay).", None)
    identities: str | None = _said("TOML file of who issues SPIFFE ids (docs/how-to/identity.md).", None)
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
    format: Literal["parquet", "delta"] = _said(
        "`parquet`: files in folders, for every reader. `delta`: the same files, and a log that makes a Delta table "
        "of them (extra `delta`).",
        "parquet",
    )


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
class Rules:
    """Rules that judge the named flows, each flow once, when its names are final."""

    state: str = _said(
        "File that keeps what was counted and found, over restarts; each worker its own. Made where there is none; "
        "beside it, alerts that a receiver will never take, with the reason: `….refused.jsonl`."
    )
    paths: tuple[str, ...] = _said("Rule files and folders; `pack` is the pack that comes with whowas.", ("pack",))
    site: str | None = _said("TOML file of the lists that stand behind the rules' placeholders.", None)
    silences: str | None = _said("TOML file of silences, each with its end.", None)
    alerts_per_minute: int | None = _said("Of one rule; what is beyond waits. None: no limit.", None)
    lateness_seconds: float = _said("How much later than others a flow may come and still count everywhere.", 300.0)


@dataclass(frozen=True)
class Webhook:
    """An address to which each alert is posted as JSON."""

    url: str | None = _said("Where.", None)
    url_file: str | None = _said("In place of `url`, where that is a secret: a file that holds it.", None)
    view: Literal["ocsf", "ecs"] = _said("In which form.", "ocsf")
    least: Level = _said("Alerts below this level are not sent.", "informational")
    headers: dict[str, Value] = field(
        default_factory=dict,
        metadata={"meaning": 'Headers; a secret may be `{ env = "NAME" }` or `{ file = "/path" }`.'},
    )


@dataclass(frozen=True)
class Alertmanager:
    """An Alertmanager, which pages people."""

    url: str = _said("Its base address.")
    least: Level = _said("What is below this level pages nobody.", "high")


@dataclass(frozen=True)
class Alerts:
    """Where findings go, at least once each; the key is the finding's uid, and a higher revision replaces a lower."""

    topic: str | None = _said("Kafka topic; `{level}` in it stands for the rule's level.", None)
    file: str | None = _said("File to which alerts are added as JSON lines.", None)
    view: Literal["ocsf", "ecs"] = _said("In which form, for topic and file.", "ocsf")
    least: Level = _said("Alerts below this level go neither to topic nor file.", "informational")
    webhook: Webhook | None = None
    alertmanager: Alertmanager | None = None


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
    rules: Rules | None = None
    alerts: Alerts | None = None
    dead_letters: DeadLetters = field(default_factory=DeadLetters)
    serving: Serving = field(default_factory=Serving)

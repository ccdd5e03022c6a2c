"""Reads the options of `whowas watch`: sizes, pairs, and where evidence is published."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from whowas.errors import ConfigError, MissingExtra
from whowas.kafka import CLIENTS

if TYPE_CHECKING:
    from whowas.kafka import Value
    from whowas.recorder import PublishOptions


SHIFTS = {None: 0, "KiB": 10, "MiB": 20, "GiB": 30}


class Choice(NamedTuple):
    """One cluster as it was asked for; None = not said."""

    kubeconfig: str | None
    context: str | None
    cluster: str | None


def pair(kubeconfigs: Sequence[str], contexts: Sequence[str], clusters: Sequence[str]) -> list[Choice]:
    """Put the n-th of each option together; one kubeconfig serves every context. Raises: ConfigError."""
    count = max(len(kubeconfigs), len(contexts), len(clusters), 1)
    said = {"--kubeconfig": kubeconfigs, "--context": contexts, "--cluster": clusters}
    for option, values in said.items():
        shared = option == "--kubeconfig" and len(values) == 1
        if values and len(values) != count and not shared:
            told = ", ".join(f"{len(one)} {name}" for name, one in said.items() if one)
            raise ConfigError(
                f"cannot tell which belong together: there are {told}; give {option} once for each cluster"
            )
    files = list(kubeconfigs) * count if len(kubeconfigs) == 1 else list(kubeconfigs)
    blank = [None] * count
    choices = [Choice(*one) for one in zip(files or blank, contexts or blank, clusters or blank, strict=True)]
    if len({one[:2] for one in choices}) < count:
        raise ConfigError("cannot record one cluster twice into one store; give each its own --context or --kubeconfig")
    return choices


def topic_settings(
    topic: str | None, config: str | None, options: Sequence[str], resend: bool, most: str
) -> PublishOptions | None:
    """Say where the evidence goes; None: nowhere but into the store. Raises: ConfigError."""
    if topic is None:
        if config is not None or options or resend:
            raise ConfigError("cannot send to no topic: --config, --kafka and --resend go with --to-kafka TOPIC")
        return None
    from whowas.config import load_kafka
    from whowas.evidence_topic import TopicSettings
    from whowas.kafka import refuse_ours
    from whowas.recorder import PublishOptions
    from whowas.settings import Kafka

    known = load_kafka(config) if config is not None else Kafka()
    told = dict(_split(one) for one in options)
    client = told.pop("client", known.client)
    if client not in CLIENTS:
        raise ConfigError(f"cannot use the Kafka client '{client}': there is none; say one of {', '.join(CLIENTS)}")
    every = {**known.options, **told}
    refuse_ours(every)
    _check_client(client, every)
    return PublishOptions(TopicSettings(topic, client, every), resend, parse_size(most))


def _check_client(client: str, options: Mapping[str, Value]) -> None:
    """Refuse before the start what no broker can mend. Raises: ConfigError, MissingExtra."""
    from importlib.util import find_spec

    from whowas.kafka import OUT, for_kafka_python

    package, extra = ("confluent_kafka", "confluent") if client == "confluent" else ("kafka", "kafka")
    if find_spec(package) is None:
        raise MissingExtra(package, extra)
    if client != "confluent":
        for_kafka_python(options, OUT)


def _split(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ConfigError(f"cannot take --kafka '{word}': no value; write it like bootstrap.servers=broker:9092")
    return name, value


def parse_size(word: str) -> int:
    """Read a number of bytes: 500MiB, 2GiB. Raises: ConfigError."""
    found = re.fullmatch(r"(\d{1,9})\s*([KMG]iB)?", word.strip())
    if not found or not int(found[1]):
        raise ConfigError(f"cannot keep '{word}': no size; write it like 500MiB or 2GiB")
    return int(found[1]) << SHIFTS[found[2]]

"""Describes Kafka for either client: options, partitions, pieces, errors.

Options carry the dotted names of librdkafka, which most Kafka documents use. kafka-python knows fewer and calls them
otherwise: `for_kafka_python` translates. Source: librdkafka CONFIGURATION.md; KafkaConsumer and KafkaProducer of
kafka-python 3.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from whowas.errors import ConfigError, WhowasError

CLIENTS = ("kafka-python", "confluent")
Value = str | int | float | bool


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


class Piece(NamedTuple):
    """Records of one partition as they came, offsets rising. A record without a value has b"".

    received_us: when the broker took each, or its maker made it, as the topic is configured; us since 1970; empty where
    nobody knows. flows: in place of values, a batch of flow_schema, which stands at one offset. origin: what the flows'
    ids are made of beside the offset, where that is not the partition. format: of the values, where that is known.
    """

    partition: Partition
    values: list[bytes]
    offsets: list[int]
    received_us: list[int]
    flows: Any = None
    origin: str = ""
    format: str | None = None


class BrokerError(WhowasError):
    """A broker that does not answer or refuses. `passing`: trying again later may help."""

    def __init__(self, message: str, passing: bool = True) -> None:
        super().__init__(message)
        self.passing = passing


class MessageRefused(BrokerError):
    """A message that the broker, or the client, will never take: too large, or not allowed in that topic."""

    def __init__(self, message: str) -> None:
        super().__init__(message, passing=False)


class Heard(logging.Handler):
    """What a client only logs: kafka-python raises that it got no connection, and logs that the password is wrong.

    All else that it logs is left aside: what matters it raises, and of a broker that is down it logs without end.
    """

    WORDS = ("SaslAuthenticationFailed", "SASL", "SSL")

    def __init__(self, logger: str) -> None:
        super().__init__(logging.WARNING)
        self.reason = ""
        theirs = logging.getLogger(logger)
        theirs.propagate = False
        theirs.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last line about who is trusted."""
        text = record.getMessage()
        if not self.lasting() and any(word in text for word in self.WORDS):
            self.reason = text.partition(": ")[2] or text

    def lasting(self) -> bool:
        """Return whether the broker knows us and does not let us in."""
        return "SaslAuthenticationFailed" in self.reason


# These decide whether anything is lost or doubled: whowas sets them.
OURS = {
    "enable.auto.commit": "offsets are committed when all is durable",
    "enable.auto.offset.store": "offsets are committed when all is durable",
    "auto.offset.reset": "say [input] start",
    "group.id": "say [input] group",
    "isolation.level": "what was not committed must not be named",
    "enable.idempotence": "output is always idempotent",
    "acks": "output waits for every replica in sync",
    "transactional.id": "say [kafka_output] transactional_id",
}

BOTH, IN, OUT = "both", "in", "out"
# librdkafka's name: (kafka-python's name, which way).
_NAMES: dict[str, tuple[str, str]] = {
    "bootstrap.servers": ("bootstrap_servers", BOTH),
    "client.id": ("client_id", BOTH),
    "client.rack": ("client_rack", IN),
    "client.dns.lookup": ("client_dns_lookup", BOTH),
    "security.protocol": ("security_protocol", BOTH),
    "ssl.ca.location": ("ssl_cafile", BOTH),
    "ssl.certificate.location": ("ssl_certfile", BOTH),
    "ssl.key.location": ("ssl_keyfile", BOTH),
    "ssl.key.password": ("ssl_password", BOTH),
    "ssl.crl.location": ("ssl_crlfile", BOTH),
    "ssl.cipher.suites": ("ssl_ciphers", BOTH),
    "sasl.mechanism": ("sasl_mechanism", BOTH),
    "sasl.mechanisms": ("sasl_mechanism", BOTH),
    "sasl.username": ("sasl_plain_username", BOTH),
    "sasl.password": ("sasl_plain_password", BOTH),
    "sasl.kerberos.service.name": ("sasl_kerberos_service_name", BOTH),
    "connections.max.idle.ms": ("connections_max_idle_ms", BOTH),
    "metadata.max.age.ms": ("metadata_max_age_ms", BOTH),
    "reconnect.backoff.ms": ("reconnect_backoff_ms", BOTH),
    "reconnect.backoff.max.ms": ("reconnect_backoff_max_ms", BOTH),
    "retry.backoff.ms": ("retry_backoff_ms", BOTH),
    "request.timeout.ms": ("request_timeout_ms", BOTH),
    "socket.timeout.ms": ("request_timeout_ms", BOTH),
    "socket.receive.buffer.bytes": ("receive_buffer_bytes", BOTH),
    "socket.send.buffer.bytes": ("send_buffer_bytes", BOTH),
    "max.in.flight.requests.per.connection": ("max_in_flight_requests_per_connection", BOTH),
    "group.instance.id": ("group_instance_id", IN),
    "session.timeout.ms": ("session_timeout_ms", IN),
    "heartbeat.interval.ms": ("heartbeat_interval_ms", IN),
    "max.poll.interval.ms": ("max_poll_interval_ms", IN),
    "fetch.min.bytes": ("fetch_min_bytes", IN),
    "fetch.max.bytes": ("fetch_max_bytes", IN),
    "fetch.wait.max.ms": ("fetch_max_wait_ms", IN),
    "fetch.message.max.bytes": ("max_partition_fetch_bytes", IN),
    "max.partition.fetch.bytes": ("max_partition_fetch_bytes", IN),
    "check.crcs": ("check_crcs", IN),
    "compression.type": ("compression_type", OUT),
    "compression.codec": ("compression_type", OUT),
    "linger.ms": ("linger_ms", OUT),
    "queue.buffering.max.ms": ("linger_ms", OUT),
    "batch.size": ("batch_size", OUT),
    "message.max.bytes": ("max_request_size", OUT),
    "transaction.timeout.ms": ("transaction_timeout_ms", OUT),
}
# Said in another way there: the name, and what each word means.
_MEANINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "ssl.endpoint.identification.algorithm": ("ssl_check_hostname", {"none": False, "https": True}),
}


def refuse_ours(options: Mapping[str, Value]) -> None:
    """Refuse what whowas sets itself. Raises: ConfigError naming the option and why."""
    for name in options:
        if name in OURS:
            raise ConfigError(f"cannot take the Kafka option '{name}': {OURS[name]}; leave it out")
    if not options.get("bootstrap.servers"):
        raise ConfigError("cannot reach Kafka: 'bootstrap.servers' is not said; name a broker like broker:9092")


def for_kafka_python(options: Mapping[str, Value], way: str) -> dict[str, Any]:
    """Return the options as kafka-python takes them, of those that matter for one way (IN or OUT).

    Raises: ConfigError naming an option it does not know.
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in _MEANINGS:
            theirs, words = _MEANINGS[name]
            if value not in words:
                raise ConfigError(f"cannot set '{name}' to '{value}': unknown word; say one of {', '.join(words)}")
            found[theirs] = words[str(value)]
        elif name in _NAMES:
            theirs, which = _NAMES[name]
            if which in (BOTH, way):
                found[theirs] = _number(value)
        else:
            raise _unknown(name)
    return found


def _number(value: Value) -> Value:
    """librdkafka takes every number as text too."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value


def _unknown(name: str) -> ConfigError:
    near = difflib.get_close_matches(name, [*_NAMES, *_MEANINGS], n=1)
    hint = f"did you mean '{near[0]}'?" if near else "leave it out"
    return ConfigError(
        f"cannot take the Kafka option '{name}': client 'kafka-python' has none like it; {hint} "
        'Or say client = "confluent", which takes all of librdkafka\'s'
    )

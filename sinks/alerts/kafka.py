"""Alerts to Kafka: one topic, or one a level, or the one that a rule names. The key is the finding's uid."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from sinks.alerts.dead_letters import RefusedAlerts
from sinks.kafka import connect
from sinks.kafka.producer import Producer
from whowas.errors import ConfigError
from whowas.kafka import BrokerError, MessageRefused, Value
from whowas.kafka_topics import missing
from whowas.stages import Alert

LEVEL = "{level}"
# How long one message is waited for, when it is tried by itself.
ALONE_SECONDS = 30.0
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class AlertTopics:
    """Sends through one of whowas.kafka.CLIENTS.

    topic: `alerts`, or `alerts-{level}`. levels, named: what rules have, so that all topics can be checked.
    refused: for what the broker will never take (too large, say).
    """

    def __init__(
        self, client: str, options: Mapping[str, Value], topic: str, refused: RefusedAlerts,
        levels: Iterable[str] = (), named: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.trouble = ""
        self._client = client
        self._options = options
        self._topic = topic
        self._refused = refused
        self._wanted = {self._topic_of(level, None) for level in levels if LEVEL in topic} or {topic}
        self._wanted |= set(named)
        self._producer: Producer | None = None
        self._sent: dict[str, Alert] = {}

    @property
    def refused(self) -> int:
        """How many were given up and kept."""
        return self._refused.count

    def check(self) -> None:
        """Refuse topics that are not there. Raises: ConfigError, BrokerError, OutputError."""
        self._refused.check()
        for topic in sorted(self._wanted):
            if not _TOPIC.fullmatch(topic):
                raise ConfigError(f"cannot send alerts to topic '{topic}': Kafka takes letters, digits, '.', '_', '-'")
        lacking = missing(self._client, self._options, sorted(self._wanted))
        if lacking:
            names = ", ".join(f"'{one}'" for one in lacking)
            raise BrokerError(f"cannot send alerts to {names}: the broker has no such topic; create it", passing=False)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Hand alerts to the client. Raises: BrokerError; MissingExtra without the client."""
        self._sent |= {one.key: one for one in alerts}
        try:
            for one in alerts:
                self._hand_over(one)
        except MessageRefused:
            self._one_by_one()
        except BrokerError as error:
            self._let_go(error)
            raise

    def flush(self, seconds: float) -> bool:
        """Return whether all are acknowledged. Raises: BrokerError; then all since the last good flush go again."""
        if not self._sent:
            return True
        try:
            done = self._connected().flush(seconds)
        except MessageRefused:
            self._one_by_one()
            done = True
        except BrokerError as error:
            self._let_go(error)
            raise
        self.trouble = "" if done else f"cannot send alerts: no broker of {self._place} has acknowledged; it goes on"
        if done:
            self._sent.clear()
        return done

    def close(self) -> None:
        """Let go of the broker."""
        self._leave()
        self._refused.close()

    @property
    def _place(self) -> str:
        return f"'{self._options.get('bootstrap.servers')}'"

    def _topic_of(self, level: str, own: str | None) -> str:
        return own or self._topic.replace(LEVEL, level)

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = connect.connect(self._client, self._options)
        return self._producer

    def _hand_over(self, alert: Alert) -> None:
        self._connected().send(self._topic_of(alert.level, alert.topic), [(alert.key.encode(), alert.data())])

    def _let_go(self, error: BrokerError) -> None:
        """Begin anew: a client that failed a message may take no other, and would send the old ones beside the new."""
        self.trouble = str(error)
        self._sent.clear()
        self._leave()

    def _leave(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(BrokerError):  # what was not acknowledged is sent again anyhow
                producer.close()

    def _one_by_one(self) -> None:
        """One of them is refused, and nobody says which: send each by itself, and keep those that are."""
        waiting = list(self._sent.values())
        try:
            for one in waiting:
                self._alone(one)
        except BrokerError as error:
            self._let_go(error)
            raise
        self._sent.clear()

    def _alone(self, alert: Alert) -> None:
        """A client of its own: one that failed a message may say of the next that it failed too."""
        self._leave()
        try:
            self._hand_over(alert)
            self._wait()
        except MessageRefused as error:
            self._refused.keep(alert, str(error))

    def _wait(self) -> None:
        end = time.monotonic() + ALONE_SECONDS
        while not self._connected().flush(1.0):
            if time.monotonic() > end:
                raise BrokerError(f"cannot send alerts: no broker of {self._place} has acknowledged in time; try again")

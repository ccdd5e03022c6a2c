"""Defines every producer: protocol, message, patience with a broker that is down."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from whowas.kafka import Partition

# (key, value); without a value it deletes what had the key.
Message = tuple[bytes | None, bytes | None]


# So many messages wait for their acknowledgement; then sending waits.
UNANSWERED = 50_000


# Longer than any outage; the largest that both clients take.
FOR_EVER_MS = 2_147_483_647


# So long the broker may take for each step of a transaction; then it is made again.
ANSWER_SECONDS = 20.0


class Producer(Protocol):
    """Sends messages. Every method raises BrokerError; `passing` says whether to try again."""

    def send(self, topic: str, messages: Iterable[Message]) -> None:
        """Take (key, value) messages; waits while too many are unanswered."""

    def flush(self, seconds: float) -> bool:
        """Return whether everything sent is acknowledged. Raises: BrokerError when a message was refused.

        Not retryable: continuing would lose the message; a new producer resends it.
        """

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self, offsets: dict[Partition, int], membership: Any) -> None:
        """Commit what was sent since `begin`, and the offsets it was made from, or neither."""

    def abort(self) -> None:
        """Take back what was sent since `begin`."""

    def close(self) -> None:
        """Let go; what is not acknowledged may or may not arrive."""


class Patience:
    """What a transaction asks of the broker, each thing waited for no longer than ANSWER_SECONDS.

    Both clients may wait for ever for a broker that went: kafka-python takes no limit, and librdkafka forgets it while
    it looks for the group's coordinator (its issue 5456). After that nobody knows what became of the question, and no
    other can be asked: the producer is given up. Should its own come through later, the next of its name has fenced it
    by then, or finds out when it begins.
    """

    def __init__(self) -> None:
        self._given_up = False

    def wait(self, ask: Callable[[], Any]) -> None:
        """Ask. Raises: TimeoutError, and whatever the client raises."""
        if self._given_up:
            raise TimeoutError("the question before had no answer")
        answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

        def run() -> None:
            try:
                ask()
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked
                answers.put(error)
            else:
                answers.put(None)

        threading.Thread(target=run, name="transaction", daemon=True).start()
        try:
            error = answers.get(timeout=ANSWER_SECONDS + 1)
        except queue.Empty:
            self._given_up = True
            raise TimeoutError(f"no answer within {ANSWER_SECONDS:.0f} s") from None
        if error is not None:
            raise error


def broker_message(verb: str, error: object) -> str:
    return f"cannot {verb}: {error}; check bootstrap.servers, the broker, the topic, and the rights of this user"

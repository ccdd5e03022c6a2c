"""Records from Kafka, through either client: poll, commit, and who owns which partition. A module each knows a client.

Nothing is committed but by `commit`: what was polled and not committed is polled again by whoever owns it next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from whowas.kafka import Partition, Piece

Offsets = dict[Partition, int]
# What one answer of the broker may hold, so that lag costs no memory.
FETCH_BYTES = 16 << 20
# How long the broker may keep an answer back: what else is asked on that connection waits behind it.
FETCH_WAIT_MS = 100
# What one partition may send of that.
PARTITION_BYTES = FETCH_BYTES >> 2
ASK_SECONDS = 5


@dataclass(frozen=True)
class Subscription:
    """What is read; without topics no group is joined. start: earliest or latest, where the group has no offsets.

    group None: nobody's; partitions are assigned by hand.
    """

    topics: Sequence[str]
    group: str | None
    start: str = "earliest"


class Owning(NamedTuple):
    """Called from within `poll` when partitions come and go; must not call the consumer."""

    gained: Callable[[list[Partition]], None]
    lost: Callable[[list[Partition]], None]


class Consumer(Protocol):
    """A member of a consumer group. Every method raises BrokerError; `passing` says whether to try again."""

    def poll(self, seconds: float, most: int) -> list[Piece]:
        """Return what has come; wait for it no longer than so."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Let partitions wait in Kafka."""

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undo pause."""

    def commit(self, offsets: Offsets) -> bool:
        """Say which record of each partition is wanted next. Returns: whether the broker knows; else ask again."""

    def committed(self, partitions: Sequence[Partition]) -> Offsets:
        """Return what was committed, where anything was."""

    def begin_at(self, offsets: Offsets) -> Offsets:
        """Begin there, in partitions that are ours; return where each begins: its end of a moment ago, maybe."""

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first offset that is kept and the one behind the last."""

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic; none where there is no such topic."""

    def membership(self) -> Any:
        """Return what a transaction needs to commit for this member."""

    def close(self) -> None:
        """Leave the group."""


def no_tombstones(values: list[bytes | None]) -> list[bytes]:
    """A record without a value has none of its bytes."""
    return [value or b"" for value in values] if None in values else values  # type: ignore[return-value]


def times_us(times_ms: list[int]) -> list[int]:
    """Milliseconds as microseconds. Records of an old format have no time: then it is now."""
    now = time.time_ns() // 1000
    return [time_ms * 1000 if time_ms > 0 else now for time_ms in times_ms]


def trouble(verb: str, error: object) -> str:
    """Say what did not work, and where to look."""
    return f"cannot {verb}: {error}; check bootstrap.servers, the broker, and the rights of this user"

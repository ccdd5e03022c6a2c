"""Keeps records whose topic's format is not known yet.

They wait, and are lost to nobody.

Where dead letters are kept, they go there after a while, each with the reason. Else to go on would be to lose them:
they wait until later records of the topic tell the format, or a person does, and so many of a partition at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from whowas.kafka import Partition
from whowas.streaming.parsing import RecordParser
from whowas.streaming.partition_queue import Chunk, PartitionQueue

# How long later records may take to tell the format of earlier ones, where these have somewhere to go.
REFUSED_AFTER_SECONDS = 5.0
# A topic of which so many records tell no format needs a person; what else comes waits in Kafka.
MOST_RECORDS = 10_000


class Unrecognised:
    """letters: whether dead letters are kept. stuck: partitions that are to wait in Kafka."""

    def __init__(self, parsing: RecordParser, letters: bool) -> None:
        self.stuck: set[Partition] = set()
        self._parsing, self._letters = parsing, letters

    def read_again(self, lanes: Iterable[PartitionQueue]) -> None:
        """Read what waits of topics whose format is known by now."""
        self.stuck = set()
        for lane in lanes:
            if not _waits(lane):
                continue
            for place, chunk in enumerate(list(lane.waiting)):
                if chunk.unread is not None and self._parsing.knows(chunk.unread):
                    lane.replace(place, self._parsing.parse([chunk.unread])[0])
            if _waits(lane) and lane.records >= MOST_RECORDS:
                self.stuck.add(lane.partition)

    def may_refuse(self, chunk: Chunk) -> bool:
        """Return whether to wait no longer for the format of a chunk, and to keep its records aside."""
        return self._letters and time.monotonic() - chunk.polled > REFUSED_AFTER_SECONDS

    def trouble(self, lanes: Iterable[PartitionQueue]) -> str:
        """Return why records wait to be read, in words; nothing where none do."""
        topics = {lane.partition.topic for lane in lanes if _waits(lane)}
        return "; ".join(self._parsing.unknown.get(one, "") for one in sorted(topics))


def _waits(lane: PartitionQueue) -> bool:
    """Behind what was read nothing is unread: a format that is known stays known."""
    try:
        return lane.waiting[0].unread is not None
    except IndexError:  # another thread may ask, when the last one has just gone
        return False

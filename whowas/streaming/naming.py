"""Names the chunks that wait, at once where that is final, else when it is or provisionally."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pyarrow.compute as pc

from whowas.settings import Naming
from whowas.streaming.backlog import Backlog
from whowas.streaming.delivery import Outputs
from whowas.streaming.history_follower import HistoryFollower
from whowas.streaming.parsing import RecordParser
from whowas.streaming.partition_queue import Chunk, PartitionQueue
from whowas.streaming.retries import Retries
from whowas.streaming.revisions import changed
from whowas.streaming.unrecognised import Unrecognised
from whowas.streaming.vitals import Counts

NAMED_AT_ONCE = 50_000


class ChunkNamer:
    """Names chunks in the order of their partition. settings: as of the last reload."""

    def __init__(
        self,
        settings: Naming,
        knowledge: HistoryFollower,
        outputs: Outputs,
        held: Backlog,
        parsing: RecordParser,
        unread: Unrecognised,
        troubles: Retries,
        counts: Counts,
    ) -> None:
        self.settings, self.knowledge = settings, knowledge
        self._outputs, self._held, self._parsing, self._unread = outputs, held, parsing, unread
        self._troubles, self._counts = troubles, counts

    def name_provisionally(self, chunks: list[tuple[PartitionQueue, Chunk]]) -> None:
        """Send what is known of new chunks whose names may still change; only where that is asked for."""
        if self.settings.wait != "provisional":
            return
        chunks = [(lane, chunk) for lane, chunk in chunks if not self._final(chunk)]
        if not chunks:
            return
        batches = self.knowledge.name([chunk.flows for _, chunk in chunks])
        for (lane, chunk), named in zip(chunks, batches, strict=True):
            with self._troubles.attempt("send"):
                self._outputs.send(named, revision=0)
                # What was not sent has no answer that could be revised: it is sent when it is final.
                lane.provisional[id(chunk)] = named

    def name_all(self) -> None:
        """Name what need not wait, some tens of thousands of flows at a time, each lane in its order."""
        while self._troubles.allowed("send") and (several := self._nameable()):
            batches = self.knowledge.name([chunk.flows for _, chunk in several])
            with self._troubles.attempt("send"):
                for (lane, chunk), named in zip(several, batches, strict=True):
                    self._named(lane, chunk, named)

    def _nameable(self) -> list[tuple[PartitionQueue, Chunk]]:
        found, rows = [], 0
        for lane in self._held.lanes.values():
            for chunk in lane.waiting if lane.claimed else ():
                if rows >= NAMED_AT_ONCE or not self._may_name(chunk):
                    break
                found.append((lane, chunk))
                rows += chunk.flows.num_rows
        return found

    def _may_name(self, chunk: Chunk) -> bool:
        if chunk.unread is not None:
            return self._unread.may_refuse(chunk)
        if self.settings.wait == "never" or self._final(chunk):
            return True
        return time.monotonic() - chunk.polled > self.settings.max_wait_seconds

    def _final(self, chunk: Chunk) -> bool:
        """Whether nothing that may still become known can change the names."""
        return not chunk.flows.num_rows or chunk.needed_us <= self.knowledge.watermark_us

    def _named(self, lane: PartitionQueue, chunk: Chunk, named: Any) -> None:
        """Take over names. A chunk leaves the queue only when it has been sent where it is sent at once."""
        before = lane.provisional.get(id(chunk))
        if self.settings.wait != "provisional":
            self._outputs.send(named, revision=None)
        elif before is None:
            self._outputs.send(named, revision=0)
        else:
            news = changed(before, named)
            self._outputs.send(news, revision=1)
            self._counts.revised += news.num_rows
        lane.provisional.pop(id(chunk), None)
        if chunk.unread is not None:
            self._parsing.refuse(chunk)
        self._counts.flows += named.num_rows
        self._counts.late += 0 if self._final(chunk) else named.num_rows
        _count_confidence(self._counts.confidence, named)
        lane.named(named)


def _count_confidence(counts: Counter[str], named: Any) -> None:
    for side in ("src", "dst"):
        for one in pc.value_counts(named[f"{side}_confidence"]).to_pylist():
            counts[one["values"] or "unknown"] += one["counts"]

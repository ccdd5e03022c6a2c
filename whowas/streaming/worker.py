"""The loop of one worker: poll, read, wait for knowledge, name, deliver; and what happens when something fails.

Everything runs in one thread, so that what is held belongs to one place. Other threads may ask for `vitals`, `stop`
and `reload`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from ingest.folder.consumer import FolderConsumer
from ingest.kafka.consumer import Consumer, Owning
from whowas.config import load
from whowas.errors import WhowasError
from whowas.kafka import Partition, Piece
from whowas.kafka_topics import describe
from whowas.metrics import Histogram
from whowas.settings import StreamConfig
from whowas.streaming import wiring
from whowas.streaming.backlog import Backlog
from whowas.streaming.claims import Claims
from whowas.streaming.delivery import Delivery
from whowas.streaming.history_follower import HistoryFollower, replica_of
from whowas.streaming.parsing import RecordParser
from whowas.streaming.partition_queue import Chunk, PartitionQueue
from whowas.streaming.retries import Retries
from whowas.streaming.revisions import changed
from whowas.streaming.unrecognised import Unrecognised
from whowas.streaming.vitals import Counts, LagVitals, StreamVitals

POLL_SECONDS = 0.1
NAMED_AT_ONCE = 50_000
RELOAD_EVERY_SECONDS = 2.0
STOP_SECONDS = 5.0
COMMIT_SECONDS = 2.0


class Worker:
    """One member of the consumer group. `run` returns when `stop` was called; everything it raises is final."""

    def __init__(self, config: StreamConfig) -> None:
        self.counts = Counts()
        self._config = config
        self._stopping = threading.Event()
        self._reloading = threading.Event()
        self._ended = False
        self._troubles = Retries()
        self._reload_trouble = ""
        self._held = Backlog(config.naming.held_rows)
        self._lanes = self._held.lanes
        # A client may call from a thread of its own: a deque is appended to and taken from in one step.
        self._changes: deque[tuple[str, list[Partition]]] = deque()
        self._provisional: dict[int, Any] = {}
        self._probed: list[Partition] = []
        self._delivered_at = 0.0
        self._alive_at = time.monotonic()
        self._delivery_seconds = Histogram()
        self._parsing = RecordParser(config.input, config.naming.publication_seconds)
        letters = config.dead_letters
        self._unread = Unrecognised(self._parsing, bool(letters.folder or letters.topic))
        self.counts.refused, self.counts.skipped = self._parsing.refused, self._parsing.skipped
        self._knowledge: HistoryFollower | None = None
        self._replica = replica_of(config.history, config.kafka)
        self._catching_up = ""
        self._outputs = wiring.outputs(config)
        latest = config.input.folder is None and config.input.start == "latest"
        self._claiming = Claims(self._outputs, latest, self.counts.expired, self._topic_id)
        self._consumer: Consumer | None = None
        self._files_seen, self._looked_at = wiring.versions(config), time.monotonic()

    # What other threads may call.

    def stop(self) -> None:
        """Deliver what is named, leave the group, return from `run`."""
        self._stopping.set()

    def reload(self) -> None:
        """Read the configuration again; names change from the next flow on, nothing else does."""
        self._reloading.set()

    def vitals(self) -> StreamVitals:
        """Return how it goes."""
        lanes, parquet, knowledge = list(self._lanes.values()), self._outputs.parquet, self._knowledge
        state, reason = self._state()
        self.counts.failures = self._troubles.failures
        return StreamVitals(
            at_us=time.time_ns() // 1000,
            state=state,
            reason=reason,
            counts=self.counts,
            held=self._held.weight(),
            held_records=self._held.records(),
            capacity=self._config.naming.held_rows,
            partitions=tuple(
                LagVitals(one.partition, one.claimed, self._held.lags.get(one.partition)) for one in lanes
            ),
            watermark_us=knowledge.watermark_us if knowledge else 0,
            history_trouble=knowledge.trouble if knowledge else "",
            reload_trouble=self._reload_trouble,
            format_trouble=self._unread.trouble(lanes),
            quiet_seconds=time.monotonic() - self._alive_at,
            files=parquet.files_written if parquet else 0,
            bytes=parquet.bytes_written if parquet else 0,
            delivery_seconds=self._delivery_seconds,
            undelivered=self._held.undelivered_records(),
            unread=dict(self._consumer.unknown) if isinstance(self._consumer, FolderConsumer) else {},
            replica=self._replica.vitals() if self._replica is not None else None,
            judging=self._outputs.judging.vitals() if self._outputs.judging is not None else None,
        )

    def _state(self) -> tuple[str, str]:
        """One word, and why."""
        trouble = self._troubles.first()
        if self._ended:
            return "stopped", ""
        if trouble is not None:
            return trouble
        reading = self._lanes or isinstance(self._consumer, FolderConsumer)
        return ("full" if self._held.full else "reading" if reading else "starting"), self._catching_up

    # The loop.

    def run(self) -> None:
        """Read until `stop`. Raises: WhowasError for what trying again cannot mend."""
        try:
            self._begin()
            while self._consumer is not None and not self._stopping.is_set():
                self._round(self._consumer)
            self._finish()
        finally:
            self._ended = True
            self._let_go()

    def _begin(self) -> None:
        """Refuse what cannot work, then wait for a broker for as long as it takes."""
        if not self._catch_up():
            return
        self._knowledge = HistoryFollower(self._config.history, self._config.naming, self._replica)
        if self._outputs.parquet is not None:
            self._outputs.parquet.check()
        if self._outputs.letter_files is not None:
            self._outputs.letter_files.check()
        if self._outputs.judging is not None:
            self._outputs.judging.check()
        while self._consumer is None and not self._stopping.is_set():
            self._alive_at = time.monotonic()
            if not self._troubles.may("broker"):
                self._stopping.wait(0.1)
                continue
            with self._troubles.trying("broker"):
                if self._outputs.transactions:
                    # Ends what a worker of this name left open, which would keep the offsets back.
                    self._outputs.producer(transactional=True)
                owning = Owning(self._gained, self._lost)
                consumer = wiring.consumer(self._config, self._outputs, owning, self._parsing.options)
                self._probed = wiring.first_partitions(consumer, self._config.input.topics)
                self._consumer = consumer

    def _catch_up(self) -> bool:
        """Wait until a replica knows what its topic knew when we came. Returns: False when we are to stop before."""
        if self._replica is None:
            return True
        self._replica.start()
        while (lacks := self._replica.unready()) and not self._stopping.is_set():
            self._alive_at = time.monotonic()
            self._catching_up = "; ".join(lacks)
            self._stopping.wait(0.2)
        self._catching_up = ""
        return not self._stopping.is_set()

    def _round(self, consumer: Consumer) -> None:
        self._alive_at = time.monotonic()
        pieces: list[Piece] = []
        with self._troubles.trying("poll"):
            pieces = consumer.poll(POLL_SECONDS, self._held.room())
        self._rebalance()
        self._claim(consumer)
        self._take(pieces)
        self._unread.read_again(self._lanes.values())
        self._look()
        self._name_all()
        self._deliver(consumer)
        if self._outputs.judging is not None:
            self._outputs.judging.look()
        self._held.pace(consumer, self._unread.stuck)
        self._ask_lag(consumer)
        if not self._troubles.may("poll"):
            self._stopping.wait(POLL_SECONDS)

    # Partitions come and go.

    def _gained(self, partitions: list[Partition]) -> None:
        self._changes.append(("gained", partitions))

    def _lost(self, partitions: list[Partition]) -> None:
        self._changes.append(("lost", partitions))

    def _topic_id(self, topic: str) -> str:
        told = self._config
        return "" if told.input.folder is not None else describe(told.kafka.client, told.kafka.options, topic).id

    def _rebalance(self) -> None:
        """Forget what is lost, before anything else is done: its next owner may have begun."""
        while self._changes:
            word, partitions = self._changes.popleft()
            self.counts.rebalances += 1
            self._held.full = False
            for one in partitions:
                self._forget(one)
                if word == "gained":
                    self._lanes[one] = PartitionQueue(one)

    def _forget(self, partition: Partition) -> None:
        lane = self._lanes.pop(partition, None)
        lot = self._held.delivery.forget(partition) if self._held.delivery is not None else None
        if lane is not None:
            self.counts.forgotten[partition.topic] += lane.records + (lot.records() if lot else 0)
            for chunk in lane.waiting:
                self._provisional.pop(id(chunk), None)
        self._held.lags.pop(partition, None)
        self._parsing.forget(partition)
        if self._outputs.parquet is not None:
            self._outputs.parquet.release(partition)
        if self._outputs.judging is not None:
            self._outputs.judging.forget(partition)

    def _claim(self, consumer: Consumer) -> None:
        """Take hold of the output of each new partition; its last owner may still be busy with it."""
        wanted = [one for one in self._lanes.values() if not one.claimed]
        if not wanted or not self._troubles.may("claim"):
            return
        with self._troubles.trying("claim"):
            self._claiming.claim(wanted, consumer)

    # Records come.

    def _take(self, pieces: list[Piece]) -> None:
        """Read what is new. What came for a partition that is no longer ours is nobody's loss."""
        owned = [one for one in pieces if one.partition in self._lanes]
        new = [one for one in (_behind(each, self._lanes[each.partition].next) for each in owned) if one.offsets]
        if not new:
            return
        chunks = self._parsing.parse(new)
        for piece, chunk in zip(new, chunks, strict=True):
            lane = self._lanes[piece.partition]
            lane.next = piece.offsets[-1] + 1
            lane.put(chunk)
            self.counts.received[piece.partition.topic] += len(piece.offsets)
        if self._config.naming.wait == "provisional":
            self._say_provisionally([one for one in chunks if not self._final(one)])

    def _say_provisionally(self, chunks: list[Chunk]) -> None:
        assert self._knowledge is not None
        if not chunks:
            return
        for chunk, named in zip(chunks, self._knowledge.name([one.flows for one in chunks]), strict=True):
            with self._troubles.trying("send"):
                self._outputs.send(named, revision=0)
                # What was not sent has no answer that could be revised: it is sent when it is final.
                self._provisional[id(chunk)] = named

    def _look(self) -> None:
        """See whether the history has grown or the configuration has changed."""
        assert self._knowledge is not None
        self._knowledge.refresh()
        if time.monotonic() - self._looked_at > RELOAD_EVERY_SECONDS:
            self._looked_at, versions = time.monotonic(), wiring.versions(self._config)
            if versions != self._files_seen:
                self._files_seen = versions
                self._reloading.set()
        if self._reloading.is_set():
            self._reloading.clear()
            self._reload()

    def _reload(self) -> None:
        """Take over names from the files as they are now; what cannot be read changes nothing, and is told."""
        assert self._knowledge is not None
        try:
            told = load(self._config.path) if self._config.path else self._config
            naming = told.naming
            self._knowledge.renew(naming)
            if self._outputs.judging is not None and told.rules is not None:
                self._outputs.judging.renew(told)
        except WhowasError as error:
            self._reload_trouble = f"cannot reload: {error}"
            return
        self._reload_trouble = ""
        self._config = replace(self._config, rules=told.rules, naming=replace(naming, wait=self._config.naming.wait))
        self.counts.reloads += 1

    # Flows are named.

    def _name_all(self) -> None:
        """Name what need not wait, some tens of thousands of flows at a time, each lane in its order."""
        assert self._knowledge is not None
        while self._troubles.may("send") and (several := self._nameable()):
            named = self._knowledge.name([chunk.flows for _, chunk in several])
            with self._troubles.trying("send"):
                for (lane, chunk), flows in zip(several, named, strict=True):
                    self._named(lane, chunk, flows)

    def _nameable(self) -> list[tuple[PartitionQueue, Chunk]]:
        found, rows = [], 0
        for lane in self._lanes.values():
            for chunk in lane.waiting if lane.claimed else ():
                if rows >= NAMED_AT_ONCE or not self._may_name(chunk):
                    break
                found.append((lane, chunk))
                rows += chunk.flows.num_rows
        return found

    def _may_name(self, chunk: Chunk) -> bool:
        if chunk.unread is not None:
            return self._unread.may_refuse(chunk)
        if self._config.naming.wait == "never" or self._final(chunk):
            return True
        return time.monotonic() - chunk.polled > self._config.naming.max_wait_seconds

    def _final(self, chunk: Chunk) -> bool:
        """Whether nothing that may still become known can change the names."""
        assert self._knowledge is not None
        return not chunk.flows.num_rows or chunk.needed_us <= self._knowledge.watermark_us

    def _named(self, lane: PartitionQueue, chunk: Chunk, named: Any) -> None:
        """Take over names. A chunk leaves the queue only when it has been sent where it is sent at once."""
        before = self._provisional.get(id(chunk))
        if self._config.naming.wait != "provisional":
            self._outputs.send(named, revision=None)
        elif before is None:
            self._outputs.send(named, revision=0)
        else:
            news = changed(before, named)
            self._outputs.send(news, revision=1)
            self.counts.revised += news.num_rows
        self._provisional.pop(id(chunk), None)
        if chunk.unread is not None:
            self._parsing.refuse(chunk)
        self.counts.flows += named.num_rows
        self.counts.late += 0 if self._final(chunk) else named.num_rows
        _count_confidence(self.counts.confidence, named)
        lane.named(named)

    # Named flows are delivered.

    def _deliver(self, consumer: Consumer) -> None:
        if self._held.delivery is None and self._due():
            lots = self._held.take_ready()
            self._held.delivery = Delivery(self._outputs, lots) if lots else None
            self._delivered_at = time.monotonic()
        self._push(consumer)

    def _push(self, consumer: Consumer) -> None:
        """Go on with the delivery, where it is not to wait after a failure."""
        delivery, written = self._held.delivery, False
        if delivery is None or not self._troubles.may("output"):
            return
        with self._troubles.trying("output"):
            written = delivery.write(self._behind())
        if written and self._troubles.may("commit"):
            with self._troubles.trying("commit"):
                if delivery.commit(consumer):
                    self._done(delivery)

    def _behind(self) -> list[Partition]:
        """Partitions of which more is to come than was delivered: event time must not run ahead of them."""
        if self._config.input.folder is not None:
            return [one.partition for one in list(self._lanes.values()) if one.weight > 0]
        return [one for one in list(self._lanes) if self._held.lags.get(one, 1) > 0]

    def _due(self) -> bool:
        ready = sum(one.ready_weight for one in self._lanes.values())
        parquet = self._config.parquet
        seconds, rows = (parquet.flush_seconds, parquet.flush_rows) if parquet else (1.0, 50_000)
        full = self._held.weight() >= self._config.naming.held_rows
        return ready > 0 and (full or ready >= rows or time.monotonic() - self._delivered_at > seconds)

    def _done(self, delivery: Delivery) -> None:
        for lot in delivery.lots.values():
            self.counts.delivered[lot.partition.topic] += lot.records()
        self.counts.repeated.update(delivery.repeated)
        self.counts.deliveries += 1
        self._delivery_seconds.add(time.monotonic() - delivery.began)
        self._held.delivery = None

    def _ask_lag(self, consumer: Consumer) -> None:
        """Ask what waits, which also tells whether the broker answers: a client alone would try in silence."""
        kafka = self._config.input.folder is None
        if kafka and self._troubles.may("broker") and self._held.lag_is_due():
            with self._troubles.trying("broker"):
                # Without partitions the broker is asked too: it may be why there are none.
                self._held.ask_lags(consumer, self._probed)

    # The end.

    def _finish(self) -> None:
        """Deliver what is named; what is not is read again by whoever comes next."""
        until, pushed = time.monotonic() + STOP_SECONDS, False
        self._troubles.hurry()
        while self._consumer is not None and time.monotonic() < until:
            if self._held.delivery is None:
                lots = self._held.take_ready()
                if not lots:
                    break
                self._held.delivery = Delivery(self._outputs, lots)
            self._push(self._consumer)
            if not pushed:
                # What took long to write is not to be done again for want of a moment to commit it.
                until, pushed = max(until, time.monotonic() + COMMIT_SECONDS), True
            if self._held.delivery is not None:
                # Nothing is taken of what this brings; answers to commits come with it.
                with self._troubles.trying("poll"):
                    self._consumer.poll(POLL_SECONDS, 1)
                self._rebalance()
        if self._outputs.judging is not None:
            with self._troubles.trying("output"):
                self._outputs.judging.finish()

    def _let_go(self) -> None:
        if self._consumer is not None:
            with self._troubles.trying("broker"):
                self._consumer.close()
        self._outputs.close()
        if self._knowledge is not None:
            self._knowledge.close()
        if self._replica is not None:
            self._replica.close()


def _behind(piece: Piece, offset: int) -> Piece:
    """What of a piece lies at or behind an offset."""
    if not piece.offsets or piece.offsets[0] >= offset:
        return piece
    cut = next((place for place, one in enumerate(piece.offsets) if one >= offset), len(piece.offsets))
    return Piece(piece.partition, piece.values[cut:], piece.offsets[cut:], piece.received_us[cut:])


def _count_confidence(counts: Counter[str], named: Any) -> None:
    for side in ("src", "dst"):
        for one in pc.value_counts(named[f"{side}_confidence"]).to_pylist():
            counts[one["values"] or "unknown"] += one["counts"]

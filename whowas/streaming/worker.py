"""The loop of one worker: poll, read, wait for knowledge, name, deliver; and what happens when something fails.

Everything runs in one thread, so that what is held belongs to one place. Other threads may ask for `vitals`, `stop`
and `reload`.
"""

from __future__ import annotations

import threading
import time

from ingest.folder.consumer import FolderConsumer
from ingest.kafka.consumer import Consumer
from whowas.kafka import Partition, Piece
from whowas.metrics import Histogram
from whowas.settings import StreamConfig
from whowas.streaming import wiring
from whowas.streaming.assignment import Assignment
from whowas.streaming.backlog import Backlog
from whowas.streaming.delivery import Delivery
from whowas.streaming.history_follower import HistoryFollower, replica_of
from whowas.streaming.naming import ChunkNamer
from whowas.streaming.parsing import RecordParser
from whowas.streaming.reload import Reload
from whowas.streaming.retries import Retries
from whowas.streaming.unrecognised import Unrecognised
from whowas.streaming.vitals import Counts, LagVitals, StreamVitals

POLL_SECONDS = 0.1
STOP_SECONDS = 5.0
COMMIT_SECONDS = 2.0


class Worker:
    """One member of the consumer group. `run` returns when `stop` was called; everything it raises is final."""

    def __init__(self, config: StreamConfig) -> None:
        self.counts = Counts()
        self._config = config
        self._stopping = threading.Event()
        self._ended = False
        self._troubles = Retries()
        self._held = Backlog(config.naming.held_rows)
        self._lanes = self._held.lanes
        self._probed: list[Partition] = []
        self._delivered_at = 0.0
        self._alive_at = time.monotonic()
        self._delivery_seconds = Histogram()
        self._parsing = RecordParser(config.input, config.naming.publication_seconds)
        letters = config.dead_letters
        self._unread = Unrecognised(self._parsing, bool(letters.folder or letters.topic))
        self.counts.refused, self.counts.skipped, self.counts.noted = self._parsing.counters()
        self._knowledge: HistoryFollower | None = None
        self._replica = replica_of(config.history, config.kafka)
        self._catching_up = ""
        self._outputs = wiring.outputs(config)
        self._assignment = Assignment(config, self._outputs, self._held, self._parsing, self._troubles, self.counts)
        self._consumer: Consumer | None = None
        self._reload = Reload(config)

    # What other threads may call.

    def stop(self) -> None:
        """Deliver what is named, leave the group, return from `run`."""
        self._stopping.set()

    def reload(self) -> None:
        """Read the configuration again; names change from the next flow on, nothing else does."""
        self._reload.ask()

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
            reload_trouble=self._reload.trouble,
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
            naming = self._begin()
            while self._consumer is not None and naming is not None and not self._stopping.is_set():
                self._round(self._consumer, naming)
            self._finish()
        finally:
            self._ended = True
            self._let_go()

    def _begin(self) -> ChunkNamer | None:
        """Refuse what cannot work, then wait for a broker for as long as it takes. None: we are to stop before."""
        if not self._catch_up():
            return None
        self._knowledge = HistoryFollower(self._config.history, self._config.naming, self._replica)
        if self._outputs.parquet is not None:
            self._outputs.parquet.check()
        if self._outputs.letter_files is not None:
            self._outputs.letter_files.check()
        if self._outputs.judging is not None:
            self._outputs.judging.check()
        while self._consumer is None and not self._stopping.is_set():
            self._alive_at = time.monotonic()
            if not self._troubles.allowed("broker"):
                self._stopping.wait(0.1)
                continue
            with self._troubles.attempt("broker"):
                if self._outputs.transactions:
                    # Ends what a worker of this name left open, which would keep the offsets back.
                    self._outputs.producer(transactional=True)
                owning = self._assignment.owning()
                consumer = wiring.consumer(self._config, self._outputs, owning, self._parsing.options)
                self._probed = wiring.first_partitions(consumer, self._config.input.topics)
                self._consumer = consumer
        return ChunkNamer(
            self._config.naming, self._knowledge, self._outputs, self._held, self._parsing, self._unread,
            self._troubles, self.counts,
        )  # fmt: skip

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

    def _round(self, consumer: Consumer, naming: ChunkNamer) -> None:
        self._alive_at = time.monotonic()
        pieces: list[Piece] = []
        with self._troubles.attempt("poll"):
            pieces = consumer.poll(POLL_SECONDS, self._held.room())
        self._assignment.rebalance()
        self._assignment.claim(consumer)
        self._take(pieces, naming)
        self._unread.read_again(self._lanes.values())
        self._look(naming)
        naming.name_all()
        self._deliver(consumer)
        if self._outputs.judging is not None:
            self._outputs.judging.look()
        self._held.pace(consumer, self._unread.stuck)
        self._ask_lag(consumer)
        if not self._troubles.allowed("poll"):
            self._stopping.wait(POLL_SECONDS)

    # Records come.

    def _take(self, pieces: list[Piece], naming: ChunkNamer) -> None:
        """Read what is new. What came for a partition that is no longer ours is nobody's loss."""
        owned = [one for one in pieces if one.partition in self._lanes]
        new = [one for one in (_behind(each, self._lanes[each.partition].next) for each in owned) if one.offsets]
        if not new:
            return
        lanes = [self._lanes[piece.partition] for piece in new]
        chunks = self._parsing.parse(new)
        for lane, piece, chunk in zip(lanes, new, chunks, strict=True):
            lane.next = piece.offsets[-1] + 1
            lane.put(chunk)
            self.counts.received[piece.partition.topic] += chunk.records
        naming.name_provisionally(list(zip(lanes, chunks, strict=True)))

    def _look(self, naming: ChunkNamer) -> None:
        """See whether the history has grown or the configuration has changed."""
        naming.knowledge.refresh()
        config = self._reload.look(self._config, naming, self._outputs)
        if config is not None:
            self._config = config
            self.counts.reloads += 1

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
        if delivery is None or not self._troubles.allowed("output"):
            return
        with self._troubles.attempt("output"):
            written = delivery.write(self._behind())
        if written and self._troubles.allowed("commit"):
            with self._troubles.attempt("commit"):
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
        if kafka and self._troubles.allowed("broker") and self._held.lag_is_due():
            with self._troubles.attempt("broker"):
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
                with self._troubles.attempt("poll"):
                    self._consumer.poll(POLL_SECONDS, 1)
                self._assignment.rebalance()
        if self._outputs.judging is not None:
            with self._troubles.attempt("output"):
                self._outputs.judging.finish()

    def _let_go(self) -> None:
        if self._consumer is not None:
            with self._troubles.attempt("broker"):
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

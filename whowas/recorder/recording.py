"""Records several clusters into one store: watches -> mailbox -> writer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from enrich.store.evidence_store import OUTBOX_MOST
from ingest.cluster.evidence.messages import to_messages
from ingest.cluster.watch.cluster_watch import ClusterWatch, Connection, StreamState, WatchOptions
from whowas.errors import ConfigError
from whowas.evidence_topic import Publisher, TopicSettings
from whowas.recorder.mailbox import Mailbox
from whowas.recorder.vitals import SILENCE_SECONDS, Vitals, WatchVitals
from whowas.recorder.writer import OutboxOutlet, Pace, Writer

# Reduced pods take some three kilobytes each: this bounds what a store that is slow costs in memory.
CAPACITY = 8000
PUBLISH_LAST_SECONDS = 3.0


@dataclass(frozen=True)
class PublishOptions:
    """Where the evidence goes beside the store. resend: all of it anew. most_bytes: of what waits for the broker."""

    topic: TopicSettings
    resend: bool = False
    most_bytes: int = OUTBOX_MOST


@dataclass(frozen=True)
class RecorderOptions:
    """silence_seconds: how long a watch may be silent before the recording counts as incomplete.

    publish: a topic that all evidence goes to as well.
    """

    capacity: int = CAPACITY
    silence_seconds: float = SILENCE_SECONDS
    pace: Pace = field(default_factory=Pace)
    watch: WatchOptions = field(default_factory=WatchOptions)
    publish: PublishOptions | None = None


class Recorder:
    """Records clusters until it is stopped. A context manager: leaving it stops.

    Args: history: path of the store. clusters: (name in the history, connection) of each.
    Raises: ConfigError: two clusters of one name. StoreError: the store cannot be opened for writing.
    """

    def __init__(
        self, history: str, clusters: Sequence[tuple[str, Connection]], options: RecorderOptions = RecorderOptions()
    ) -> None:
        names = [name for name, _ in clusters]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"cannot record {', '.join(names)}: two clusters have one name; give each its own with --cluster"
            )
        self._clusters = clusters
        self._options = options
        self._mailbox = Mailbox(options.capacity)
        told = options.publish
        self._publisher = Publisher(history, told.topic, resend=told.resend) if told else None
        outlet = OutboxOutlet(to_messages, self._publisher.tend, told.most_bytes) if told and self._publisher else None
        self._writer = Writer(history, self._mailbox, options.pace, outlet)
        self._watches: dict[str, ClusterWatch] = {}
        self._resumed: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Open the store and watch on from where it ends."""
        cursors = self._writer.start([name for name, _ in self._clusters])
        if self._publisher is not None:
            self._publisher.start()
        for name, connection in self._clusters:
            self._resumed |= {(name, kind) for kind in cursors[name]}
            resume = {kind: (one.version, one.received_us) for kind, one in cursors[name].items()}
            self._watches[name] = ClusterWatch(connection, name, resume, self._mailbox.put, options=self._options.watch)
        for watch in self._watches.values():
            watch.start()

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """End the watches, make durable what they had received, close the store.

        Returns: whether all of it is durable. If not, the next start asks the apiserver for it again.
        """
        deadline = time.monotonic() + timeout_seconds
        # A store that fails holds the watches up: they are let go first, or they would not hear of the end.
        if self._writer.vitals().state != "writing":
            self._mailbox.close()
        leaving = [
            threading.Thread(target=watch.stop, args=(timeout_seconds * 0.4,), daemon=True)
            for watch in self._watches.values()
        ]
        for one in leaving:
            one.start()
        for one in leaving:
            one.join(max(deadline - timeout_seconds * 0.5 - time.monotonic(), 0.0))
        durable = self._writer.stop(max(deadline - time.monotonic(), 0.1))
        if self._publisher is not None:
            # What does not arrive any more is in the store, and is sent after the next start.
            self._publisher.stop(min(max(deadline - time.monotonic(), 0.1), PUBLISH_LAST_SECONDS))
        return durable

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def failure(self) -> Exception | None:
        """Return what ended the recording for good: damage, or an error that nobody foresaw."""
        return self._writer.failure

    def on_change(self, call: Callable[[], None]) -> None:
        """Call when the state of the store or the topic changes, from their threads."""
        self._writer.changed = call
        if self._publisher is not None:
            self._publisher.changed = call

    def vitals(self) -> Vitals:
        """Return everything as it is now. May be called from any thread, also after stop()."""
        # Copies in one step, for the counters grow in other threads; what came first is read last.
        dropped, written = Counter(dict(self._writer.dropped)), Counter(dict(self._writer.written))
        streams = [
            _vitals(name, state, (name, state.kind) in self._resumed or bool(written[name, state.kind, "RELISTED"]))
            for name, watch in self._watches.items()
            for state in list(watch.states.values())
        ]
        queued, received = len(self._mailbox), Counter(dict(self._mailbox.received))
        return Vitals(
            time.time_ns() // 1000,
            tuple(streams),
            self._writer.vitals(),
            received,
            written,
            dropped,
            queued,
            self._mailbox.capacity,
            self._writer.write_seconds,
            self._options.silence_seconds,
            self._publisher.vitals() if self._publisher else None,
        )


def _vitals(cluster: str, state: StreamState, durable: bool) -> WatchVitals:
    return WatchVitals(
        cluster,
        state.kind,
        state.state,
        state.since_us,
        state.last_received_us,
        state.restarts,
        state.gaps,
        state.objects,
        state.last_error,
        durable,
        state.optional,
        {reason: count for reason, count in dict(state.refused).items() if count},
    )

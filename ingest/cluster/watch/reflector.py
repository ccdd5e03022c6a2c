"""Follows one kind of object: lists, watches, and recovers when either ends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from ingest.cluster.evidence.lines import EvidenceReport, allowed
from ingest.cluster.watch.api_client import Connection
from ingest.cluster.watch.api_errors import Refused, Unreachable, Unreadable
from ingest.cluster.watch.event_decoder import read_event
from ingest.cluster.watch.list_watch import Expired, ListWatch, Stopped
from ingest.cluster.watch.resources import Resource
from ingest.cluster.watch.watch_state import StreamState, WallClock, WatchOptions
from whowas.backoff import Backoff
from whowas.errors import ConfigError
from whowas.observation import KubeObject, Meta, Observation, version_number

# A watch that stood this long was a good one, though nothing happened in it.
HEALTHY_SECONDS = 10.0
# An apiserver that starts refuses everybody until it has read its roles.
REFUSALS_BELIEVED = 4
# An event is on its way for less than this; what comes within it after a watch was opened may have waited for that.
LATE_LEAST_US = 5_000_000
Put = Callable[[list[Observation]], None]


class Reflector:
    """Follows one kind; run() is the body of its thread.

    Args: resume: (resourceVersion, received_us of the last word) of an earlier run, or None.
        put: takes observations of this kind in order; while it blocks, nothing is read.
    """

    def __init__(
        self,
        resource: Resource,
        connection: Connection,
        cluster: str,
        resume: tuple[str, int] | None,
        put: Put,
        options: WatchOptions,
    ) -> None:
        self.resource = resource
        self.state = StreamState(resource.kind, version=resume[0] if resume else None)
        self._cluster, self._put, self._options = cluster, put, options
        self._source = connection.server + resource.path
        self._report = EvidenceReport(refused=self.state.refused)
        self._upstream = ListWatch(resource, connection, options, self._report)
        self._clock = WallClock()
        self._backoff = Backoff(*options.backoff_seconds)
        self._word_us = resume[1] if resume else None
        self._counted_at = 0
        self._opened = False
        # When the watch was opened, as long as nothing has come from it.
        self._open_us: int | None = None
        # How often in a row: versions too old, lines unreadable, credentials refused, rights missing, watches closed.
        self._expired = self._unread = self._unknown = self._denied = self._closed = 0

    def run(self) -> None:
        """List and watch until interrupt(). Whatever `put` raises ends the stream, and is seen."""
        try:
            while not self._upstream.stop.is_set():
                self._upstream.stop.wait(self._turn())
        except Stopped:
            pass
        except BaseException as error:
            self.state.last_error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._upstream.forget()
            self.state.enter("stopped")

    def interrupt(self) -> None:
        """Ask the stream to end, from another thread."""
        self._upstream.interrupt()

    def _turn(self) -> float:
        """List where that is needed, and watch. Return the pause in seconds before the next turn."""
        try:
            if self.state.version is None:
                self._list()
            else:
                self._check_version(self.state.version)
            return self._watch()
        except Expired as error:
            return self._expire(str(error))
        except Unreadable as error:
            return self._reread(error)
        except Refused as error:
            return self._after_refusal(error)
        except (Unreachable, ConfigError) as error:
            if not isinstance(error, Unreachable) or error.certificate:
                self._upstream.forget()
            return self._wait(str(error))

    # What to do when something ended

    def _wait(self, words: str, least: float = 0.0, state: str = "waiting") -> float:
        if self._upstream.stop.is_set():
            raise Stopped
        self.state.last_error = words
        self.state.enter(state)
        return max(least, self._backoff.pause())

    def _expire(self, words: str) -> float:
        """Forget the version. The first time the list follows at once, after that with pauses."""
        self.state.version = None
        self._expired += 1
        pause = self._wait(words)
        return pause if self._expired > 1 else 0.0

    def _reread(self, error: Unreadable) -> float:
        """Garbled on its way or garbled at its source? The server sends the event again; the second time, list."""
        self.state.refused["broken"] += 1
        self._unread += 1
        if self.state.version is not None and (error.too_long or self._unread > 1):
            return self._expire(str(error))
        return self._wait(str(error))

    def _after_refusal(self, error: Refused) -> float:
        if error.status in (400, 410) and self.state.version is not None:
            return self._expire(str(error))
        if error.status == 401:
            # Tokens are rotated: read them anew, and only then believe the refusal.
            self._upstream.forget()
            self._unknown += 1
            pause = self._wait(str(error))
            return pause if self._unknown > 1 else 0.0
        if error.status in (403, 404):
            self._denied += 1
            state = "forbidden" if error.status == 403 else "waiting"
            slow = self._options.refused_seconds * random.uniform(0.8, 1.2)
            return self._wait(str(error), slow if self._denied > REFUSALS_BELIEVED else 0.0, state)
        return self._wait(str(error), error.pause_seconds or 0.0)

    def _healthy(self) -> None:
        self._backoff.healthy()
        self._expired = self._unknown = self._denied = self._closed = 0

    # Listing

    def _list(self) -> None:
        """Hand on a complete list, page by page: LISTED…, RELISTED, all with the time of its first page.

        That is when what the list shows was so: later pages show the same moment. And so what belongs to a list that
        broke off can be told from what belongs to the one that was completed.
        """
        self.state.enter("listing")
        page = self._upstream.page(self._options.page_size, "", self._now_us)
        at = self._now_us()
        if self._word_us is not None:
            self._gap(self._word_us, at)
        self._word_us = at
        version, objects = page.metadata.resourceVersion, 0
        while True:
            objects += len(page.items or ())
            self._hand_on([self._listed(one, at) for one in page.items or ()])
            if not page.metadata.more:
                break
            page = self._upstream.page(self._options.page_size, page.metadata.more, self._now_us)
        self.state.objects, self._counted_at = objects, version_number(version) or 0
        self._tell("RELISTED", version, at)
        self.state.version = version

    def _check_version(self, version: str) -> None:
        """Compare our version with the server's: behind ours is a store that was restored. Raises: Expired then.

        A watch from a version that is still to come would be silent about everything up to it.
        """
        page = self._upstream.page(1, "", self._now_us)
        theirs, ours = version_number(page.metadata.resourceVersion), version_number(version)
        if theirs is None or ours is None:
            return
        if theirs < ours:
            raise Expired(
                f"cannot {self._upstream.watching} from version {ours}: the server is at {theirs}, "
                "its store was restored; everything is listed again"
            )
        self.state.objects = len(page.items or ()) + (page.metadata.remainingItemCount or 0)
        self._counted_at = theirs

    # Watching

    def _watch(self) -> float:
        """Hand on events until the server ends the watch. Return the pause in seconds before the next."""
        self.state.restarts += self._opened
        self._opened = True
        began = time.monotonic()
        self._open_us = None
        try:
            with self._upstream.watch(self.state.version or "") as batches:
                self.state.enter("watching")
                self._open_us = self._now_us()
                for batch in batches:
                    self._take(batch)
        except Unreachable as error:
            # Where nothing of a kind ever happened there are no bookmarks either: asked again, the server will tell.
            if not error.silent:
                raise
            if self._open_us is not None and self.state.version is not None:
                # What had happened before it was opened would have come at once: up to then there was nothing.
                self._tell("BOOKMARK", self.state.version, self._open_us)
                self._word_us = self._open_us
        finally:
            if time.monotonic() - began > min(HEALTHY_SECONDS, self._options.watch_seconds[0] / 2):
                self._healthy()
        self._closed += 1
        # One that closes whatever is opened would be asked without end.
        return self._backoff.pause() if self._closed > 1 else 0.0

    def _take(self, batch: list[bytes]) -> None:
        """Decode and hand on what came together; what came before an ERROR counts."""
        at = self._now_us()
        seen: list[Observation] = []
        version = self.state.version
        try:
            for raw in batch:
                line = read_event(raw, self._report, self._upstream.watching)
                if line is None:
                    continue
                assert line.type is not None
                assert line.object is not None
                meta = line.object.metadata
                version = (meta.resourceVersion if meta is not None else None) or version
                seen.append(self._seen(line.type, line.object, at))
        finally:
            if seen:
                self._late(at, seen)
                self._hand_on(seen)
                self._word_us = at
                self.state.version = version
                self._unread = 0
                self._healthy()

    def _late(self, at: int, seen: list[Observation]) -> None:
        """Say of the first that comes after a pause that nobody knows when in that pause it happened."""
        opened, self._open_us = self._open_us, None
        if opened is None or self._word_us is None or opened - self._word_us < LATE_LEAST_US:
            return
        if at - opened < LATE_LEAST_US and any(one.verb != "BOOKMARK" for one in seen):
            about = KubeObject(kind=self.resource.kind)
            span = (self._word_us, opened)
            self._hand_on([Observation("LATE", about, opened, opened, self._cluster, self._source, span)])

    # Words

    def _seen(self, verb: str, thing: KubeObject, at: int) -> Observation:
        if verb == "BOOKMARK":
            version = thing.metadata.resourceVersion if thing.metadata is not None else None
            thing = KubeObject(metadata=Meta(resourceVersion=version))
        elif verb != "MODIFIED":
            self._count(verb, thing)
        return Observation(verb, self._cut(thing), at, at, self._cluster, self._source)

    def _count(self, verb: str, thing: KubeObject) -> None:
        """Keep the number of objects; what the count was taken after is in it."""
        version = version_number(thing.metadata.resourceVersion) if thing.metadata else None
        if version is not None and version > self._counted_at and self.state.objects is not None:
            self.state.objects += 1 if verb == "ADDED" else -1

    def _listed(self, thing: KubeObject, at: int) -> Observation:
        return Observation("LISTED", self._cut(thing), at, at, self._cluster, self._source)

    def _cut(self, thing: KubeObject) -> KubeObject:
        """Items of a list have no kind, and cut down objects call themselves PartialObjectMetadata."""
        thing.kind = self.resource.kind
        if self.resource.metadata_only:
            thing.spec = thing.status = None
        return allowed(thing)

    def _tell(self, verb: str, version: str, at: int) -> None:
        about = KubeObject(kind=self.resource.kind, metadata=Meta(resourceVersion=version))
        self._hand_on([Observation(verb, about, at, at, self._cluster, self._source)])

    def _gap(self, start: int, end: int) -> None:
        """Say that nobody looked. A clock that was set back must not turn the gap around."""
        about = KubeObject(kind=self.resource.kind)
        self.state.gaps += 1
        span = (min(start, end), end)
        self._hand_on([Observation("GAP", about, end, end, self._cluster, self._source, span)])

    def _hand_on(self, seen: list[Observation]) -> None:
        """Count and put. This alone is overridden where a kind is not stored as it is."""
        if seen:
            for one in seen:
                self.state.events[one.verb] += 1
            self._put(seen)

    def _now_us(self) -> int:
        """The time of receipt, which is also the server's last word."""
        now = self._clock.now_us()
        if self._clock.stepped_seconds:
            self.state.last_error = f"the machine's clock was set by {self._clock.stepped_seconds:+.1f} s"
        self.state.last_received_us = now
        return now

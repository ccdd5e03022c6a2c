"""A bounded queue between the watches and the one who writes: a full one makes the senders wait."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

from whowas.observation import Observation

# (cluster, kind, verb)
Sort = tuple[str, str, str]


def sort_of(one: Observation) -> Sort:
    """Return under which name an observation is counted: cluster, kind, verb. Never an address or a pod."""
    return one.cluster or "", one.object.kind, one.verb


class Mailbox:
    """Batches of observations in the order they came. `received` counts all that was ever taken in, by sort."""

    def __init__(self, capacity: int) -> None:
        """Hold at most `capacity` observations, or one batch that alone is larger."""
        self.capacity = capacity
        self.received: Counter[Sort] = Counter()
        self._batches: deque[tuple[float, list[Observation]]] = deque()
        self._held = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Return how many observations wait."""
        return self._held

    @property
    def closed(self) -> bool:
        """Say whether nothing more is taken in."""
        return self._closed

    def put(self, batch: list[Observation]) -> None:
        """Take a batch, in full and in order; wait while there is no room.

        What comes after close() is not taken and not counted: it moves no cursor, so that the next start asks
        the apiserver for it again.
        """
        if not batch:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._held or self._held + len(batch) <= self.capacity)
            if self._closed:
                return
            self.received.update(map(sort_of, batch))
            self._batches.append((time.monotonic(), batch))
            self._held += len(batch)
            self._changed.notify_all()

    def take(self, most: int, within_seconds: float, idle_seconds: float) -> list[Observation]:
        """Return what came, whole batches up to `most` observations; nothing after `idle_seconds` without any.

        Waits for more to join until the oldest has lain `within_seconds`, or until there are `most`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or bool(self._batches), idle_seconds):
                return []
            if self._batches:
                left = self._batches[0][0] + within_seconds - time.monotonic()
                self._changed.wait_for(lambda: self._closed or self._held >= most, max(left, 0.0))
            return self._gather(most)

    def _gather(self, most: int) -> list[Observation]:
        found: list[Observation] = []
        while self._batches and (not found or len(found) + len(self._batches[0][1]) <= most):
            found += self._batches.popleft()[1]
        self._held -= len(found)
        self._changed.notify_all()
        return found

    def close(self) -> None:
        """Take nothing more, let waiting senders go. What lies here can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

"""What a recorder that watched the cluster would have written: evidence lines in the order of receipt."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from lab.objects import Object, bookmark, micros

Step = Callable[[], Object]

WATCHED = (
    ("Namespace", "v1"),
    ("Node", "v1"),
    ("Pod", "v1"),
    ("Service", "v1"),
    ("EndpointSlice", "discovery.k8s.io/v1"),
    ("ReplicaSet", "apps/v1"),
    ("Job", "batch/v1"),
)
FIRST_VERSION = 48_211


class Recorder:
    """Collects steps of objects with the moment at which a watcher gets to see each.

    A change reaches the watcher some milliseconds after the apiserver has it; a kubelet's change reaches
    the apiserver only 0.1 to 0.8 s after the fact. Steps are played at the end, in order of receipt, so
    that an object never shows a state which the apiserver did not have; versions are given then too.
    """

    def __init__(self, cluster: str, seed: int) -> None:
        self.cluster = cluster
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, str, Step]] = []
        self._last_write: dict[str, float] = {}

    def _add(self, moment: float, verb: str, step: Step) -> None:
        self._events.append((moment, len(self._events), verb, step))

    def write(self, moment: float, verb: str, uid: str, step: Step) -> float:
        """Something writes an object at `moment`. Returns: when the watcher sees it.

        Writes of one kubelet to one object stay in order, however late it publishes.
        """
        received = max(moment + self._random.uniform(0.002, 0.012), self._last_write.get(uid, 0.0) + 0.001)
        self._add(received, verb, step)
        return received

    def publish(self, moment: float, uid: str, step: Step) -> float:
        """A kubelet saw a fact at `moment` and publishes it when it gets to it."""
        received = self.write(moment + self._random.uniform(0.1, 0.8), "MODIFIED", uid, step)
        self._last_write[uid] = received
        return received

    def listed(self, moment: float, step: Step) -> None:
        """The object was there when the watch began."""
        self._add(moment, "ADDED", step)

    def bookmarks(self, moment: float) -> None:
        """Every watch says that it is alive."""
        for kind, api in WATCHED:
            self._add(moment, "BOOKMARK", partial(bookmark, kind, api))

    def lines(self) -> list[dict[str, Any]]:
        """All events in order of receipt, versions given."""
        told: list[dict[str, Any]] = []
        versions: dict[str, int] = {}
        version = FIRST_VERSION
        for moment, _, verb, step in sorted(self._events, key=lambda event: event[:2]):
            seen = copy.deepcopy(step())
            if verb != "BOOKMARK":
                version += 1
                versions[seen["kind"]] = version
            seen["metadata"]["resourceVersion"] = str(versions.get(seen["kind"], FIRST_VERSION))
            told.append({"type": verb, "object": seen, "received": micros(moment), "cluster": self.cluster})
        return told

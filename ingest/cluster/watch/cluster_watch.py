"""Watches a cluster: every kind that naming needs, each followed by a thread of its own, as observations."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from ingest.cluster.watch.api_client import Connection, connect
from ingest.cluster.watch.node_leases import LeaseStream
from ingest.cluster.watch.optional_kind import OptionalKind
from ingest.cluster.watch.rbac import Right, missing_rights, rights
from ingest.cluster.watch.reflector import Put, Reflector
from ingest.cluster.watch.resources import ADMIN_POLICIES, LEASES, MESH, RESOURCES, Resource
from ingest.cluster.watch.watch_state import StreamState, WatchOptions

__all__ = [
    "ADMIN_POLICIES",
    "LEASES",
    "MESH",
    "RESOURCES",
    "ClusterWatch",
    "Connection",
    "Resource",
    "Right",
    "StreamState",
    "WatchOptions",
    "connect",
    "missing_rights",
    "rights",
]


class ClusterWatch:
    """Follows every kind of RESOURCES, ADMIN_POLICIES where they are served, and LEASES for the nodes' clocks.

    MESH too, where that is asked for.

    Args: cluster: the name observations carry. resume: kind -> (resourceVersion, received_us of the last word), as an
            earlier run left it. put: called from the threads with batches, in order within a kind; it may block, and
            then nothing more of that kind is read; what it raises ends that kind's thread.
    """

    def __init__(
        self,
        connection: Connection,
        cluster: str,
        resume: Mapping[str, tuple[str, int]],
        put: Put,
        *,
        options: WatchOptions = WatchOptions(),  # noqa: B008 - frozen
    ) -> None:
        self._streams: list[Reflector] = [
            Reflector(one, connection, cluster, resume.get(one.kind), put, options) for one in RESOURCES
        ]
        self._streams += [
            OptionalKind(one, connection, cluster, resume.get(one[0].kind), put, options)
            for one in (*ADMIN_POLICIES, *(MESH if options.istio else ()))
        ]
        if options.clocks:
            self._streams.append(LeaseStream(LEASES, connection, cluster, put, options))
        self.states: dict[str, StreamState] = {one.state.kind: one.state for one in self._streams}
        self._threads = [
            threading.Thread(target=one.run, name=f"watch {cluster} {one.state.kind}", daemon=True)
            for one in self._streams
        ]

    def start(self) -> None:
        """Begin to list and watch; returns at once."""
        for one in self._threads:
            one.start()

    def stop(self, timeout_seconds: float) -> bool:
        """End every watch. Return whether all have ended in time: one may still wait inside `put`."""
        for stream in self._streams:
            stream.interrupt()
        until = time.monotonic() + timeout_seconds
        for one in self._threads:
            if one.ident is not None:
                one.join(max(0.0, until - time.monotonic()))
        return not any(one.is_alive() for one in self._threads)

"""Follows a kind that few clusters have, by whichever of its versions is served; where none is, that is no fault."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.cluster.watch.api_client import Connection
from ingest.cluster.watch.api_errors import Refused
from ingest.cluster.watch.reflector import REFUSALS_BELIEVED, Put, Reflector
from ingest.cluster.watch.resources import Resource
from ingest.cluster.watch.watch_state import WatchOptions


class OptionalKind(Reflector):
    """Follows one kind. Args: versions: the same resource by each of its versions, the newest first."""

    def __init__(
        self,
        versions: Sequence[Resource],
        connection: Connection,
        cluster: str,
        resume: tuple[str, int] | None,
        put: Put,
        options: WatchOptions,
    ) -> None:
        super().__init__(versions[0], connection, cluster, resume, put, options)
        self.state.optional = True
        self._server, self._versions, self._absent = connection.server, versions, 0

    def _after_refusal(self, error: Refused) -> float:
        if error.status != 404:
            return super()._after_refusal(error)
        self._absent += 1
        self.resource = self._upstream.resource = self._versions[self._absent % len(self._versions)]
        self._source = self._server + self.resource.path
        if self._absent % len(self._versions):
            return 0.0
        # An apiserver that starts serves nothing of the kind for a moment: believed later.
        if self._absent >= REFUSALS_BELIEVED * len(self._versions) and self.state.version is not None:
            self._gone()
        pause = self._wait("", self._options.refused_seconds, "absent")
        return max(pause, self._options.refused_seconds)

    def _healthy(self) -> None:
        super()._healthy()
        self._absent = 0

    def _gone(self) -> None:
        """The kind was there, and is no more: with it went every object of it, which a complete list says."""
        at, version = self._now_us(), self.state.version or ""
        if self._word_us is not None:
            self._gap(self._word_us, at)
        self._tell("RELISTED", version, at)
        self.state.version, self.state.objects, self._word_us = None, 0, at

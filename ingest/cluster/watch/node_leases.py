"""Samples node Leases as evidence of clock skew."""

from __future__ import annotations

from ingest.cluster.watch.api_client import Connection
from ingest.cluster.watch.reflector import Put, Reflector
from ingest.cluster.watch.resources import Resource
from ingest.cluster.watch.watch_state import WatchOptions
from whowas.observation import KubeObject, Meta, Observation, Spec, time_us

# What a renewal must tell more than the one before, to be worth a line.
TELLING_US = 5_000


class LeaseStream(Reflector):
    """Turns Leases into CLOCK. A Lease is renewed every 10 s: of each window only renewals that came faster count.

    The delay between renewTime and receipt bounds the node's clock from one side; the least delay bounds it best.
    """

    def __init__(
        self,
        resource: Resource,
        connection: Connection,
        cluster: str,
        put: Put,
        options: WatchOptions,
    ) -> None:
        super().__init__(resource, connection, cluster, None, put, options)
        self.state.optional = True
        # Of each node: when its window began, and the least delay in it, in microseconds.
        self._windows: dict[str, tuple[int, int]] = {}

    def _hand_on(self, seen: list[Observation]) -> None:
        clocks = [one for one in map(self._clock_of, seen) if one is not None]
        if clocks:
            super()._hand_on(clocks)

    def _gap(self, start: int, end: int) -> None:
        """A renewal that was missed says nothing of an address."""

    def _clock_of(self, one: Observation) -> Observation | None:
        meta, spec = one.object.metadata, one.object.spec
        renewed = time_us(spec.renewTime) if spec is not None else None
        if one.verb not in ("LISTED", "ADDED", "MODIFIED") or meta is None or renewed is None:
            return None
        assert spec is not None
        assert one.received_us is not None
        if not self._tells(meta.name, one.received_us, one.received_us - renewed):
            return None
        node = KubeObject(kind="Node", metadata=Meta(name=meta.name), spec=Spec(renewTime=spec.renewTime))
        return one._replace(verb="CLOCK", object=node)

    def _tells(self, name: str, at: int, delay: int) -> bool:
        """Say whether this delay is the first of a window or shorter than those before in it."""
        begun, least = self._windows.get(name, (-1, 0))
        fresh = begun < 0 or not 0 <= at - begun < self._options.clock_seconds * 1e6
        if fresh or delay < least - TELLING_US:
            self._windows[name] = (at if fresh else begun, delay)
            return True
        return False

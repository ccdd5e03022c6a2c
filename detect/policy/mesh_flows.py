"""What mutual TLS Istio asked of each flow's destination, as of the flow's start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from detect.policy.distinct import Numbers, Questions, number_codes, packed, word_codes
from detect.policy.epochs import Epochs, places
from detect.policy.flow_questions import PORT_MOST, bounds
from detect.policy.mesh import mtls_mode
from detect.policy.mesh_moments import PEERS, Mesh, in_force
from detect.policy.mesh_policies import DISABLE, PERMISSIVE, STRICT, PeerAuthentication
from detect.policy.timeline import NEAR, Timeline
from whowas.schema import MTLS_MODES

READ = ("dst_spiffe_id", "dst_pod_uid", "dst_port", "protocol", "start_time", "time_before", "encapsulated")
KEPT = 1 << 18
WORDS = {STRICT: 0, PERMISSIVE: 1, DISABLE: 2}
UNTOLD = -1


class FlowModes:
    """Tells modes by one cluster's timeline."""

    def __init__(self, timeline: Timeline, mesh: Mesh) -> None:
        self._timeline, self._mesh = timeline, mesh
        self._forget()

    def _forget(self) -> None:
        self._numbers = Numbers()
        self._pods = Epochs(self._timeline.edges_of)
        self._edges = self._timeline.mesh_edges()

    def column(self, flows: Any) -> Any:
        """Return the column mtls_mode of a batch of named flows: null where no pod of a mesh, or no mode, is known."""
        mine = np.flatnonzero(
            np.asarray(flows["dst_spiffe_id"].is_valid()) & np.asarray(flows["start_time"].is_valid())
        )
        codes = np.full(flows.num_rows, UNTOLD, dtype=np.int32)
        if len(mine):
            table = pa.Table.from_batches([flows.select(READ).take(pa.array(mine))]).combine_chunks()
            codes[mine] = self._codes(table)
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(MTLS_MODES))

    def _codes(self, table: Any) -> Any:
        if len(self._numbers) > KEPT:
            self._forget()
        low, high = bounds(table)
        found, pods = Questions(table.num_rows), word_codes(table["dst_pod_uid"].chunk(0), self._numbers)
        found.by(pods)
        self._pods.tell(found, pods, low, high)
        found.by(word_codes(table["protocol"].chunk(0), self._numbers))
        found.by(number_codes(table["dst_port"].chunk(0), PORT_MOST))
        found.by(packed(places(self._edges, low, high)))
        first, rows = found.distinct()
        asked = table.take(pa.array(first)).to_pylist()
        told = [
            self._code(one, int(low[row]), int(high[row])) for one, row in zip(asked, first.tolist(), strict=True)
        ]  # fmt: skip
        return np.array(told, dtype=np.int32)[rows]

    def _code(self, row: dict[str, Any], low: int, high: int) -> int:
        """Number of the mode, where all that may have been in force then says the same."""
        if row["protocol"] != "tcp" or row["encapsulated"] or not self._timeline.looked_at_mesh(PEERS, low, high):
            return UNTOLD
        low, high = low - NEAR, high + NEAR
        line = self._timeline.pods.get(row["dst_pod_uid"] or "")
        pods = [one for one in line.within(low, high) if one is not None] if line else []
        if any(self._mesh.identity_of(one) is None for one in pods):
            # It has its id from somebody else: no proxy of Istio's stands before it.
            return UNTOLD
        root = self._mesh.root
        moments = in_force(self._timeline, {root, *(one.namespace for one in pods)}, low, high)
        modes = {
            mtls_mode([one for one in each if isinstance(one, PeerAuthentication)], pod, row["dst_port"], root)
            for each in moments or ()
            for pod in pods
        }
        return WORDS.get(modes.pop(), UNTOLD) if len(modes) == 1 else UNTOLD

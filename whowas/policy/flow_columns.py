"""Adds verdicts to named flows, beside whoever names them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from detect.policy.flow_verdicts import FlowJudge, columns_of
from detect.policy.mesh_flows import FlowModes
from detect.policy.mesh_moments import Mesh
from detect.policy.moments import Judge
from detect.policy.timeline import Timeline
from whowas.schema import named_schema
from whowas.stages import Enricher


class PolicyNamer:
    """An Enricher: names flows by another one, and judges them. Where nobody ever looked at policies all stays null.

    mesh: Istio's, where one is known.
    """

    def __init__(self, namer: Enricher, timeline: Timeline, mesh: Mesh | None = None) -> None:
        self._namer = namer
        self._judge = FlowJudge(Judge(timeline)) if timeline.knows() else None
        self._modes = FlowModes(timeline, mesh) if mesh is not None and timeline.mesh else None

    def name(self, flows: Any) -> Any:
        """Return the batch with every column of named_schema, rows in the same order."""
        named = self._namer.name(flows)
        if not named.num_rows or (self._judge is None and self._modes is None):
            return named
        told = columns_of(self._judge.judged(named)) if self._judge is not None else {}
        if self._modes is not None:
            told["mtls_mode"] = self._modes.column(named)
        arrays = [told.get(one.name, named.column(place)) for place, one in enumerate(named_schema())]
        return pa.RecordBatch.from_arrays(arrays, schema=named_schema())

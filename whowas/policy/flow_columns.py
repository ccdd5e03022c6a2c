"""Adds verdicts to named flows, beside whoever names them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from detect.policy.flow_verdicts import FlowJudge, columns_of
from detect.policy.moments import Judge
from detect.policy.timeline import Timeline
from whowas.schema import named_schema
from whowas.stages import Enricher


class PolicyNamer:
    """An Enricher: names flows by another one, and judges them. Where nobody ever looked at policies all stays null."""

    def __init__(self, namer: Enricher, timeline: Timeline) -> None:
        self._namer = namer
        self._judge = FlowJudge(Judge(timeline)) if timeline.knows() else None

    def name(self, flows: Any) -> Any:
        """Return the batch with every column of named_schema, rows in the same order."""
        named = self._namer.name(flows)
        if self._judge is None or not named.num_rows:
            return named
        told = columns_of(self._judge.judged(named))
        arrays = [told.get(one.name, named.column(place)) for place, one in enumerate(named_schema())]
        return pa.RecordBatch.from_arrays(arrays, schema=named_schema())

"""All holds of a cluster as a table of names and times, for tools that know nothing of whowas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from enrich.history.entities import KIND_WORDS
from enrich.history.history import ClusterHistory
from enrich.history.told_bounds import told_bounds
from whowas.addresses import spelled
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

TIME = pa.timestamp("us", tz="UTC")
WORD = pa.dictionary(pa.int32(), pa.string())
BOUNDS = ("start_min", "start_max", "end_min", "end_max")
SCHEMA = pa.schema(
    [
        ("cluster", WORD),
        ("address", pa.string()),
        ("kind", WORD),
        ("namespace", WORD),
        ("name", pa.string()),
        ("uid", pa.string()),
        ("workload", WORD),
        ("workload_kind", WORD),
        ("node", WORD),
        ("zone", WORD),
        ("service_account", WORD),
        # Open bounds are null: a hold that goes on has no end_max.
        *((name, TIME) for name in BOUNDS),
        ("conflict", pa.bool_()),
        ("labels", pa.map_(pa.string(), pa.string())),
        ("services", WORD),
        ("images", pa.list_(pa.string())),
        ("source", pa.string()),
    ]
)
AT_ONCE = 1 << 15


def holds_batches(history: ClusterHistory) -> Iterator[Any]:
    """Yield record batches of SCHEMA. Labels, services, images and zone are those at the start of each hold."""
    for low in range(0, len(history.holds), AT_ONCE):
        rows = np.arange(low, min(low + AT_ONCE, len(history.holds)))
        yield _batch(history, rows)


def _batch(history: ClusterHistory, rows: Any) -> Any:
    entities = history.entity_of[rows]
    history.entities.fetch(entities.tolist())
    bounds = history.bounds[rows]
    starts = np.clip(np.maximum(bounds[:, 0], np.minimum(bounds[:, 1], bounds[:, 3])), BEFORE_ALL, AFTER_ALL)
    states = history.states.at(entities, starts)
    found: list[dict[str, Any]] = []
    every = zip(rows.tolist(), entities.tolist(), states.tolist(), strict=True)
    for place, (row, entity, state) in enumerate(every):
        one, hold, then = history.entities[entity], history.holds[row], history.states.version(entity, state)
        found.append(
            {
                "cluster": history.name,
                "address": spelled(hold.ip),
                "kind": KIND_WORDS[one.kind],
                "namespace": one.namespace or None,
                "name": one.name,
                "uid": one.uid,
                "workload": one.workload or None,
                "workload_kind": one.workload_kind or None,
                "node": one.node or None,
                "zone": then.zone or None,
                "service_account": one.service_account or None,
                "conflict": hold.conflict,
                "labels": list(then.labels),
                "services": then.services or None,
                "images": list(then.images),
                "source": hold.source or None,
                **dict(zip(BOUNDS, told_bounds(*bounds[place].tolist()), strict=True)),
            }
        )
    return pa.RecordBatch.from_pylist(found, schema=SCHEMA)

"""Named flows for policies: few columns told, all others as a plain flow has them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from support.policies import EPOCH as T

from whowas.addresses import address16
from whowas.schema import table_schema


def named(*rows: dict[str, Any]) -> Any:
    """Return a table of named flows. A row's `src` and `dst` are ends as `end` makes them."""
    told = []
    for row in rows:
        one: dict[str, Any] = {
            "start_time": T, "time_before": 0, "time_after": 0, "protocol": "tcp", "directionality": "bi",
            "initiator_basis": "syn", "src_port": 40_000, "dst_port": 5432, "encapsulated": False, "cluster": "default",
        }  # fmt: skip
        for side in ("src", "dst"):
            one |= {f"{side}_{name}": value for name, value in row[side].items()}
        told.append(one | {name: value for name, value in row.items() if name not in ("src", "dst")})
    columns = {
        field.name: pa.array([one.get(field.name) for one in told], field.type if field.name != "start_time" else None)
        for field in table_schema()
    }
    columns["start_time"] = columns["start_time"].cast(pa.int64()).cast(table_schema().field("start_time").type)
    return pa.table(columns, schema=table_schema())


def end(name: str = "", address: str = "10.244.1.5", confidence: str = "exact", **more: Any) -> dict[str, Any]:
    """A pod of namespace shop whose UID is its name; without a name an address."""
    pod = {"kind": "pod", "namespace": "shop", "pod": name, "pod_uid": name, "workload": name} if name else {}
    return {"confidence": confidence, "ip": address, "ip16": address16(address), **pod, **more}


def candidate(name: str) -> dict[str, Any]:
    return {"kind": "pod", "namespace": "shop", "name": name, "uid": name, "workload": name, "reason": ""}

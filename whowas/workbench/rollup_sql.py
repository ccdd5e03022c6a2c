"""Edges as SQL: of flows that are read for a question, with the columns that roll-ups have (whowas.workbench.kept)."""

from __future__ import annotations

SIDES = ("src", "dst")
TEN_MINUTES, AN_HOUR = 600_000_000, 3_600_000_000
GROUP = ("kind", "namespace", "workload", "workload_kind", "name", "confidence")
"""What tells one group of ends from another. name: of a service or a node, which have no workload."""
DETAILS = ("pod", "pod_uid", "node", "service", "zone", "service_account", "spiffe_id", "labels", "images")
"""What an end has beyond its group."""
LINK = ("dst_port", "protocol", "protocol_number", "direction")
MEASURES = ("flows", "bytes", "packets", "first", "last")
# As src_workload stands in an edge, so that a filter of flows reads edges as it is.
EDGE_COLUMNS = frozenset(
    ["cluster", *LINK, *(f"{side}_{what}" for side in SIDES for what in (*GROUP, "candidates") if what != "name")]
)
SPACE_COLUMNS = frozenset(
    ["cluster", "protocol", "protocol_number", "direction"]
    + [f"{side}_{what}" for side in SIDES for what in ("kind", "namespace", "confidence")]
)
MOST = 9_223_372_036_854_775_807


def _group(side: str) -> str:
    """The columns of one end's group."""
    same = ", ".join(f"{side}_{what}" for what in GROUP if what != "name")
    return f"{same}, {_name(side)} AS {side}_name"


def _name(side: str) -> str:
    return f"CASE {side}_kind WHEN 'service' THEN {side}_service WHEN 'node' THEN {side}_node END"


def _candidates(side: str) -> str:
    """Of ambiguous ends who may have held the address, as far as filters ask for it."""
    kept = "struct_pack(kind := c.kind, namespace := c.namespace, name := c.name, workload := c.workload)"
    return (
        f"CASE WHEN {side}_confidence = 'ambiguous' THEN list_transform({side}_candidates, lambda c: {kept}) END "
        f"AS {side}_candidates"
    )


def _sum(*columns: str) -> str:
    """A sum that stays a number whatever hostile records count."""
    every = " + ".join(f"coalesce(sum({one}), 0)" for one in columns)
    return f"least({every}, {MOST})::BIGINT"


START = "epoch_us(start_time)"
COUNTED = (
    f"count(*) AS flows, {_sum('bytes_out', 'bytes_in')} AS bytes, {_sum('packets_out', 'packets_in')} AS packets, "
    f"min({START}) AS first, max({START}) AS last"
)
ADDED = (
    f"{_sum('flows')} AS flows, {_sum('bytes')} AS bytes, {_sum('packets')} AS packets, min(first) AS first, "
    "max(last) AS last"
)


def bucket(size: int, column: str = START) -> str:
    """The start of the bucket of a time, us; null without a time."""
    return f"(({column} // {size}) - CASE WHEN {column} % {size} < 0 THEN 1 ELSE 0 END) * {size}"


def edges(flows: str, size: int = TEN_MINUTES, more: tuple[str, ...] = ()) -> str:
    """Edges of a relation of flows, by buckets of `size` us and by more of its columns."""
    ends = ", ".join(f"{_group(side)}, {_candidates(side)}" for side in SIDES)
    grouped = f"{bucket(size)} AS bucket, cluster, {ends}, {', '.join([*LINK, *more])}"
    return f"SELECT {grouped}, {COUNTED} FROM ({flows}) GROUP BY ALL"


def spaces(flows: str, size: int) -> str:
    """The same without workloads and ports."""
    columns = ", ".join(sorted(SPACE_COLUMNS))
    return f"SELECT {bucket(size)} AS bucket, {columns}, {COUNTED} FROM ({flows}) GROUP BY ALL"

"""Answers the map: groups of ends, and who talked to whom between them."""

from __future__ import annotations

from typing import Any

from whowas.errors import ConfigError
from whowas.query.filters import Filter
from whowas.schema import COLUMNS, CONFIDENCES
from whowas.workbench import rollup_sql
from whowas.workbench.api.common import About, TimeRange
from whowas.workbench.api.map import MapAsk, MapEdge, MapNode, ServiceMap
from whowas.workbench.edges import Asking, More, edges
from whowas.workbench.filter_text import read
from whowas.workbench.kept import NAMED
from whowas.workbench.overview import Names, same, unknown_before
from whowas.workbench.rollup_sql import EDGE_COLUMNS, SIDES

MOST_PORTS = 20
MEASURES = ("flows", "bytes", "packets")
PAINTS = ("policy_verdict", "encrypted", "direction")
"""Columns that edges can be painted by, where flows have them."""

Painted = dict[tuple[Any, ...], list[tuple[str, int]]]
"""Key of an edge: values of its paint with their flows."""


def paints() -> tuple[str, ...]:
    """Those that this whowas' flows have."""
    return tuple(one for one in PAINTS if one in {column.name for column in COLUMNS})


def _group(side: str, by: str) -> str:
    """SQL of the five parts of a group's name. What is in no namespace, or on no node, stands under its kind."""
    kind, named = f"{side}_kind", f"coalesce({side}_workload, {side}_name)"
    if by == "workload":
        parts = (kind, f"{side}_namespace", named, f"{side}_workload_kind")
    elif by == "namespace":
        inside = f"{side}_namespace IS NOT NULL"
        parts = (
            f"CASE WHEN {inside} THEN 'namespace' ELSE {kind} END", f"{side}_namespace",
            f"CASE WHEN NOT {inside} AND {kind} <> 'node' THEN {named} END", "NULL::VARCHAR",
        )  # fmt: skip
    elif by == "pod":
        parts = (kind, f"{side}_namespace", f"coalesce({side}_group, {named})", f"{side}_workload_kind")
    else:
        told = f"{side}_group IS NOT NULL"
        parts = (
            f"CASE WHEN {told} THEN '{by}' ELSE {kind} END", "NULL::VARCHAR", f"{side}_group", "NULL::VARCHAR",
        )  # fmt: skip
    names = (f"{side}_kind", f"{side}_namespace", f"{side}_name", f"{side}_name_kind")
    listed = ", ".join(f"{sql} AS {name}" for sql, name in zip(parts, names, strict=True))
    return f"cluster AS {side}_cluster, {listed}, {side}_confidence"


def _more(asked: MapAsk) -> More | None:
    """What roll-ups lack for a grouping, and for a paint. Raises: ConfigError for what is no paint."""
    if asked.paint and asked.paint not in paints():
        raise ConfigError(f"cannot paint edges by '{asked.paint}': say one of {', '.join(paints())}")
    found: dict[str, str] = {}
    values: tuple[str, ...] = ()
    if asked.by == "label":
        found, values = {f"{side}_group": f"{side}_labels[?]" for side in SIDES}, (asked.label, asked.label)
    elif asked.by not in ("namespace", "workload"):
        found = {f"{side}_group": f"{side}_{asked.by}" for side in SIDES}
    if asked.paint and asked.paint not in EDGE_COLUMNS:
        found["paint"] = f"{asked.paint}::VARCHAR"
    return More(found, values) if found else None


def _paint(column: str) -> str:
    """SQL of the value that an edge is painted by."""
    if not column:
        return "NULL::VARCHAR"
    return f"{column}::VARCHAR" if column in EDGE_COLUMNS else "paint"


def _table(asking: Asking, asked: MapAsk, span: TimeRange | None, wanted: Filter) -> tuple[str, About]:
    """A table of edges between groups, ports apart."""
    made = edges(asking, span, wanted, more=_more(asked))
    table = asking.table()
    both = ", ".join(_group(side, asked.by) for side in SIDES)
    asking.rows(
        f"CREATE TEMP TABLE {table} AS SELECT {both}, protocol, dst_port, direction, {_paint(asked.paint)} AS paint, "
        f"{rollup_sql.ADDED} FROM {made.sql} GROUP BY ALL",
        made.values,
    )
    return table, made.about


def _numbered(asking: Asking, tables: list[str]) -> tuple[str, list[str]]:
    """A table of all groups with a number each, and tables of edges with these for names: names are compared once."""
    groups = asking.table()
    sides = " UNION ".join(
        f"SELECT {', '.join(f'{side}_{one} AS {one}' for one in NAMED)} FROM {table}"
        for table in tables
        for side in SIDES
    )
    asking.rows(f"CREATE TEMP TABLE {groups} AS SELECT row_number() OVER ()::INTEGER AS id, * FROM ({sides})", [])
    made = []
    for table in tables:
        joined = " ".join(
            f"JOIN {groups} AS {side} ON "
            + " AND ".join(f"t.{side}_{one} IS NOT DISTINCT FROM {side}.{one}" for one in NAMED)
            for side in SIDES
        )
        made.append(asking.table())
        rest = ", ".join(("protocol", "dst_port", "direction", "paint", *rollup_sql.MEASURES))
        asking.rows(
            f"CREATE TEMP TABLE {made[-1]} AS SELECT src.id AS src, dst.id AS dst, {rest} FROM {table} AS t {joined}",
            [],
        )
    return groups, made


def service_map(asking: Asking, asked: MapAsk) -> ServiceMap:
    """Who talked to whom."""
    wanted = read(asked.filter).filter
    now, about = _table(asking, asked, asked.range, wanted)
    tables = [now]
    if asked.baseline is not None:
        then, past = _table(asking, asked, asked.baseline, wanted)
        about.partial = about.partial or past.partial or unknown_before(asked.baseline, asking.state)
        if past.ready:
            tables.append(then)
        else:
            about.partial = "there are no flows in the baseline: nothing can be called new"
    groups, made = _numbered(asking, tables)
    names = Names()
    listed = _edges(asking, asked, groups, made, "new", names)
    gone = _edges(asking, asked, groups, made[::-1], "gone", names) if len(made) > 1 else []
    nodes = _nodes(asking, groups, made[0], names)
    total_edges, total_nodes, total_flows = _totals(asking, asked, made[0])
    left = (max(0, total_nodes - len(nodes)), total_edges - len(listed), total_flows - sum(one.flows for one in listed))
    return ServiceMap(asking.done(about), nodes, [*listed, *gone], left)


def _edges(asking: Asking, asked: MapAsk, groups: str, tables: list[str], word: str, names: Names) -> list[MapEdge]:
    painted = _painted(asking, asked, tables[0])
    return [_edge(names, row, painted) for row in _rows(asking, asked, groups, tables, word)]


def _keys(asked: MapAsk) -> list[str]:
    return ["src", "dst", *(("protocol", "dst_port") if asked.ports else ())]


def _rows(asking: Asking, asked: MapAsk, groups: str, tables: list[str], word: str) -> list[tuple[Any, ...]]:
    """The heaviest edges of the first table, what was denied before all others; `word` marks what the other lacks.

    Of what is gone only these.
    """
    keys = _keys(asked)
    mark = "false"
    if len(tables) > 1:
        known = same("i", "o", keys)
        mark = f"NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT {', '.join(keys)} FROM {tables[1]}) AS o WHERE {known})"
    ports = "list({'p': protocol, 'n': dst_port, 'f': flows} ORDER BY flows DESC, protocol, dst_port)"
    per_port = (
        f"SELECT src, dst, protocol, dst_port, {rollup_sql.ADDED}, min(direction) AS low, max(direction) AS high, "
        f"coalesce(bool_or(paint = 'denied'), false) AS denied FROM {tables[0]} GROUP BY ALL"
    )
    listed = ", ".join(keys)
    inner = (
        f"SELECT {listed}, {rollup_sql.ADDED}, {ports}[:{MOST_PORTS}] AS ports, count(*) AS ports_all, "
        f"CASE WHEN min(low) = max(high) THEN min(low) END AS direction, bool_or(denied) AS denied "
        f"FROM ({per_port}) GROUP BY {listed}"
    )
    only = "WHERE change" if word == "gone" else ""
    ends = [f"{side}.{one}" for side in ("s", "d") for one in NAMED]
    order = [*ends, *(f"e.{one}" for one in keys[2:])]
    return asking.rows(
        f"SELECT {', '.join(ends)}, flows, bytes, packets, first, last, ports, ports_all, direction, "
        f"CASE WHEN change THEN '{word}' ELSE '' END, e.src, e.dst "
        f"FROM (SELECT *, {mark} AS change FROM ({inner}) AS i) AS e "
        f"JOIN {groups} AS s ON e.src = s.id JOIN {groups} AS d ON e.dst = d.id {only} "
        f"ORDER BY denied DESC, {asked.measure} DESC, {', '.join(order)} LIMIT {int(asked.limit)}",
        [],
    )


def _painted(asking: Asking, asked: MapAsk, table: str) -> Painted:
    """What the flows of each edge are painted by."""
    found: Painted = {}
    if not asked.paint:
        return found
    listed = ", ".join(_keys(asked))
    for *key, value, flows in asking.rows(
        f"SELECT {listed}, coalesce(paint, ''), sum(flows)::BIGINT AS many FROM {table} GROUP BY ALL "
        f"ORDER BY many DESC, coalesce(paint, '')",
        [],
    ):
        found.setdefault(tuple(key), []).append((value, flows))
    return found


def _edge(names: Names, row: tuple[Any, ...], painted: Painted) -> MapEdge:
    src, dst = names.place(row[:6]), names.place(row[6:12])
    flows, size, packets, first, last, ports, ports_all, direction, change, *ends = row[12:]
    sure = max((names.listed[one].confidence for one in (src, dst)), key=_rank)
    told = [(one["p"] or "", one["n"], one["f"]) for one in ports]
    paint = painted.get(tuple(ends)) or painted.get((*ends, ports[0]["p"], ports[0]["n"]), [])
    return MapEdge(
        src, dst, flows, size, packets, told, ports_all - len(told), sure, direction or "", first, last, change, paint
    )


def _rank(confidence: str) -> int:
    return CONFIDENCES.index(confidence) if confidence in CONFIDENCES else len(CONFIDENCES)


def _nodes(asking: Asking, groups: str, table: str, names: Names) -> list[MapNode]:
    """Every node of a shown edge, with all of its flows; those within it count once."""
    both = (
        f"SELECT src, flows, bytes, CASE WHEN src = dst THEN flows ELSE 0 END FROM {table} UNION ALL "
        f"SELECT dst, flows, bytes, 0 FROM {table} WHERE src <> dst"
    )
    rows = asking.rows(
        f"SELECT {', '.join(NAMED)}, flows, bytes, inside FROM (SELECT id, sum(f)::BIGINT AS flows, "
        f"least(sum(b), {rollup_sql.MOST})::BIGINT AS bytes, sum(i)::BIGINT AS inside FROM ({both}) t(id, f, b, i) "
        f"GROUP BY id) JOIN {groups} USING (id)",
        [],
    )
    found = [MapNode(name, 0, 0, 0) for name in names.listed]
    for row in rows:
        place = names.known(row[:6])
        if place is not None:
            found[place] = MapNode(names.listed[place], *row[6:])
    return found


def _totals(asking: Asking, asked: MapAsk, table: str) -> tuple[int, int, int]:
    """Edges, nodes and flows there are."""
    sql = (
        f"SELECT (SELECT count(*) FROM (SELECT DISTINCT {', '.join(_keys(asked))} FROM {table})), "
        f"(SELECT count(*) FROM (SELECT src FROM {table} UNION SELECT dst FROM {table})), "
        f"(SELECT coalesce(sum(flows), 0)::BIGINT FROM {table})"
    )
    row = asking.rows(sql, [])[0]
    return row[0], row[1], row[2]

"""Answers about flows themselves: pages of them, facets, one whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from detect.conditions.fields import NUMBER, TEXT, fields
from whowas.errors import ConfigError
from whowas.query.filters import EVERY, Filter, sql_of
from whowas.schema import COLUMNS, PARTITIONS
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench import rollup_sql
from whowas.workbench.api.common import About
from whowas.workbench.api.flows import Facet, Facets, FacetsAsk, Flow, FlowAsk, Flows, FlowsAsk
from whowas.workbench.commands import of_flow, of_walk
from whowas.workbench.edges import Asking, More, bounds, edges, readable, translated
from whowas.workbench.filter_text import read
from whowas.workbench.hours import Hour, touched
from whowas.workbench.kept import SPACE
from whowas.workbench.problems import NotFoundError
from whowas.workbench.rollup_sql import EDGE_COLUMNS
from whowas.workbench.rollups import relation

SHOWN = (
    "start_time", "src_confidence", "src_namespace", "src_workload", "src_ip", "src_port", "dst_confidence",
    "dst_namespace", "dst_workload", "dst_service", "dst_ip", "dst_port", "protocol", "bytes_out", "bytes_in",
)  # fmt: skip
KINDS = {one.name: one.type for one in COLUMNS} | PARTITIONS
PAGE_SECONDS = 5.0
NAMES = (
    "kind", "namespace", "pod", "pod_uid", "workload", "workload_kind", "service", "node", "zone", "service_account",
)  # fmt: skip


class Cursor(NamedTuple):
    """The last flow of a page: the next one begins behind it. time: us, None: it has none. hour: where it is."""

    time: int | None
    flow_id: str
    hour: int

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """Raises: ConfigError for what no page told."""
        if not text:
            return None
        parts = text.split(".")
        numbers = [one for one in (parts[0], parts[2] if len(parts) == 3 else "") if one.lstrip("-").isdigit()]
        if len(parts) != 3 or not (parts[0] == "" or len(numbers) == 2) or len(text) > 100:
            raise ConfigError("cannot go on from this cursor: no page told it")
        if parts[1] and (len(parts[1]) != 32 or not parts[1].isalnum()):
            raise ConfigError("cannot go on from this cursor: no page told it")
        return cls(int(parts[0]) if parts[0] else None, parts[1], int(parts[2] or 0))

    def __str__(self) -> str:
        return f"{'' if self.time is None else self.time}.{self.flow_id}.{self.hour}"


def columns_of(asked: list[str]) -> list[str]:
    """The columns of a page. Raises: ConfigError for one that flows do not have."""
    for name in asked:
        if name not in KINDS:
            raise ConfigError(f"cannot show '{name[:60]}': flows have no such column")
    return list(dict.fromkeys(asked)) or list(SHOWN)


def steps(hours: list[Hour], oldest_first: bool) -> list[list[Hour]]:
    """Hours to be read one after the other; folders of one hour together. Where one has no hour, all together."""
    if any(not one.timed for one in hours):
        return [hours] if hours else []
    found: dict[int, list[Hour]] = {}
    for one in hours:
        found.setdefault(one.since, []).append(one)
    return [found[since] for since in sorted(found, reverse=not oldest_first)]


def page(asking: Asking, asked: FlowsAsk) -> Flows:
    """A page of flows."""
    names, wanted = columns_of(asked.columns), read(asked.filter).filter
    since, until = bounds(asked.range)
    hours = _with_flows(asking, wanted, readable(asking, touched(asking.state.found.hours, since, until)))
    every = steps(hours, asked.oldest_first)
    cursor = Cursor.read(asked.cursor)
    about, reached = About("flows", sum(map(len, every))), None
    rows: list[tuple[Any, ...]] = []
    for group in every:
        hour = group[0].since
        if cursor is not None and _passed(hour, cursor.hour, asked.oldest_first):
            continue
        if rows and len(rows) > asked.limit:
            break
        if about.ready and time.perf_counter() - asking.began > PAGE_SECONDS:
            reached = hour
            break
        rows += _rows(asking, asked, group, names, wanted, cursor, asked.limit + 1 - len(rows))
        about.ready += len(group)
    return _page(asking, asked, names, rows, about, reached)


def _with_flows(asking: Asking, wanted: Filter, hours: list[Hour]) -> list[Hour]:
    """Leave out hours of which roll-ups say that nothing in them is left by the filter."""
    ready = {one.id for one in hours if one.id in asking.state.ready}
    if wanted == EVERY or not ready or any(not one.timed for one in hours):
        return hours
    mine = [asking.state.ready[one] for one in ready]
    kept = translated(asking, wanted, mine)
    if kept is None:
        return hours
    sql, values = sql_of(kept)
    every = " UNION ALL ".join(f"SELECT {at} AS place, link FROM {one.table('here')}" for at, one in enumerate(mine))
    found = asking.rows(
        f"SELECT DISTINCT place FROM ({every}) WHERE link IN (SELECT id FROM {SPACE}.links WHERE {sql})", values
    )
    there = {mine[row[0]].hour.id for row in found}
    return [one for one in hours if one.id not in ready or one.id in there]


def _passed(hour: int, of_cursor: int, oldest_first: bool) -> bool:
    return hour < of_cursor if oldest_first else hour > of_cursor


def _page(
    asking: Asking, asked: FlowsAsk, names: list[str], rows: list[Any], about: About, reached: int | None
) -> Flows:
    more = len(rows) > asked.limit
    rows = rows[: asked.limit]
    last = ""
    if more:
        last = str(Cursor(rows[-1][0], rows[-1][1], rows[-1][3]))
    elif reached is not None:
        behind = (BEFORE_ALL, "0" * 32) if asked.oldest_first else (AFTER_ALL, "f" * 32)
        last = str(Cursor(*behind, reached))
        about.partial = "the time for a page was over; go on to look at what is left"
    columns = zip(*(row[4:] for row in rows), strict=True)
    values = [list(map(_plain, column)) for column in columns] or [[] for _ in names]
    return Flows(asking.done(about), names, values, [row[1] for row in rows], [row[2] for row in rows], last, reached)


def _rows(
    asking: Asking,
    asked: FlowsAsk,
    hours: list[Hour],
    names: list[str],
    wanted: Filter,
    cursor: Cursor | None,
    most: int,
) -> list[tuple[Any, ...]]:
    """Rows of some hours: start in us, id, id of the hour, its start, then the columns."""
    condition, values = where(asked, wanted, cursor)
    order = "ASC NULLS FIRST" if asked.oldest_first else "DESC NULLS LAST"
    ids = "ASC" if asked.oldest_first else "DESC"
    listed = ", ".join(_shown(name) for name in names)
    parts = " UNION ALL BY NAME ".join(
        f"(SELECT *, '{one.id}' AS hour_id FROM ({relation(asking.link, one)}))" for one in hours
    )
    return asking.rows(
        f"SELECT epoch_us(start_time), flow_id, hour_id, {hours[0].since}, {listed} FROM ({parts}) WHERE {condition} "
        f"ORDER BY start_time {order}, flow_id {ids} LIMIT {int(most)}",
        values,
    )


def where(asked: FlowsAsk, wanted: Filter, cursor: Cursor | None) -> tuple[str, list[Any]]:
    """The condition of a page, and its values."""
    sql, values = sql_of(wanted)
    parts = [sql]
    if asked.range is not None:
        parts.append("start_time >= make_timestamptz(?) AND start_time < make_timestamptz(?)")
        values += [clamped(one) for one in bounds(asked.range)]
    if cursor is not None:
        sign = ">" if asked.oldest_first else "<"
        if cursor.time is None:
            timed = " OR start_time IS NOT NULL" if asked.oldest_first else ""
            parts.append(f"(start_time IS NULL AND flow_id {sign} ?){timed}")
            values.append(cursor.flow_id)
        else:
            rest = "" if asked.oldest_first else " OR start_time IS NULL"
            # The first part is for the statistics of row groups; the second is exact.
            behind = f"(start_time <> make_timestamptz(?) OR flow_id {sign} ?)"
            parts.append(f"((start_time {sign}= make_timestamptz(?) AND {behind}){rest})")
            values += [clamped(cursor.time), clamped(cursor.time), cursor.flow_id]
    return " AND ".join(f"({one})" for one in parts), values


def clamped(us: int) -> int:
    """As far as DuckDB's times reach."""
    return min(max(us, -9_223_372_022_400_000_000), 9_223_372_036_854_775_806)


def _shown(name: str) -> str:
    """A column so that Python gets what JSON can hold."""
    kind = KINDS[name]
    if pa.types.is_timestamp(kind):
        return f"epoch_us({name}) AS {name}"
    if pa.types.is_fixed_size_binary(kind):
        return f"lower(hex({name})) AS {name}"
    if pa.types.is_map(kind) or pa.types.is_list(kind):
        return f"to_json({name})::VARCHAR AS {name}"
    return name


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str, bool)) else str(value)


def whole(asking: Asking, asked: FlowAsk) -> Flow:
    """One flow. Raises: NotFoundError."""
    from sinks.flows.jsonl import rows

    hour = next((one for one in asking.state.found.hours if one.id == asked.hour), None)
    if hour is None:
        raise NotFoundError("there is no such hour any more; ask for the page again")
    asking.call.check()
    names = ", ".join(one.name for one in COLUMNS)
    found = asking.link.sql(
        f"SELECT {names} FROM ({relation(asking.link, hour)}) WHERE flow_id = ? LIMIT 1", params=[asked.flow_id]
    ).to_arrow_table()
    if not found.num_rows:
        raise NotFoundError("there is no such flow in that hour")
    row = rows(found.to_batches()[0])[0]
    return Flow(row, of_flow(row, asking.places), of_walk(row, asking.places))


def facets(asking: Asking, asked: FacetsAsk) -> Facets:
    """How often each value comes. Columns that roll-ups lack are read from flows, and may miss the time."""
    known = fields()
    for name in asked.columns:
        if name not in PARTITIONS and (name not in known or known[name].kind not in (TEXT, NUMBER, "address")):
            raise ConfigError(f"cannot count the values of '{name[:60]}': it is no column of single values")
    wanted = read(asked.filter).filter
    fast = [name for name in dict.fromkeys(asked.columns) if name in EDGE_COLUMNS]
    slow = [name for name in dict.fromkeys(asked.columns) if name not in EDGE_COLUMNS]
    about = About("none")
    found: dict[str, Facet] = {}
    for names, more in ((fast, None), (slow, More({f"f_{name}": name for name in slow}))):
        if names:
            made = edges(asking, asked.range, wanted, more=more)
            prefix = "f_" if more else ""
            found |= dict(_counted(asking, asked, made.sql, made.values, names, prefix))
            about = made.about if about.source == "none" or made.about.partial else about
    listed = [found[name] for name in dict.fromkeys(asked.columns)]
    return Facets(asking.done(about), listed)


def _counted(
    asking: Asking, asked: FacetsAsk, sql: str, values: list[Any], names: list[str], prefix: str
) -> Iterator[tuple[str, Facet]]:
    """Count all columns in one pass."""
    sures = {name: f"{name[:3]}_confidence" for name in names if name[4:] in NAMES}
    plain = list(dict.fromkeys([f"{prefix}{name}" for name in names] + list(sures.values())))
    sets = [[f"{prefix}{name}", *([sures[name]] if name in sures else [])] for name in names]
    counted = (
        f"SELECT grouping_id({', '.join(plain)}) AS which, {', '.join(plain)}, sum(flows)::BIGINT AS flows, "
        f"least(sum(bytes), {rollup_sql.MOST})::BIGINT AS bytes, "
        f"least(sum(packets), {rollup_sql.MOST})::BIGINT AS packets FROM {sql} "
        f"GROUP BY GROUPING SETS ({', '.join('(' + ', '.join(one) + ')' for one in sets)})"
    )
    order = f"PARTITION BY which ORDER BY {asked.by} DESC, {', '.join(plain)}"
    rows = asking.rows(
        f"SELECT *, count(*) OVER (PARTITION BY which) AS values_all, row_number() OVER ({order}) AS place "
        f"FROM ({counted}) QUALIFY place <= {int(asked.limit)} ORDER BY place",
        values,
    )
    for name, one in zip(names, sets, strict=True):
        # The bit of a column is set where it is not grouped by.
        which = sum(1 << (len(plain) - 1 - place) for place, column in enumerate(plain) if column not in one)
        mine = [row for row in rows if row[0] == which]
        at, sure = 1 + plain.index(one[0]), 1 + plain.index(sures[name]) if name in sures else None
        yield (
            name,
            Facet(
                name, [row[at] for row in mine], [None if sure is None else row[sure] for row in mine],
                [row[-5] for row in mine], [row[-4] for row in mine], (mine[0][-2] if mine else 0) - len(mine),
            ),
        )  # fmt: skip

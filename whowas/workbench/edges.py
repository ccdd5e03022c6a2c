"""Edges of a question as a relation of SQL: from roll-ups where they can tell, else from the flows, hour by hour."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from whowas.query.filters import EVERY, Filter, sql_of
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench import on_rollups, rollup_sql
from whowas.workbench.api.common import About, TimeRange
from whowas.workbench.commands import Places
from whowas.workbench.database import Call
from whowas.workbench.filter_text import columns_of
from whowas.workbench.hours import Hour, touched
from whowas.workbench.rollup_sql import AN_HOUR, SPACE_COLUMNS, TEN_MINUTES
from whowas.workbench.rollups import Ready, State, relation

EDGES = ("edges_1h", "edges_10m")
FLOW_SECONDS = 10.0
"""So long hours of flows are read for one question; then it is answered from what was read."""


@dataclass
class Asking:
    """What a question is asked with. link: its cursor. state: what there is, from beginning to end of the question."""

    link: Any
    state: State
    call: Call = field(default_factory=Call)
    began: float = field(default_factory=time.perf_counter)
    flow_seconds: float = FLOW_SECONDS
    tables: int = 0
    places: Places = field(default_factory=lambda: Places("DIR"))

    def rows(self, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """Run a statement. Raises: CancelledError."""
        self.call.check()
        found: list[tuple[Any, ...]] = self.link.execute(sql, values).fetchall()
        return found

    def table(self) -> str:
        """A name for a table of this question."""
        self.tables += 1
        return f"asked_{self.tables}"

    def done(self, about: About) -> About:
        """Say how long it took."""
        about.milliseconds = round((time.perf_counter() - self.began) * 1000, 1)
        return about


@dataclass
class Relation:
    """SQL that stands in FROM, its parameters, and how it came about."""

    sql: str
    values: list[Any]
    about: About


def bounds(asked: TimeRange | None) -> tuple[int, int]:
    """since, until of a range; all times without one."""
    return (BEFORE_ALL, AFTER_ALL) if asked is None else (asked.since, max(asked.since, asked.until))


class More(NamedTuple):
    """Columns that roll-ups lack: name to SQL over flows, and the values of its question marks."""

    columns: dict[str, str]
    values: tuple[Any, ...] = ()


def edges(
    asking: Asking,
    asked: TimeRange | None,
    wanted: Filter,
    size: int = AN_HOUR,
    more: More | None = None,
    spaces: bool = False,
) -> Relation:
    """Edges of the flows of a range that a filter leaves.

    size: us, of their buckets; they may be smaller. more: is grouped by too; then flows are read.
    spaces: no workload and no port is asked for.
    """
    hours = touched(asking.state.found.hours, *bounds(asked))
    ready = [asking.state.ready[one.id] for one in hours if one.id in asking.state.ready]
    if more is None and size >= TEN_MINUTES:
        kept = translated(asking, wanted, ready)
        if kept is not None:
            kinds = ("spaces_10m", "spaces_10m") if spaces and columns_of(kept) <= SPACE_COLUMNS else EDGES
            return _from_rollups(asking, asked, kept, hours, ready, size, kinds)
    return _from_flows(asking, asked, wanted, hours, min(size, TEN_MINUTES), more or More({}))


def translated(asking: Asking, wanted: Filter, ready: list[Ready]) -> Filter | None:
    """The filter as it is one of the roll-ups of some hours, None where it is none."""
    if wanted == EVERY:
        return EVERY
    if not ready:
        return EVERY if on_rollups.answerable(wanted) else None
    return on_rollups.translate(asking.link, wanted, [one.path("identities") for one in ready])


def _from_rollups(
    asking: Asking,
    asked: TimeRange | None,
    wanted: Filter,
    hours: list[Hour],
    ready: list[Ready],
    size: int,
    kinds: tuple[str, str],
) -> Relation:
    """kinds: of roll-ups for whole hours, and for parts of hours."""
    since, until = bounds(asked)
    about = About("rollups", len(hours), len(ready), _unready(len(hours), len(ready)))
    parts: list[str] = []
    values: list[Any] = []
    inside = [one for one in ready if size >= AN_HOUR and since <= one.hour.since and one.hour.until <= until]
    edge = [one for one in ready if one not in inside]
    if asked is None:
        inside, edge = (ready, []) if size >= AN_HOUR else ([], ready)
    if inside:
        # What tells no start is in no range.
        timed = "" if asked is None else " WHERE bucket IS NOT NULL"
        parts.append(f"SELECT * FROM read_parquet(?){timed}")
        values.append([one.path(kinds[0]) for one in inside])
    if edge:
        low, high = -(-since // TEN_MINUTES) * TEN_MINUTES, until // TEN_MINUTES * TEN_MINUTES
        within = "" if asked is None else " WHERE bucket >= ? AND bucket < ?"
        parts.append(f"SELECT * FROM read_parquet(?){within}")
        values += [[one.path(kinds[1]) for one in edge], *([] if asked is None else [low, max(low, high)])]
        if asked is not None:
            for fringe in _fringes(since, until, low, high):
                made = _fringe(asking, edge, fringe)
                parts += [made.sql] if made else []
                values += made.values if made else []
    if not parts:
        return Relation(f"({_nothing(asking)})", [], about)
    where, told = sql_of(wanted)
    every = " UNION ALL BY NAME ".join(parts)
    return Relation(f"(SELECT * FROM ({every}) WHERE {where})", [*values, *told], about)


def _fringes(since: int, until: int, low: int, high: int) -> list[tuple[int, int]]:
    """The parts of a range that are no whole bucket."""
    if high <= low:
        return [(since, until)]
    return [(first, last) for first, last in ((since, low), (high, until)) if first < last]


def _fringe(asking: Asking, ready: list[Ready], span: tuple[int, int]) -> Relation | None:
    """Edges of a few minutes, from the flows."""
    hours = touched([one.hour for one in ready], *span)
    if not hours:
        return None
    flows, values = _flows(asking, hours, span)
    return Relation(f"({rollup_sql.edges(flows)})", values, About("flows"))


def _flows(asking: Asking, hours: list[Hour], span: tuple[int, int] | None) -> tuple[str, list[Any]]:
    """Flows of hours that start within a span, as SQL."""
    every = " UNION ALL BY NAME ".join(f"({relation(asking.link, one)})" for one in hours)
    if span is None:
        return f"SELECT * FROM ({every})", []
    # As times, so that statistics of row groups are of use.
    return f"SELECT * FROM ({every}) WHERE start_time >= make_timestamptz(?) AND start_time < make_timestamptz(?)", [
        *map(_clamped, span)
    ]


def _clamped(us: int) -> int:
    """As far as DuckDB's times reach."""
    return min(max(us, -9_223_372_022_400_000_000), 9_223_372_036_854_775_806)


def _from_flows(
    asking: Asking, asked: TimeRange | None, wanted: Filter, hours: list[Hour], size: int, more: More
) -> Relation:
    """Read hours, newest first, until all are read or the time is over."""
    about = About("flows", len(hours), 0)
    table = asking.table()
    span = None if asked is None else bounds(asked)
    where, told = sql_of(wanted)
    for number, hour in enumerate(hours):
        if number and time.perf_counter() - asking.began > asking.flow_seconds:
            break
        flows, values = _flows(asking, [hour], span)
        added = "".join(f", {sql} AS {name}" for name, sql in more.columns.items())
        made = rollup_sql.edges(f"SELECT *{added} FROM ({flows}) WHERE {where}", size, tuple(more.columns))
        begin = f"INSERT INTO {table}" if number else f"CREATE TEMP TABLE {table} AS"
        asking.rows(f"{begin} {made}", [*more.values, *values, *told])
        about.ready = number + 1
    if not hours:
        return Relation(f"({_nothing(asking, tuple(more.columns))})", [], about)
    if about.ready < about.hours:
        about.partial = (
            f"the newest {about.ready} of {about.hours} hours: no roll-up has what was asked for, and reading flows "
            "takes long; shorten the range"
        )
    return Relation(table, [], about)


def _nothing(asking: Asking, more: tuple[str, ...] = ()) -> str:
    """Edges of no flow."""
    from whowas.schema import table_schema

    name = asking.table()
    asking.link.register(name, table_schema().empty_table())
    added = "".join(f", NULL::VARCHAR AS {one}" for one in more)
    return rollup_sql.edges(f"SELECT *{added} FROM {name}", more=more)


def _unready(hours: int, ready: int) -> str:
    return "" if ready == hours else f"{ready} of {hours} hours are ready: roll-ups are being made, newest hour first"

"""Edges of a question as a relation of SQL: from roll-ups where they can tell, else from the flows, hour by hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from whowas.query.filters import EVERY, Filter, sql_of
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench import on_rollups, rollup_sql
from whowas.workbench.api.common import About, TimeRange
from whowas.workbench.commands import Places
from whowas.workbench.covering import BY_LINK, BY_SPACE, COUNTS, MINUTE, cover
from whowas.workbench.database import Call
from whowas.workbench.filter_text import columns_of
from whowas.workbench.hours import Hour, touched
from whowas.workbench.kept import SPACE
from whowas.workbench.rollup_sql import ADDED, AN_HOUR, SPACE_COLUMNS, TEN_MINUTES
from whowas.workbench.rollups import Ready, State, relation

FLOW_SECONDS = 10.0
"""So long hours of flows are read for one question; then it is answered from what was read."""


Kept = TypeVar("Kept")


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
    kept: dict[str, Any] = field(default_factory=dict)
    read: dict[str, tuple[int, Relation]] = field(default_factory=dict)

    def rows(self, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """Run a statement. Raises: CancelledError."""
        self.call.check()
        found: list[tuple[Any, ...]] = self.link.execute(sql, values).fetchall()
        return found

    def table(self) -> str:
        """A name for a table of this question."""
        self.tables += 1
        return f"asked_{self.tables}"

    def once(self, what: tuple[Any, ...], make: Callable[[], Kept]) -> Kept:
        """What this question has made, made where it has not. Its filter is the same for all."""
        key = repr(what)
        if key not in self.kept:
            self.kept[key] = make()
        found: Kept = self.kept[key]
        return found

    def keep(self, sql: str, values: list[Any]) -> str:
        """Keep what a statement finds for as long as the question lasts; returns the table. The same is asked once."""

        def make() -> str:
            table = self.table()
            self.rows(f"CREATE TEMP TABLE {table} AS {sql}", values)
            return table

        return self.once((sql, values), make)

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


def edges(asking: Asking, asked: TimeRange | None, wanted: Filter, more: More | None = None) -> Relation:
    """Edges of the flows of a range that a filter leaves, not parted by time.

    more: is grouped by too; then flows are read.
    """
    hours = touched(asking.state.found.hours, *bounds(asked))
    ready = [asking.state.ready[one.id] for one in hours if one.id in asking.state.ready]
    kept = translated(asking, wanted, ready) if more is None else None
    if kept is None:
        return _from_flows(asking, asked, wanted, hours, AN_HOUR, more or More({}))
    about = About("rollups", len(hours), len(ready), unready(asking, hours, len(ready)))
    covered = cover(BY_LINK, ready, None if asked is None else bounds(asked))
    parts, values = _fringes(asking, covered.rest, ready, wanted, rollup_sql.edges)
    if covered.links:
        where, told = sql_of(kept)
        only = "" if kept == EVERY else f" WHERE link IN (SELECT id FROM {SPACE}.links WHERE {where})"
        summed = f"SELECT link, {ADDED} FROM ({' UNION ALL '.join(covered.links)}){only} GROUP BY link"
        named = f"SELECT * EXCLUDE (pair, space, src_group, dst_group) FROM {SPACE}.links WHERE {where}"
        parts.append(f"SELECT * EXCLUDE (id, link) FROM ({summed}) AS f JOIN ({named}) AS l ON f.link = l.id")
        values += told * (2 if only else 1)
    if not parts:
        return Relation(f"({_nothing(asking)})", [], about)
    return Relation(f"({' UNION ALL BY NAME '.join(parts)})", values, about)


def traffic(asking: Asking, asked: TimeRange | None, wanted: Filter, size: int = AN_HOUR) -> Relation:
    """The same by buckets of at most `size` us, and without workloads and ports: SPACE_COLUMNS, bucket, MEASURES."""
    hours = touched(asking.state.found.hours, *bounds(asked))
    ready = [asking.state.ready[one.id] for one in hours if one.id in asking.state.ready]
    kept = translated(asking, wanted, ready) if size >= MINUTE else None
    if kept is None:
        return _from_flows(asking, asked, wanted, hours, min(size, TEN_MINUTES), More({}))
    about = About("rollups", len(hours), len(ready), unready(asking, hours, len(ready)))
    alone = columns_of(wanted) <= SPACE_COLUMNS
    levels = tuple(one for one in (BY_SPACE if alone else BY_LINK[1:]) if one.size <= size)
    covered = cover(levels, ready, None if asked is None else bounds(asked))
    fine = min(size, TEN_MINUTES)
    parts, values = _fringes(asking, covered.rest, ready, wanted, lambda flows: rollup_sql.spaces(flows, fine))
    where, told = sql_of(kept)
    pieces: list[str] = []
    if covered.links:
        left = links_of(asking, kept)
        every = " UNION ALL ".join(covered.links)
        pieces.append(f"SELECT bucket, space, {COUNTS} FROM ({every}) AS f JOIN {left} AS l ON f.link = l.id")
    if covered.spaced:
        # One table: a statement over one of each hour takes longer to plan than to answer.
        name = asking.table()
        asking.link.register(name, pa.concat_tables(covered.spaced))
        covered.spaces.append(f"FROM {name}")
    if covered.spaces:
        left = f"SELECT id FROM {SPACE}.spaces WHERE {where}"
        every = " UNION ALL ".join(covered.spaces)
        pieces.append(f"SELECT bucket, space, {COUNTS} FROM ({every}) AS f JOIN ({left}) AS l ON f.space = l.id")
        values += told
    if pieces:
        summed = f"SELECT bucket, space, {ADDED} FROM ({' UNION ALL '.join(pieces)}) GROUP BY ALL"
        parts.append(f"SELECT * EXCLUDE (id, space) FROM ({summed}) AS f JOIN {SPACE}.spaces AS l ON f.space = l.id")
    if not parts:
        return Relation(f"({_nothing(asking)})", [], about)
    return Relation(f"({' UNION ALL BY NAME '.join(parts)})", values, about)


def links_of(asking: Asking, kept: Filter) -> str:
    """The links that a filter leaves, as a table of id and space. Names are compared once a question."""
    if kept == EVERY:
        return f"{SPACE}.links"
    where, values = sql_of(kept)
    return asking.keep(f"SELECT id, space FROM {SPACE}.links WHERE {where}", values)


def translated(asking: Asking, wanted: Filter, ready: list[Ready]) -> Filter | None:
    """The filter as it is one of the links of some hours, None where it is none."""
    if wanted == EVERY:
        return EVERY
    if not ready:
        return EVERY if on_rollups.answerable(wanted) else None
    loaded = [one.loaded for one in ready if one.loaded is not None]

    def make() -> Filter | None:
        seen = asking.table()
        every = np.unique(np.concatenate([one.seen for one in loaded]))
        asking.link.register(seen, pa.table({"detail": every}))
        return on_rollups.translate(asking.link, wanted, seen)

    return asking.once(("translated", wanted, [one.number for one in loaded]), make)


def _fringes(
    asking: Asking, spans: list[tuple[int, int]], ready: list[Ready], wanted: Filter, make: Callable[[str], str]
) -> tuple[list[str], list[Any]]:
    """Edges of some seconds, from the flows."""
    parts: list[str] = []
    values: list[Any] = []
    for span in spans:
        hours = touched([one.hour for one in ready], *span)
        if hours:
            flows, told = _flows(asking, hours, span)
            where, filtered = sql_of(wanted)
            parts.append(f"({make(f'SELECT * FROM ({flows}) WHERE {where}')})")
            values += [*told, *filtered]
    return parts, values


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
    """Read hours, newest first, until all are read or the time is over. What was read for this question is there."""
    key = repr((asked, wanted, more))
    if key not in asking.read or size % asking.read[key][0]:
        asking.read[key] = size, _read(asking, asked, wanted, hours, size, more)
    made = asking.read[key][1]
    return Relation(made.sql, made.values, copy(made.about))


def _read(
    asking: Asking, asked: TimeRange | None, wanted: Filter, hours: list[Hour], size: int, more: More
) -> Relation:
    about, began = About("flows", len(hours), 0), time.perf_counter()
    hours = readable(asking, hours)
    if len(hours) < about.hours:
        about.partial = f"{about.hours - len(hours)} of {about.hours} hours cannot be read"
    table = asking.table()
    span = None if asked is None else bounds(asked)
    where, told = sql_of(wanted)
    for number, hour in enumerate(hours):
        if number and time.perf_counter() - began > asking.flow_seconds:
            break
        flows, values = _flows(asking, [hour], span)
        added = "".join(f", {sql} AS {name}" for name, sql in more.columns.items())
        made = rollup_sql.edges(f"SELECT *{added} FROM ({flows}) WHERE {where}", size, tuple(more.columns))
        begin = f"INSERT INTO {table}" if number else f"CREATE TEMP TABLE {table} AS"
        asking.rows(f"{begin} {made}", [*more.values, *values, *told])
        about.ready = number + 1
    if not hours:
        return Relation(f"({_nothing(asking, tuple(more.columns))})", [], about)
    if about.ready < len(hours):
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


def unready(asking: Asking, hours: list[Hour], ready: int) -> str:
    """Say why not all hours are in an answer."""
    if ready == len(hours):
        return ""
    broken = len(hours) - len(readable(asking, hours))
    if ready + broken == len(hours):
        return f"{broken} of {len(hours)} hours cannot be read"
    return f"{ready} of {len(hours)} hours are ready: roll-ups are being made, newest hour first"


def readable(asking: Asking, hours: list[Hour]) -> list[Hour]:
    """Leave out hours of which no file can be read."""
    return [one for one in hours if one.key not in asking.state.broken]

"""Covers a range with roll-ups: whole hours, then ten minutes, then minutes; what is left is a matter of the flows.

All of it is SQL over the tables of `kept` and the files of minutes. A piece is rows of bucket, link or space, MEASURES.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from whowas.query.parquet_files import as_glob, sql_text
from whowas.workbench.hourly import Hourly
from whowas.workbench.hours import touched
from whowas.workbench.rollup_sql import AN_HOUR, MEASURES, TEN_MINUTES
from whowas.workbench.rollups import Ready

MINUTE = 60_000_000
COUNTS = ", ".join(MEASURES)
Span = tuple[int, int]


class Level(NamedTuple):
    """Roll-ups of one size of bucket, us. key: link or space; hour: link, of whole hours as arrays."""

    size: int
    kind: str
    key: str = "link"


BY_LINK = (Level(AN_HOUR, "edges_1h"), Level(TEN_MINUTES, "edges_10m"), Level(MINUTE, "edges_1m"))
BY_HOUR = (Level(AN_HOUR, "edges_1h", "hour"), *BY_LINK[1:])
BY_SPACE = (Level(TEN_MINUTES, "spaces_10m", "space"), Level(MINUTE, "edges_1m"))


class Cover(NamedTuple):
    """SQL of pieces by link, of pieces by space, the spans that only flows can tell.

    hours: whole hours by link, as arrays; spaced: by space, as tables of Arrow.
    """

    links: list[str]
    spaces: list[str]
    rest: list[Span]
    hours: list[Hourly]
    spaced: list[Any]


def cover(levels: tuple[Level, ...], ready: list[Ready], span: Span | None) -> Cover:
    """Cover a span, or all times, with the coarsest levels that fit."""
    made = Cover([], [], [], [], [])
    if span is None:
        for one in ready:
            _add(made, levels[0], one, "")
    elif span[0] < span[1]:
        _cover(made, levels, ready, *span)
    return made


def _cover(made: Cover, levels: tuple[Level, ...], ready: list[Ready], since: int, until: int) -> None:
    if since >= until:
        return
    if not levels:
        made.rest.append((since, until))
        return
    level, finer = levels[0], levels[1:]
    low, high = -(-since // level.size) * level.size, until // level.size * level.size
    if low >= high:
        _cover(made, finer, ready, since, until)
        return
    _cover(made, finer, ready, since, low)
    by_id = {one.hour.id: one for one in ready}
    for hour in touched([one.hour for one in ready], low, high):
        # What tells no start is in no range.
        whole = hour.timed and low <= hour.since and hour.until <= high and hour.since > 0
        _add(made, level, by_id[hour.id], "" if whole else f" WHERE bucket >= {low} AND bucket < {high}")
    _cover(made, finer, ready, high, until)


def _add(made: Cover, level: Level, one: Ready, where: str) -> None:
    assert one.loaded is not None
    if level.key == "hour" and not where:
        made.hours.append(one.loaded.hourly)
        return
    if level.kind == "spaces_10m" and not where:
        made.spaced.append(one.loaded.spaced)
        return
    key = "space" if level.key == "space" else "link"
    pieces = made.spaces if level.key == "space" else made.links
    if level.kind == "edges_1m":
        path, own = sql_text(as_glob(one.path(level.kind))), one.loaded.table("here")
        pieces.append(
            f"SELECT bucket, h.link, {COUNTS} FROM (SELECT link AS own, * EXCLUDE (link) FROM read_parquet({path})"
            f"{where}) AS f JOIN {own} AS h ON f.own = h.own"
        )
    else:
        pieces.append(f"SELECT bucket, {key}, {COUNTS} FROM {one.loaded.table(level.kind)}{where}")

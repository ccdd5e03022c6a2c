"""Edges by pairs of names, added up in arrays: whole hours as they are kept, what a range cuts from tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from whowas.arrays import Flags, Indices, Words
from whowas.query.filters import EVERY, Filter
from whowas.workbench.api.common import About, TimeRange
from whowas.workbench.covering import BY_HOUR, cover
from whowas.workbench.edges import Asking, bounds, links_of, translated, unready
from whowas.workbench.hourly import Hourly, arrays
from whowas.workbench.hours import touched
from whowas.workbench.kept import NAMED, SPACE
from whowas.workbench.numbering import NONE, Sums
from whowas.workbench.rollup_sql import MEASURES, SIDES

ENDS = tuple(f"{side}_{what}" for side in SIDES for what in NAMED)
LINK = ("dst_port", "protocol", "direction")


@dataclass
class Pairs:
    """pair: numbers, each once. key: of each; counted: MEASURES of each."""

    about: About
    pair: Indices
    key: Indices
    counted: list[Words]


def pairs(asking: Asking, asked: TimeRange | None, wanted: Filter) -> Pairs | None:
    """Edges of a range that a filter leaves, by pairs of names. None where some of it has to be read from flows."""
    hours = touched(asking.state.found.hours, *bounds(asked))
    ready = [asking.state.ready[one.id] for one in hours if one.id in asking.state.ready]
    kept = translated(asking, wanted, ready)
    covered = cover(BY_HOUR, ready, None if asked is None else bounds(asked))
    if kept is None or any(touched([one.hour for one in ready], *span) for span in covered.rest):
        return None
    if not ready or not (covered.links or covered.hours):
        return None
    assert ready[0].loaded is not None
    numbers = ready[0].loaded.hourly.numbers
    every = " UNION ALL ".join(covered.links)
    pieces = [*covered.hours, *([arrays(asking.link, numbers, f"({every})")] if every else [])]
    pair_of, key_of = numbers.now
    sums = _added(pieces, pair_of, len(key_of), _left(asking, kept, len(pair_of)))
    there = np.flatnonzero(sums[0])
    about = About("rollups", len(hours), len(ready), unready(asking, hours, len(ready)))
    return Pairs(about, there.astype(np.int32), key_of[there], [one[there] for one in sums])


def _left(asking: Asking, kept: Filter, links: int) -> Flags | None:
    """Which links a filter leaves; None: all."""
    if kept == EVERY:
        return None
    found = asking.link.execute(f"SELECT id FROM {links_of(asking, kept)}").fetchnumpy()["id"]
    flags = np.zeros(links, np.bool_)
    # Links that came meanwhile are of no hour that is asked.
    flags[found[found < links]] = True
    return flags


def _added(pieces: list[Hourly], pair_of: Indices, known: int, left: Flags | None) -> list[Words]:
    sums = Sums()
    for one in pieces:
        link, counted = one.link, one.counted
        if left is not None:
            mine = left[link]
            link, counted = link[mine], [column[mine] for column in counted]
        sums.add(pair_of[link], known, counted, counted[3] != NONE)
    return sums.parts()


def heaviest(
    asking: Asking, told: Pairs, by: str, limit: int, only: Flags | None = None
) -> tuple[list[tuple[Any, ...]], int, int]:
    """The first by a measure as rows of ENDS, LINK, MEASURES; how many there are, and their sum.

    Ties stand in the order of names. only: some of the pairs.
    """
    place = np.arange(len(told.pair)) if only is None else np.flatnonzero(only)
    values = told.counted[MEASURES.index(by)][place]
    count, total = len(place), sum(values.tolist())
    if count > limit:
        place = place[values >= np.partition(values, count - limit)[count - limit]]
    if not count:
        return [], 0, 0
    table = asking.table()
    columns = {one: column[place] for one, column in zip(MEASURES, told.counted, strict=True)}
    untimed = columns["first"] == NONE
    shown = {"pair": told.pair[place]} | {
        one: pa.array(column, mask=untimed if one in ("first", "last") else None) for one, column in columns.items()
    }
    asking.link.register(table, pa.table(shown))
    named = ", ".join([*ENDS, *LINK])
    rows = asking.rows(
        f"SELECT {named}, {', '.join(MEASURES)} FROM {table} AS t JOIN {SPACE}.pairs AS p ON t.pair = p.id "
        f"ORDER BY {by} DESC, {named} LIMIT {int(limit)}",
        [],
    )
    return rows, count, total


def not_in(mine: Pairs, other: Pairs) -> Flags:
    """Which pairs have a key that the others have not."""
    there: Flags = np.isin(mine.key, other.key, invert=True)
    return there

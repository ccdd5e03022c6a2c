"""Answers the overview: traffic over time, how sure the ends are, who talks most, what is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whowas.schema import CONFIDENCES
from whowas.workbench import rollup_sql
from whowas.workbench.api.common import About, Edge, Name, Question, TimeRange
from whowas.workbench.api.overview import (
    Changes,
    ChangesAsk,
    Ends,
    Histogram,
    HistogramAsk,
    Overview,
    OverviewAsk,
    Talkers,
    TopAsk,
)  # fmt: skip
from whowas.workbench.edges import Asking, Relation, bounds, edges, pairs, traffic
from whowas.workbench.filter_text import read
from whowas.workbench.kept import NAMED, SPACE
from whowas.workbench.rollup_sql import AN_HOUR, SIDES, TEN_MINUTES

MINUTE, DAY = 60_000_000, 24 * AN_HOUR
WORDS = f"[{', '.join(repr(one) for one in CONFIDENCES)}]"
ENDS = tuple(f"{side}_{what}" for side in SIDES for what in NAMED)
LINK = ("dst_port", "protocol", "direction")
KEY = (*ENDS, "dst_port", "protocol")
"""What makes two edges the same: names with their confidences, port and protocol."""


def weaker() -> str:
    """SQL of the confidence of the less certain end."""
    src, dst = (f"coalesce({side}_confidence, 'unknown')" for side in SIDES)
    place = "list_position({0}, {1})"
    return f"CASE WHEN {place.format(WORDS, src)} >= {place.format(WORDS, dst)} THEN {src} ELSE {dst} END"


def names() -> str:
    """SQL of the names of both ends, as far as workloads."""
    return ", ".join(
        f"cluster AS {side}_cluster, {side}_kind, {side}_namespace, "
        f"coalesce({side}_workload, {side}_name) AS {side}_name, "
        f"{side}_workload_kind AS {side}_name_kind, {side}_confidence"
        for side in SIDES
    )


class Names:
    """Names of an answer, each once. A name of another confidence is another name."""

    def __init__(self) -> None:
        self.listed: list[Name] = []
        self._places: dict[tuple[str, ...], int] = {}

    def place(self, values: tuple[Any, ...]) -> int:
        """Where a name stands in the list, if need be from now on. values: as NAMED."""
        key = _text(values)
        if key not in self._places:
            self._places[key] = len(self.listed)
            self.listed.append(Name(*key))
        return self._places[key]

    def known(self, values: tuple[Any, ...]) -> int | None:
        """Where a name stands in the list, if it does."""
        return self._places.get(_text(values))

    def edge(self, row: tuple[Any, ...]) -> Edge:
        """Make an edge of a row: both names, LINK, MEASURES."""
        src, dst = self.place(row[:6]), self.place(row[6:12])
        port, protocol, direction, flows, size, packets, first, last = row[12:20]
        return Edge(src, dst, port, protocol or "", direction or "", flows, size, packets, first, last)


def _text(values: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(str(one) if one is not None else "" for one in values[:5]) + (values[5] or "unknown",)


def bucket_of(span: TimeRange | None, state: Any) -> int:
    """How long a bucket is that shows a range well, us."""
    since, until = _shown(span, state)
    length = until - since
    return (
        MINUTE
        if length <= 2 * AN_HOUR
        else TEN_MINUTES
        if length <= 2 * DAY
        else AN_HOUR
        if length <= 30 * DAY
        else DAY
    )


def _shown(span: TimeRange | None, state: Any) -> tuple[int, int]:
    if span is not None:
        return bounds(span)
    timed = [one for one in state.found.hours if one.timed and one.since > 0]
    return (timed[-1].since, timed[0].until) if timed else (0, AN_HOUR * 3)


def histogram(asking: Asking, asked: HistogramAsk) -> Histogram:
    """Flows over time."""
    size = asked.bucket or bucket_of(asked.range, asking.state)
    table, about = _by_sureness(asking, asked, size)
    rows = asking.rows(
        f"SELECT time, {weaker()} AS sure, sum(flows)::BIGINT, least(sum(bytes), {rollup_sql.MOST})::BIGINT "
        f"FROM {table} GROUP BY ALL ORDER BY time, sure",
        [],
    )
    timed = [row for row in rows if row[0] is not None]
    untimed = sum(row[2] for row in rows if row[0] is None)
    times, sure, flows, sizes = [list(one) for one in zip(*timed, strict=True)] or [[], [], [], []]
    return Histogram(asking.done(about), size, times, sure, flows, sizes, untimed)


def _by_sureness(asking: Asking, asked: Question, size: int) -> tuple[str, About]:
    """A table of time, src_confidence, dst_confidence, flows, bytes."""
    made = traffic(asking, asked.range, read(asked.filter).filter, size)
    table = asking.keep(
        f"SELECT {rollup_sql.bucket(size, 'bucket')} AS time, src_confidence, dst_confidence, sum(flows)::BIGINT AS "
        f"flows, least(sum(bytes), {rollup_sql.MOST})::BIGINT AS bytes FROM {made.sql} GROUP BY ALL",
        made.values,
    )
    return table, made.about


def ends(asking: Asking, asked: Question, size: int = AN_HOUR) -> Ends:
    """How sure the ends are. size: of buckets to add up, us; that of a histogram has them already."""
    table, about = _by_sureness(asking, asked, size)
    both = " UNION ALL ".join(
        f"SELECT '{side}' AS side, coalesce({side}_confidence, 'unknown') AS sure, flows, bytes FROM {table}"
        for side in SIDES
    )
    rows = asking.rows(
        f"SELECT side, sure, sum(flows)::BIGINT, least(sum(bytes), {rollup_sql.MOST})::BIGINT FROM ({both}) "
        "GROUP BY ALL",
        [],
    )
    rows.sort(key=lambda row: (SIDES.index(row[0]), CONFIDENCES.index(row[1]) if row[1] in CONFIDENCES else -1))
    columns = [list(one) for one in zip(*rows, strict=True)] or [[], [], [], []]
    return Ends(asking.done(about), *columns)


def grouped(made: Relation) -> str:
    """SQL of edges by names and link."""
    return f"SELECT {names()}, {', '.join(LINK)}, {rollup_sql.ADDED} FROM {made.sql} GROUP BY ALL"


def talkers(asking: Asking, asked: TopAsk) -> Talkers:
    """The heaviest edges."""
    wanted = read(asked.filter).filter
    made = pairs(asking, asked.range, wanted)
    if made is not None:
        rows = _heaviest_pairs(asking, asking.keep(f"FROM {made.sql}", made.values), asked.by, asked.limit)
    else:
        made = edges(asking, asked.range, wanted)
        table = asking.keep(grouped(made), made.values)
        rows = asking.rows(_heaviest(f"FROM {table}", asked.by, asked.limit), [])
    listed = Names()
    found = [listed.edge(row) for row in rows]
    count, total = rows[0][20:22] if rows else (0, 0)
    shown = sum(getattr(one, asked.by) for one in found)
    return Talkers(asking.done(made.about), listed.listed, found, count - len(found), int(total) - shown)


def _heaviest(rows: str, by: str, limit: int) -> str:
    """The first rows by a measure; behind them how many there are, and their sum. Ties stand in the order of names."""
    return (
        f"SELECT *, count(*) OVER () AS rows_all, sum({by}) OVER () AS sum_all FROM ({rows}) AS r "
        f"ORDER BY {by} DESC, {', '.join([*ENDS, *LINK])} LIMIT {int(limit)}"
    )


def _heaviest_pairs(asking: Asking, table: str, by: str, limit: int) -> list[tuple[Any, ...]]:
    """The same of a table of pairs: only those that may be shown get their names."""
    least = f"(SELECT min({by}) FROM (SELECT {by} FROM {table} ORDER BY {by} DESC LIMIT {int(limit)}))"
    return asking.rows(
        f"SELECT {', '.join([*ENDS, *LINK, *rollup_sql.MEASURES])}, (SELECT count(*) FROM {table}), "
        f"(SELECT sum({by}) FROM {table}) FROM (SELECT * FROM {table} WHERE {by} >= {least}) AS t "
        f"JOIN {SPACE}.pairs AS p ON t.pair = p.id ORDER BY {by} DESC, {', '.join([*ENDS, *LINK])} LIMIT {int(limit)}",
        [],
    )


def before(span: TimeRange | None, state: Any) -> TimeRange:
    """As long a range just before one."""
    since, until = _shown(span, state)
    return TimeRange(since - (until - since), since)


def unknown_before(span: TimeRange, state: Any) -> str:
    """Say that a baseline begins before anything is known: what is called new may be older."""
    first = min((one.since for one in state.found.hours if one.timed and one.since > 0), default=span.since)
    return (
        "the baseline begins before the first flow that is known: what is new may be older"
        if span.since < first
        else ""
    )


def changes(asking: Asking, asked: ChangesAsk) -> Changes:
    """Edges that are new, and edges that are gone."""
    wanted = read(asked.filter).filter
    past = asked.baseline or before(asked.range, asking.state)
    spans = (asked.range, past)
    paired = [pairs(asking, span, wanted) for span in spans]
    by_pair = all(one is not None for one in paired)
    now, then = [one for one in paired if one] if by_pair else [edges(asking, span, wanted) for span in spans]
    if not then.about.ready:
        now.about.partial = "there are no flows in the range to compare with, so that all would seem new"
        return Changes(asking.done(now.about), past, then.about.hours, 0, [], [], [], 0, 0)
    tables = [asking.keep(f"FROM {one.sql}" if by_pair else grouped(one), one.values) for one in (now, then)]
    listed = Names()
    sides = []
    for mine, other in (tables, tables[::-1]):
        if by_pair:
            rows = _heaviest_pairs(asking, asking.keep(_pairs_not_in(mine, other), []), asked.by, asked.limit)
        else:
            left = f"FROM {mine} AS m ANTI JOIN {other} AS o ON {same('m', 'o', KEY)}"
            rows = asking.rows(_heaviest(left, asked.by, asked.limit), [])
        sides.append(([listed.edge(row) for row in rows], rows[0][20] - len(rows) if rows else 0))
    (new, new_more), (gone, gone_more) = sides
    now.about.partial = now.about.partial or then.about.partial or unknown_before(past, asking.state)
    return Changes(
        asking.done(now.about), past, then.about.hours, then.about.ready, listed.listed, new, gone, new_more, gone_more
    )


def _pairs_not_in(mine: str, other: str) -> str:
    """Pairs of one table whose key the other has not."""
    keys = f"(SELECT p.id, p.key FROM {SPACE}.pairs AS p)"
    theirs = f"(SELECT key FROM {other} AS t JOIN {keys} AS k ON t.pair = k.id)"
    return f"SELECT m.* FROM {mine} AS m JOIN {keys} AS k ON m.pair = k.id ANTI JOIN {theirs} AS o ON k.key = o.key"


def overview(asking: Asking, asked: OverviewAsk) -> Overview:
    """All of it at once: what several panes are made of is added up once."""
    size = asked.bucket or bucket_of(asked.range, asking.state)
    question = (asked.filter, asked.range)
    return Overview(
        histogram(asking, HistogramAsk(*question, size)),
        ends(asking, Question(*question), size),
        talkers(asking, TopAsk(*question, asked.by, asked.limit)),
        changes(asking, ChangesAsk(*question, asked.by, asked.limit)),
    )


def same(left: str, right: str, columns: Sequence[str]) -> str:
    """SQL of two rows' columns being the same, nulls too."""
    return " AND ".join(f"{left}.{one} IS NOT DISTINCT FROM {right}.{one}" for one in columns)

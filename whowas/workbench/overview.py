"""Answers the overview: traffic over time, how sure the ends are, who talks most, what is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

from whowas.query.filters import Filter
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
from whowas.workbench.edges import Asking, Relation, bounds, edges, traffic
from whowas.workbench.filter_text import read
from whowas.workbench.pairs import ENDS, LINK, Pairs, heaviest, not_in, pairs
from whowas.workbench.rollup_sql import AN_HOUR, SIDES, TEN_MINUTES

MINUTE, DAY = 60_000_000, 24 * AN_HOUR
WORDS = f"[{', '.join(repr(one) for one in CONFIDENCES)}]"
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
    table, about = asking.once(("sureness", size), lambda: _by_sureness(asking, asked, size))
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
    table, about = asking.once(("sureness", size), lambda: _by_sureness(asking, asked, size))
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
    made: Pairs | Relation | None = _paired(asking, asked.range, wanted)
    if isinstance(made, Pairs):
        rows, count, total = heaviest(asking, made, asked.by, asked.limit)
    else:
        made = edges(asking, asked.range, wanted)
        table = asking.keep(grouped(made), made.values)
        rows, count, total = _heaviest(asking, f"FROM {table}", asked.by, asked.limit)
    listed = Names()
    found = [listed.edge(row) for row in rows]
    shown = sum(getattr(one, asked.by) for one in found)
    return Talkers(asking.done(copy(made.about)), listed.listed, found, count - len(found), total - shown)


def _paired(asking: Asking, span: TimeRange | None, wanted: Filter) -> Pairs | None:
    return asking.once(("pairs", span), lambda: pairs(asking, span, wanted))


def _heaviest(asking: Asking, rows: str, by: str, limit: int) -> tuple[list[tuple[Any, ...]], int, int]:
    """The first rows by a measure; how many there are, and their sum. Ties stand in the order of names."""
    found = asking.rows(
        f"SELECT *, count(*) OVER () AS rows_all, sum({by}) OVER () AS sum_all FROM ({rows}) AS r "
        f"ORDER BY {by} DESC, {', '.join([*ENDS, *LINK])} LIMIT {int(limit)}",
        [],
    )
    return found, found[0][20] if found else 0, int(found[0][21]) if found else 0


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
    paired = [_paired(asking, span, wanted) for span in spans]
    known = [one for one in paired if one is not None]
    now, then = known if len(known) == len(spans) else [edges(asking, span, wanted) for span in spans]
    about = copy(now.about)
    if not then.about.ready:
        about.partial = "there are no flows in the range to compare with, so that all would seem new"
        return Changes(asking.done(about), past, then.about.hours, 0, [], [], [], 0, 0)
    listed = Names()
    sides = []
    for rows, count, _ in _differing(asking, asked, now, then):
        sides.append(([listed.edge(row) for row in rows], count - len(rows)))
    (new, new_more), (gone, gone_more) = sides
    about.partial = about.partial or then.about.partial or unknown_before(past, asking.state)
    return Changes(
        asking.done(about), past, then.about.hours, then.about.ready, listed.listed, new, gone, new_more, gone_more
    )


def _differing(
    asking: Asking, asked: ChangesAsk, now: Pairs | Relation, then: Pairs | Relation
) -> Iterator[tuple[list[tuple[Any, ...]], int, int]]:
    """The heaviest that one has and the other has not, how many, and their sum; then the other way."""
    if isinstance(now, Pairs) and isinstance(then, Pairs):
        for mine, other in ((now, then), (then, now)):
            yield heaviest(asking, mine, asked.by, asked.limit, not_in(mine, other))
        return
    assert isinstance(now, Relation)
    assert isinstance(then, Relation)
    tables = [asking.keep(grouped(one), one.values) for one in (now, then)]
    for left, right in (tables, tables[::-1]):
        rows = f"FROM {left} AS m ANTI JOIN {right} AS o ON {same('m', 'o', KEY)}"
        yield _heaviest(asking, rows, asked.by, asked.limit)


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

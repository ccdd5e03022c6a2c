"""Flows beside the lanes of Who was, and addresses that several held."""

from __future__ import annotations

from typing import Any, NamedTuple

from whowas.query.filters import EVERY, sql_of
from whowas.schema import CONFIDENCES
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench import rollup_sql
from whowas.workbench.api.common import About, TimeRange
from whowas.workbench.api.overview import TopAsk
from whowas.workbench.api.who import Shared, SharedAddresses
from whowas.workbench.edges import Asking, bounds, readable
from whowas.workbench.filter_text import read
from whowas.workbench.hours import Hour, touched
from whowas.workbench.pages import clamped
from whowas.workbench.rollup_sql import AN_HOUR, SIDES
from whowas.workbench.rollups import relation

FINE_US = 2 * AN_HOUR
"""Ranges up to this are read from flows, in buckets that show when within an hour an address spoke."""
STEPS = tuple(one * 1_000_000 for one in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600))
MOST_BUCKETS = 90
MOST_NAMES = 6


class Beside(NamedTuple):
    """Flows with an end, by bucket (us) and by how sure that end was. Aligned columns, oldest first."""

    bucket: int
    time: list[int]
    confidence: list[str]
    flows: list[int]
    bytes: list[int]


def beside(asking: Asking, address: str, uids: list[str], span: TimeRange | None, words: str, about: About) -> Beside:
    """Flows of an address; where it is "", of pods. words: a filter, which roll-ups of addresses do not know."""
    if not address and not uids:
        return Beside(AN_HOUR, [], [], [], [])
    since, until = bounds(span)
    hours = touched(asking.state.found.hours, since, until)
    about.hours = len(hours)
    if until - since <= FINE_US:
        size = next((one for one in STEPS if (until - since) // one <= MOST_BUCKETS), STEPS[-1])
        return _told(size, _of_flows(asking, hours, address, uids, (since, until, size), words, about))
    files = [asking.state.ready[one.id].path("ends_1h") for one in hours if one.id in asking.state.ready]
    about.ready = len(files)
    if read(words).filter != EVERY:
        about.partial = "flows beside the lanes are not narrowed by the filter; shorten the range to two hours"
    if not files:
        return Beside(AN_HOUR, [], [], [], [])
    where, value = _mine(address, uids, "")
    rows = asking.rows(
        f"SELECT bucket, coalesce(confidence, 'unknown'), sum(flows)::BIGINT, "
        f"least(sum(bytes), {rollup_sql.MOST})::BIGINT FROM read_parquet(?) "
        f"WHERE {where} AND bucket > ? AND bucket < ? GROUP BY ALL",
        [files, value, max(since, BEFORE_ALL + AN_HOUR) - AN_HOUR, until],
    )
    return _told(AN_HOUR, rows)


def _mine(address: str, uids: list[str], prefix: str) -> tuple[str, Any]:
    """The condition of an end, and its value. prefix: of columns of flows; "" = of roll-ups of addresses."""
    if address:
        return f"{prefix}ip = ?" if prefix else "address = ?", address
    return f"{prefix}pod_uid IN (SELECT unnest(?))", uids


def _of_flows(
    asking: Asking,
    hours: list[Hour],
    address: str,
    uids: list[str],
    cut: tuple[int, int, int],
    words: str,
    about: About,
) -> list[tuple[Any, ...]]:
    since, until, size = cut
    kept = readable(asking, hours)
    about.source, about.ready = "flows", len(kept)
    if not kept:
        return []
    every = " UNION ALL BY NAME ".join(f"({relation(asking.link, one)})" for one in kept)
    narrowed, values = sql_of(read(words).filter)
    parts, given = [], []
    for side in SIDES:
        where, value = _mine(address, uids, f"{side}_")
        parts.append(
            f"SELECT {rollup_sql.bucket(size)} AS bucket, coalesce({side}_confidence, 'unknown') AS sure, "
            f"coalesce(bytes_out, 0)::HUGEINT + coalesce(bytes_in, 0) AS size FROM ({every}) WHERE {where} "
            f"AND start_time >= make_timestamptz(?) AND start_time < make_timestamptz(?) AND ({narrowed})"
        )
        given += [value, clamped(since), clamped(until), *values]
    return asking.rows(
        f"SELECT bucket, sure, count(*), least(sum(size), {rollup_sql.MOST})::BIGINT "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY ALL",
        given,
    )


def _told(size: int, rows: list[tuple[Any, ...]]) -> Beside:
    rows.sort(key=lambda row: (row[0], CONFIDENCES.index(row[1]) if row[1] in CONFIDENCES else 99))
    found = [list(one) for one in zip(*rows, strict=True)] or [[], [], [], []]
    return Beside(size, found[0], found[1], found[2], found[3])


def shared(asking: Asking, asked: TopAsk) -> SharedAddresses:
    """Addresses whose flows name several pods. The filter is not asked: it would hide the other holders."""
    since, until = bounds(asked.range)
    hours = touched(asking.state.found.hours, since, until)
    files = [asking.state.ready[one.id].path("ends_1h") for one in hours if one.id in asking.state.ready]
    about = About("rollups", len(hours), len(files))
    if not files:
        return SharedAddresses(asking.done(about), [], 0)
    names = "list(DISTINCT [confidence, concat_ws('/', namespace, coalesce(workload, pod))])"
    # Hours are put together first: to count what differs is dear, and a holder is the same in most of them.
    holders = (
        "SELECT address, cluster, coalesce(pod_uid, pod) AS holder, confidence, namespace, workload, pod, "
        "sum(flows) AS flows FROM read_parquet(?) WHERE kind = 'pod' AND confidence IN ('exact', 'likely') "
        "AND last >= ? AND first < ? GROUP BY ALL"
    )
    rows = asking.rows(
        f"SELECT address, count(DISTINCT holder) AS holders, {names}[:{MOST_NAMES}], sum(flows)::BIGINT AS flows, "
        f"count(*) OVER () FROM ({holders}) GROUP BY address, cluster HAVING count(DISTINCT holder) > 1 "
        f"ORDER BY count(DISTINCT workload) > 1 DESC, holders DESC, flows DESC, address LIMIT {int(asked.limit)}",
        [files, max(since, BEFORE_ALL), min(until, AFTER_ALL)],
    )
    listed = [Shared(row[0], row[1], sorted((one[0], one[1]) for one in row[2]), row[3]) for row in rows]
    return SharedAddresses(asking.done(about), listed, (rows[0][4] - len(rows)) if rows else 0)

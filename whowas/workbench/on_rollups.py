"""A filter of flows as a filter of roll-ups, where it means exactly the same there.

Roll-ups know groups of ends, and not their pods, labels or nodes. A test of those is asked of `identities`: where all
that was seen of a group within an hour agrees, the test is one of the group. Where it does not, or where a test reads
anything else, there is no such filter, and the flows themselves have to be read.
"""

from __future__ import annotations

import re
from typing import Any

from whowas.query.filters import SIDES, All, Filter, Not, Some, Test, sql_of
from whowas.workbench import rollup_sql
from whowas.workbench.filter_text import columns_of
from whowas.workbench.rollup_sql import AN_HOUR, DETAILS, EDGE_COLUMNS, GROUP


def translate(link: Any, one: Filter, identities: list[str]) -> Filter | None:
    """Return the filter of edges, or None. identities: files of the hours that are asked."""
    if columns_of(one) <= EDGE_COLUMNS:
        return one
    side = _side(one)
    if side is not None:
        return _resolved(link, one, side, identities)
    if isinstance(one, Test):
        return None
    if isinstance(one, Not):
        part = translate(link, one.part, identities)
        return None if part is None else Not(part)
    parts = [translate(link, part, identities) for part in one.parts]
    kept = tuple(part for part in parts if part is not None)
    if len(kept) < len(parts):
        return None
    return All(kept) if isinstance(one, All) else Some(kept)


def answerable(one: Filter) -> bool:
    """Say whether roll-ups have the columns; what was seen may still disagree."""
    if columns_of(one) <= EDGE_COLUMNS or _side(one) is not None:
        return True
    if isinstance(one, Test):
        return False
    return answerable(one.part) if isinstance(one, Not) else all(map(answerable, one.parts))


def _side(one: Filter) -> str | None:
    """The end that a filter is about, if it is about one, and about nothing that identities lack."""
    columns = columns_of(one)
    for side in SIDES:
        if columns <= {f"{side}_{what}" for what in (*GROUP, *DETAILS)} - {f"{side}_name"}:
            return side
    return None


def _resolved(link: Any, one: Filter, side: str, identities: list[str]) -> Filter | None:
    sql, values = sql_of(one, True)
    told = re.sub(rf"(?<![\w.]){side}_(?=[a-z])", "", sql)
    grouped = f"FROM read_parquet(?) GROUP BY {_key('')}"
    split = f"SELECT 1 {grouped} HAVING bool_or({told}) AND NOT bool_and({told}) LIMIT 1"
    if link.execute(split, [identities, *values, *values]).fetchall():
        return None
    return Test(f"{_key(side + '_')} IN (SELECT {_key('')} {grouped} HAVING bool_and({told}))", (identities, *values))


def _key(prefix: str) -> str:
    """A group of ends within an hour, as a list: its nulls equal each other."""
    hour = rollup_sql.bucket(AN_HOUR, "bucket")
    return f"[({hour})::VARCHAR, cluster, {', '.join(prefix + what for what in GROUP)}]"

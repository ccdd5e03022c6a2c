"""A filter of flows as a filter of roll-ups, where it means exactly the same there.

Roll-ups know groups of ends, and not their pods, labels or nodes. A test of those is asked of `details`: where all
that was seen of a group in the hours asked for agrees, the test is one of the group. Where it does not, or where a test
reads anything else, there is no such filter, and the flows themselves have to be read.
"""

from __future__ import annotations

import re
from typing import Any

from whowas.query.filters import SIDES, All, Filter, Not, Some, Test, sql_of
from whowas.workbench.filter_text import columns_of
from whowas.workbench.kept import SPACE
from whowas.workbench.rollup_sql import DETAILS, EDGE_COLUMNS, GROUP


def translate(link: Any, one: Filter, seen: str) -> Filter | None:
    """Return the filter of edges, or None. seen: a table of the details that the hours asked for have seen."""
    if columns_of(one) <= EDGE_COLUMNS:
        return one
    side = _side(one)
    if side is not None:
        return _resolved(link, one, side, seen)
    if isinstance(one, Test):
        return None
    if isinstance(one, Not):
        part = translate(link, one.part, seen)
        return None if part is None else Not(part)
    parts = [translate(link, part, seen) for part in one.parts]
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
    """The end that a filter is about, if it is about one, and about nothing that details lack."""
    columns = columns_of(one)
    for side in SIDES:
        if columns <= {f"{side}_{what}" for what in (*GROUP, *DETAILS)} - {f"{side}_name"}:
            return side
    return None


def _resolved(link: Any, one: Filter, side: str, seen: str) -> Filter | None:
    """The groups for which a test holds, None where what was seen of one disagrees."""
    sql, values = sql_of(one, True)
    told = re.sub(rf"(?<![\w.]){side}_(?=[a-z])", "", sql)
    rows = link.execute(
        f"SELECT group_id, bool_and(told) FROM (SELECT group_id, {told} AS told FROM {SPACE}.details "
        f"WHERE id IN (SELECT detail FROM {seen})) GROUP BY group_id HAVING bool_or(told)",
        values,
    ).fetchall()
    if not all(row[1] for row in rows):
        return None
    return Test(f"{side}_group IN (SELECT unnest(?::INTEGER[]))", ([row[0] for row in rows],))

"""Finds the rows that differ between two namings of the same flows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whowas.schema import COLUMNS, plain

ANSWERS = tuple(one.name for one in COLUMNS if one.step == "enrich")


def changed(before: Any, after: Any) -> Any:
    """Return the rows of `after` of which any name differs from `before`."""
    mask = pa.array([False] * after.num_rows)
    told, telling = plain(before), plain(after)
    for name in ANSWERS:
        mask = pc.or_(mask, _differ(told[name], telling[name]))
    return after.filter(mask)


def _differ(before: Any, after: Any) -> Any:
    if pa.types.is_dictionary(after.type):
        before, after = (pc.cast(one, one.type.value_type) for one in (before, after))
    if before.equals(after):
        return pa.array([False] * len(after))
    if pa.types.is_nested(after.type):
        # Labels, images, candidates: few batches get here.
        return pa.array([one != other for one, other in zip(before.to_pylist(), after.to_pylist(), strict=True)])
    alone = pc.xor(before.is_null(), after.is_null())
    return pc.or_(alone, pc.fill_null(pc.not_equal(before, after), False))

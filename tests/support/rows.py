"""Named flows made up for tests of sinks: every type, nulls, and text that attackers would choose."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from whowas.schema import COLUMNS, is_nested, named_schema

HOSTILE = (
    "quote \" and ' mark",
    "new\nline\tand\x00nul\x1b[31m",
    "😀" * 15,
    '=HYPERLINK("http://x","y")',
    "../../etc/passwd",
    "İıſ\u202eright to left",
    "",
)
HOUR = 3_600_000_000
DAY = 1_763_683_200_000_000  # 2025-11-21T00:00:00Z


def _value(kind: Any, dice: random.Random) -> Any:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return dice.choice([*HOSTILE, "shop", None])
    if pa.types.is_timestamp(kind):
        return DAY + dice.randrange(3 * HOUR)
    if pa.types.is_fixed_size_binary(kind):
        return dice.randbytes(16)
    if pa.types.is_map(kind):
        return dice.choice([None, [], [(dice.choice(HOSTILE), dice.choice(HOSTILE))], [("app", "web"), ("a", "b")]])
    if pa.types.is_struct(kind):
        return {kind.field(i).name: _value(kind.field(i).type, dice) for i in range(kind.num_fields)}
    if pa.types.is_list(kind):
        return dice.choice([None, [], [_value(kind.value_type, dice) for _ in range(2)]])
    if pa.types.is_boolean(kind):
        return dice.choice([None, False, True])
    return dice.choice([None, 0, dice.randrange(200)])


def batch(rows: int, seed: int, clusters: tuple[str, ...] = ("demo",)) -> Any:
    """Make `rows` named flows; flow_id, times and cluster are never null, as in real ones."""
    dice = random.Random(seed)
    columns: dict[str, list[Any]] = {one.name: [_value(one.type, dice) for _ in range(rows)] for one in COLUMNS}
    columns["flow_id"] = [f"{seed:016x}{row:016x}" for row in range(rows)]
    columns["cluster"] = [dice.choice(clusters) for _ in range(rows)]
    columns["end_time"] = columns["start_time"]
    columns["src_ip16"] = [value or bytes(16) for value in columns["src_ip16"]]
    arrays = [_array(columns[one.name], one.type) for one in named_schema()]
    return pa.record_batch(arrays, schema=named_schema())


def _array(values: list[Any], kind: Any) -> Any:
    """Arrow makes no dictionaries of maps and lists by itself; here each row has its own word, and one is spare."""
    if not (pa.types.is_dictionary(kind) and is_nested(kind)):
        return pa.array(values, type=kind)
    rows = pa.array([None if value is None else row for row, value in enumerate(values)], pa.int32())
    return pa.DictionaryArray.from_arrays(rows, pa.array([*values, []], kind.value_type))

"""Numbers of the columns for Iceberg, which knows columns by number and not by name.

They are those that Iceberg itself gives to a table that is made with these columns in this order: first all columns,
then what maps, lists and structs hold. A number never changes: columns that come later stand last in the schema, and
are counted on from there.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import count
from typing import Any

import pyarrow as pa

from whowas.schema import table_schema

FIRST = 112
"""So many columns there are when numbers are first given: with the first release this stays as it is."""
KEY = b"PARQUET:field_id"


@cache
def field_ids() -> dict[str, int]:
    """Return the number of each column and of what is in it, by path: `src_labels.value`, `vlan.element`."""
    known, number = dict[str, int](), count(1)
    fields = list(table_schema())
    for some in (fields[:FIRST], *([one] for one in fields[FIRST:])):
        known |= {one.name: next(number) for one in some}
        for one in some:
            _inner(one.name, one.type, known, number)
    return known


def _inner(path: str, kind: Any, known: dict[str, int], number: Any) -> None:
    """Number what is in a column: siblings first, then what is in each."""
    held = {f"{path}.{name}": field.type for name, field in _held(kind).items()}
    known |= {one: next(number) for one in held}
    for one, inside in held.items():
        _inner(one, inside, known, number)


def _held(kind: Any) -> dict[str, Any]:
    if pa.types.is_map(kind):
        return {"key": kind.key_field, "value": kind.item_field}
    if pa.types.is_list(kind):
        return {"element": kind.value_field}
    if pa.types.is_struct(kind):
        return {field.name: field for field in (kind.field(place) for place in range(kind.num_fields))}
    return {}


# To number one takes as long as to encode a thousand rows, and the files of a stream are small.
@lru_cache(maxsize=16)
def numbered(schema: Any) -> Any:
    """Return a schema without metadata with the numbers of its columns, as Arrow's Parquet writer looks for them."""
    return pa.schema([_numbered(one, one.name) for one in schema])


def _numbered(field: Any, path: str) -> Any:
    inside = {name: _numbered(one, f"{path}.{name}") for name, one in _held(field.type).items()}
    kind = field.type
    if pa.types.is_map(kind):
        kind = pa.map_(inside["key"], inside["value"])
    elif pa.types.is_list(kind):
        kind = pa.list_(inside["element"])
    elif pa.types.is_struct(kind):
        kind = pa.struct(list(inside.values()))
    known = field_ids().get(path)
    told = dict(field.metadata or {}) | ({} if known is None else {KEY: str(known).encode()})
    return pa.field(field.name, kind, field.nullable, told or None)

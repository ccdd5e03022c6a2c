"""Rules and flows for tests: YAML text around a detection, and rows as batches."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pyarrow as pa

from whowas.schema import named_schema, table_schema


def rule(detection: str, number: int = 1, more: str = "", name: str | None = None) -> str:
    """A rule around the lines of a detection, which must be indented."""
    return (
        f"title: Rule {number}\nid: {uuid.UUID(int=number)}\nname: {name or f'rule-{number}'}\ntaxonomy: whowas\n"
        f"level: low\nlogsource: {{category: network_flow, product: kubernetes}}\n{more}detection:\n{detection}\n"
    )


def correlation(body: str, number: int = 50, more: str = "") -> str:
    """A correlation around its lines, which must be indented."""
    return (
        f"title: Correlation {number}\nid: {uuid.UUID(int=number)}\nname: correlation-{number}\ntaxonomy: whowas\n"
        f"level: high\n{more}correlation:\n{body}\n"
    )


def filed(folder: Path, *texts: str, name: str = "rules.yml") -> Path:
    """A file of documents."""
    path = folder / name
    path.write_text("---\n".join(texts), encoding="utf-8")
    return path


def spelt(value: Any) -> str:
    """A value as YAML in one line, every odd character escaped, so that nothing is read in another way."""
    if isinstance(value, str):
        return '"' + "".join(_character(one) for one in value) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{spelt(key)}: {spelt(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(spelt(one) for one in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _character(one: str) -> str:
    plain = one.isascii() and one.isprintable() and one not in '"\\'
    return one if plain else f"\\U{ord(one):08x}"


def sixteen(address: str | None) -> bytes | None:
    """An address as the 16 bytes of the columns."""
    if address is None:
        return None
    found = ip_address(address)
    return bytes(10) + b"\xff\xff" + found.packed if found.version == 4 else found.packed


def flat(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a RecordBatch of table_schema; what a row does not say is null, 16 bytes come from the text."""
    whole = [{**row, **{f"{side}_ip16": sixteen(row.get(f"{side}_ip")) for side in ("src", "dst")}} for row in rows]
    arrays = [_array([row.get(one.name) for row in whole], one.type) for one in table_schema()]
    return pa.RecordBatch.from_arrays(arrays, schema=table_schema())


def _array(values: list[Any], kind: Any) -> Any:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    if pa.types.is_map(kind):
        values = [None if one is None else list(one.items()) for one in values]
    return pa.array(values, kind)


def named(batch: Any) -> Any:
    """A batch of table_schema as one of named_schema: maps and lists dictionary-encoded, some words standing twice."""
    arrays = []
    for one in named_schema():
        column = batch[one.name]
        if pa.types.is_dictionary(one.type) and not pa.types.is_dictionary(column.type):
            places = pa.array(range(len(column)), pa.int32(), mask=column.is_null().to_numpy(zero_copy_only=False))
            column = pa.DictionaryArray.from_arrays(places, column)
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=named_schema())

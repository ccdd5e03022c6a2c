"""The names that rules have for what a flow holds: the columns, and `src_labels.KEY` for one label."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from detect.conditions.sql_literals import text_literal
from whowas import schema

TEXT, ADDRESS, NUMBER, FLAG, TIME, TEXTS, NUMBERS = "text", "address", "number", "flag", "time", "texts", "numbers"
"""Kinds of fields. An address is text; texts and numbers are lists, of which one element is enough."""

RANGED = {"src_ip": "src_ip16", "dst_ip": "dst_ip16"}
"""Addresses that have a twin of 16 bytes, which ranges are compared with."""

_ADDRESSES = {f"{side}{what}" for side in ("src", "dst") for what in ("_ip", "_nat_ip")} | {
    "outer_src_ip",
    "outer_dst_ip",
}
_ENDS = ("src", "dst")
_WORDS = {
    **{f"{side}_confidence": schema.CONFIDENCES for side in _ENDS},
    **{f"{side}_kind": schema.KINDS for side in _ENDS},
    "end_reason": schema.END_REASONS,
    "initiator_basis": schema.INITIATOR_BASES,
    "directionality": schema.DIRECTIONALITIES,
    "direction": ("internal", "inbound", "outbound", "external"),
    "counter_layer": schema.COUNTER_LAYERS,
    "time_basis": schema.TIME_BASES,
    "encrypted": schema.ENCRYPTED,
}


@dataclass(frozen=True)
class Field:
    """One thing that a rule can ask for.

    column: of whowas.schema.table_schema. key: of a label, else None. kind: one of the kinds above. words: all that
    the column can hold, where that is a closed list. most: as whowas.schema.Column has it.
    """

    name: str
    column: str
    kind: str
    key: str | None = None
    words: tuple[str, ...] = ()
    most: int = 0

    @property
    def sql(self) -> str:
        """The field as SQL over the columns of a flow."""
        return self.column if self.key is None else f"{self.column}[{text_literal(self.key)}]"


def _kind(column: schema.Column) -> str | None:
    kind = column.type
    if column.name in _ADDRESSES:
        return ADDRESS
    if pa.types.is_list(kind):
        return None if pa.types.is_struct(kind.value_type) else TEXTS if kind.value_type == pa.string() else NUMBERS
    if pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return FLAG if pa.types.is_boolean(kind) else TIME
    if pa.types.is_map(kind) or pa.types.is_fixed_size_binary(kind):
        return None
    return NUMBER if pa.types.is_integer(kind) else TEXT


@cache
def fields() -> dict[str, Field]:
    """Return every field but labels, by name."""
    kinds = {one: _kind(one) for one in schema.COLUMNS}
    return {
        one.name: Field(one.name, one.name, kind, words=_WORDS.get(one.name, ()), most=one.most)
        for one, kind in kinds.items()
        if kind
    }


def field(name: str) -> Field | None:
    """Return what a rule means by a name, or None if flows have no such thing."""
    for column in ("src_labels", "dst_labels"):
        if name.startswith(column + ".") and len(name) > len(column) + 1:
            return Field(name, column, TEXT, key=name[len(column) + 1 :])
    return fields().get(name)


def advice(name: str) -> str:
    """Say what may have been meant by a name that is no field."""
    if name in ("src_labels", "dst_labels"):
        return f"name one label, as in {name}.app"
    if name in ("src_ip16", "dst_ip16"):
        return f"compare {name[:-2]}, with |cidr for a range"
    near = difflib.get_close_matches(name, fields(), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "`whowas schema` lists the columns"

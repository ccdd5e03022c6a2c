"""The values of flows as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from whowas.timestamps import moment_us, rfc3339

LABELS = ("src_labels", "dst_labels")


def as_text(value: Any) -> str | None:
    """Return a value of a column as findings show it and as it is hashed; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return rfc3339(moment_us(value))
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(value)


def text_of(flow: Mapping[str, Any], column: str) -> str | None:
    """Return what a flow (a row of table_schema as a dict) says in a column or under a label `src_labels.KEY`."""
    base, _, key = column.partition(".")
    if key and base in LABELS:
        return as_text((flow.get(base) or {}).get(key))
    return as_text(flow.get(column))

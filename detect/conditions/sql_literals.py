"""Text from rules, sites and labels as SQL: the one place where such text becomes part of a statement."""

from __future__ import annotations

import re

# What would move a terminal's cursor, or turn the order of letters around, when somebody looks at the SQL.
_UNSEEN = re.compile("([\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff])")


def text_literal(text: str) -> str:
    """Write a text as a SQL literal, whatever it holds; control characters as chr(n)."""
    parts = [one for one in _UNSEEN.split(text) if one]
    if len(parts) < 2 and not _UNSEEN.match(text):
        return _quoted(text)
    return "(" + " || ".join(f"chr({ord(one)})" if _UNSEEN.match(one) else _quoted(one) for one in parts) + ")"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def bytes_literal(raw: bytes) -> str:
    """Write bytes as a SQL literal."""
    return "'" + "".join(f"\\x{one:02X}" for one in raw) + "'::BLOB"

"""Takes a SQL text apart before it runs: one statement that reads, and nothing that could write or reach out.

DuckDB alone is no sandbox: what it may read it may overwrite, and COPY hides in a WITH as well as in an EXPLAIN. So
the text's own tree is looked at, and what is not known to read only is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from whowas.errors import ConfigError

TEXT_MOST = 1 << 20
QUERIES = frozenset(("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"))
TABLE_FUNCTIONS = frozenset((
    "unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree", "histogram",
    "histogram_values", "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_settings", "duckdb_tables",
    "duckdb_types", "duckdb_views", "pragma_table_info",
))  # fmt: skip
READS = "a query reads the tables flows, holds and evidence, and no files"
_EXPLAIN = re.compile(r"\s*EXPLAIN\b(\s+ANALYZE\b)?(\s*\(\s*(ANALYZE|FORMAT\s+\w+|[\s,])*\))?", re.IGNORECASE)


@dataclass
class Statement:
    """One statement. tables, functions: what it names, in lower case."""

    text: str
    tables: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def read(link: Any, text: str) -> Statement:
    """Look at a text. Raises: ConfigError when it is empty, several statements, no SQL, or does more than read."""
    if "\0" in text or len(text) > TEXT_MOST:
        why = "there is a NUL in it" if "\0" in text else f"it is longer than {TEXT_MOST >> 20} MB"
        raise ConfigError(f"cannot run the query: {why}; give one SQL statement")
    found = Statement(text)
    inner = text[explain.end() :] if (explain := _EXPLAIN.match(text)) else text
    try:
        tree = json.loads(link.execute("SELECT json_serialize_sql(?::VARCHAR)", [inner]).fetchall()[0][0])
    except (RecursionError, UnicodeEncodeError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "it is not text"
        raise ConfigError(f"cannot run the query: {why}; give one SQL statement") from error
    if tree["error"]:
        raise ConfigError(_why_none(inner, tree))
    _refuse_several(len(tree["statements"]))
    _walk(tree["statements"], found)
    return found


def _refuse_several(count: int) -> None:
    if not count:
        raise ConfigError('cannot run the query: it is empty; ask, say, "FROM flows LIMIT 5"')
    if count > 1:
        raise ConfigError(f"cannot run the query: these are {count} statements; give one a call")


def _why_none(text: str, told: dict[str, Any]) -> str:
    if told["error_type"] != "not implemented":
        return f"cannot run the query: {told['error_message']}{_pointed(text, told.get('position'))}"
    word = (re.findall(r"[A-Za-z]+", re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)) or ["this"])[0].upper()
    if word in ("SET", "RESET"):
        return (
            f"cannot run {word}: a setting would end with this one statement; "
            "for the zone in which times are shown and reckoned say --tz ZONE"
        )
    if word == "PIVOT":
        return "cannot run this PIVOT: say which values become columns, as in PIVOT flows ON protocol IN ('tcp', 'udp')"
    return f"cannot run {word}: {READS}; begin with SELECT, FROM, WITH, DESCRIBE, SUMMARIZE or EXPLAIN"


def _pointed(text: str, position: str | None) -> str:
    """The line in which the parser stopped, with a mark below the place."""
    if position is None or not position.isdigit():
        return ""
    # Bytes are counted.
    before = text.encode()[: int(position)].decode(errors="ignore")
    line = text.splitlines()[before.count("\n")] if text.splitlines() else ""
    column = len(before) - before.rfind("\n") - 1
    if len(line) > 200:
        return ""
    return f"\n  {line}\n  {' ' * column}^"


def _walk(tree: Any, found: Statement) -> None:
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            _look(one, found)
            waiting.extend(one.values())


def _look(one: dict[str, Any], found: Statement) -> None:
    kind = one.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in QUERIES:
        raise ConfigError(f"cannot run {kind.split('_')[0]} within a query: {READS}, and writes nothing")
    if kind == "TABLE_FUNCTION":
        called = one.get("function", {}).get("function_name", "")
        if called.lower() not in TABLE_FUNCTIONS:
            raise ConfigError(f"cannot call {called}() in FROM: {READS}")
    if kind == "BASE_TABLE":
        found.tables.add(str(one.get("table_name", "")).lower())
    if "function_name" in one:
        found.functions.add(str(one["function_name"]).lower())

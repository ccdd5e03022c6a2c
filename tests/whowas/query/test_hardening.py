"""A query reads the flows it is given and nothing else, and writes nothing, wherever it hides."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import rows as made_up

from sinks.flows.parquet import ParquetSink
from whowas.errors import ConfigError
from whowas.query import database
from whowas.query.sql import ask


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flows")
    sink = ParquetSink(folder, "aa")
    sink.check()
    sink.write(made_up.batch(30, 1))
    sink.close()
    return folder


REACHING = (
    "FROM read_csv('/etc/passwd')", "FROM read_text('/etc/passwd')", "FROM read_blob('{flows}/../*')",
    "FROM parquet_metadata('/etc/passwd')", "FROM sniff_csv('/etc/passwd')", "FROM glob('/etc/*')",
    "FROM '/etc/passwd'", "FROM '{flows}/**/*.parquet'", "FROM read_parquet('http://127.0.0.1:9/a.parquet')",
    "ATTACH '{out}.db'", "ATTACH ':memory:' AS m", "COPY flows TO '{out}'", "COPY (SELECT 1) TO '{file}' (FORMAT csv)",
    "COPY (SELECT 1) TO '{file}' (FORMAT csv, USE_TMP_FILE false)", "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{file}'", "EXPORT DATABASE '{out}'",
    "WITH x AS (COPY (SELECT 1) TO '{file}') SELECT 1", "SELECT (WITH x AS (COPY (SELECT 1) TO '{file}') SELECT 1)",
    "FROM query('WITH x AS (COPY (SELECT 1) TO ''{file}'') SELECT 1')", "FROM query_table('/etc/passwd')",
    "FROM json_execute_serialized_sql('{{}}')", "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL spatial",
    "IMPORT DATABASE '/etc'", "CREATE TABLE t AS SELECT 1", "CREATE SECRET (TYPE s3)", "CREATE MACRO m(a) AS a",
    "PRAGMA enable_profiling", "SET enable_external_access = true", "RESET allowed_paths", "CALL pragma_version()",
    "VACUUM", "CHECKPOINT", "PREPARE x AS SELECT 1", "DROP VIEW flows", "DELETE FROM flows", "USE memory",
)  # fmt: skip


@pytest.mark.parametrize("sql", REACHING)
def test_nothing_else_is_read_and_nothing_is_written(flows: Path, tmp_path: Path, sql: str) -> None:
    folder = Path(shutil.copytree(flows, tmp_path / "flows"))
    file = next(folder.rglob("*.parquet"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"^cannot "):
        ask(sql.format(flows=folder, out=tmp_path / "out", file=file), folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


WITHIN = (
    "CREATE T", "CREATE M", "CALL", "VACUUM", "CHECK", "PREP", "DROP", "USE", "FROM '{flows}", "ATTACH ':m",
    "PRAGMA",
)  # fmt: skip
"""What stays within DuckDB's own memory, or within what it may read."""


@pytest.mark.parametrize("sql", [sql for sql in REACHING if "{file}" not in sql and not sql.startswith(WITHIN)])
def test_even_without_a_look_at_the_text_little_can_be_reached(flows: Path, sql: str) -> None:
    """What DuckDB itself refuses, should the look at the text ever miss something."""
    import duckdb

    with database.Database(flows) as found:
        found.lock()
        with pytest.raises(duckdb.Error):
            found.link.sql(sql.format(flows=flows, out="/nowhere/out", file="")).fetchall()

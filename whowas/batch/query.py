"""SQL on named flows: DuckDB over the Parquet files of a replay, with one view `flows`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from whowas.errors import ConfigError, InputError
from whowas.schema import PARTITIONS

DUCKDB = {pa.string(): "VARCHAR", pa.int64(): "BIGINT"}


def connect(folder: str | os.PathLike[str]) -> Any:
    """Open the files below `folder` as a view `flows`. Times are UTC, nothing is downloaded.

    Raises: InputError when there are no flows there.
    """
    import duckdb

    where = Path(folder)
    if not where.exists():
        raise InputError(f"cannot read flows '{where}': no such folder; make them with 'whowas replay … --out {where}'")
    files = where if where.is_file() else where / "**" / "*.parquet"
    first = where if where.is_file() else next(where.rglob("*.parquet"), None)
    if first is None:
        raise InputError(f"cannot read flows '{where}': no Parquet file in it; name the --out of a replay")
    link = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    link.execute("SET TimeZone = 'UTC'")
    quoted = str(files).replace("'", "''")
    told = f"hive_partitioning = true, union_by_name = true{_types(first)}"
    try:
        link.execute(f"CREATE VIEW flows AS FROM read_parquet('{quoted}', {told})")
    except duckdb.Error as error:
        raise InputError(f"cannot read flows '{where}': {error}; are these files of a replay?") from error
    return link


def _types(file: Path) -> str:
    """Say what the values in folders' names are. DuckDB refuses types of folders that are not there."""
    keys = {one.partition("=")[0] for one in file.parent.parts if "=" in one}
    types = [f"{name}: {DUCKDB[kind]}" for name, kind in PARTITIONS.items() if name in keys]
    return f", hive_types = {{{', '.join(types)}}}" if types else ""


def ask(folder: str | os.PathLike[str], sql: str) -> Any:
    """Run one statement on the flows. Returns: a pyarrow Table. Raises: ConfigError with DuckDB's words."""
    import duckdb

    link = connect(folder)
    try:
        result = link.sql(sql)
        # Statements that give no rows (SET, CREATE) give no relation either.
        return pa.table({}) if result is None else result.to_arrow_table()
    except duckdb.Error as error:
        raise ConfigError(f"cannot run the query: {error}; 'whowas schema' lists the columns") from error
    finally:
        link.close()

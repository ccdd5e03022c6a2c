"""SQL on named flows: DuckDB over the Parquet files of a replay, with one view `flows`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from whowas.errors import ConfigError, InputError


def connect(folder: str | os.PathLike[str]) -> Any:
    """Open the files below `folder` as a view `flows`. Times are UTC, nothing is downloaded.

    Raises: InputError when there are no flows there.
    """
    import duckdb

    where = Path(folder)
    if not where.exists():
        raise InputError(f"cannot read flows '{where}': no such folder; make them with 'whowas replay … --out {where}'")
    files = where if where.is_file() else where / "**" / "*.parquet"
    if where.is_dir() and not any(where.rglob("*.parquet")):
        raise InputError(f"cannot read flows '{where}': no Parquet file in it; name the --out of a replay")
    link = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    link.execute("SET TimeZone = 'UTC'")
    quoted = str(files).replace("'", "''")
    try:
        link.execute(
            f"CREATE VIEW flows AS FROM read_parquet('{quoted}', hive_partitioning = true, union_by_name = true)"
        )
    except duckdb.Error as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"cannot read flows '{where}': {why}; are these files of a replay?") from error
    return link


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

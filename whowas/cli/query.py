"""`whowas query`: SQL on named flows."""

from __future__ import annotations

import sys
from typing import Any

import click

from whowas.cli.options import flows_option, history_option
from whowas.cli.terminal import error

SQL_MOST = 1 << 20


@click.command(short_help="Ask named flows in SQL.")
@click.argument("sql", required=False)
@flows_option(multiple=True, required=False)
@history_option("Makes the tables holds and evidence: a store, or files, folders and globs of evidence.")
@click.option("--file", "path", type=click.Path(), metavar="FILE", help="Read the SQL from a file.")
@click.option("--cluster", metavar="NAME", help="Name for evidence that carries none.")
@click.option("--tz", default="UTC", show_default=True, metavar="ZONE", help="Zone in which times are shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV; cells that a spreadsheet would run get a leading '.")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Rows shown in a table.")
@click.pass_context
def command(ctx: click.Context, /, sql: str | None, **told: Any) -> None:
    """Ask named flows in SQL (DuckDB). The view is called flows; `whowas schema` lists its columns.

    \b
    Example:
      whowas query "SELECT src_workload, dst_workload, sum(bytes_out) FROM flows GROUP BY ALL" --flows named

    SQL is one statement that reads; - or a pipe means standard input. With -H there are two tables more: holds says
    who held which address when, evidence what the cluster said. ip_in(src_ip16, '10.0.0.0/8') asks for a range.
    A query reads what is named here, and no other file.
    """
    from whowas.query.sql import Query

    if told["as_json"] and told["as_csv"]:
        raise click.UsageError("--json and --csv do not go together: choose one")
    if not told["flows"] and not told["history"]:
        raise click.UsageError("Missing option '--flows' (or WHOWAS_FLOWS): where a replay wrote flows")
    statement = _statement(sql, told["path"])
    with Query(statement, told["flows"], told["history"], zone=told["tz"], cluster=told["cluster"]) as query:
        _print(query, told)
        unreadable = query.unreadable
    for path, why in unreadable[:5]:
        error(f"{path}: {why}")
    ctx.exit(1 if unreadable else 0)


def _statement(sql: str | None, path: str | None) -> str:
    """The text: the argument, a file's, or standard input's."""
    from whowas.errors import ConfigError

    if sql is not None and path is not None:
        raise click.UsageError("SQL and --file do not go together: choose one")
    if path is None and sql not in (None, "-"):
        return str(sql)
    if path is None and sql is None and sys.stdin.isatty():
        raise click.UsageError("Missing argument 'SQL': ask, say, \"FROM flows LIMIT 5\"; or give --file, or a pipe")
    try:
        if path is not None and path != "-":
            with open(path, "rb") as handle:
                raw = handle.read(SQL_MOST + 1)
        else:
            raw = sys.stdin.buffer.read(SQL_MOST + 1)
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read SQL from '{path}': {error.strerror}; check the file") from error
    except UnicodeDecodeError as error:
        where = "standard input" if path in (None, "-") else f"'{path}'"
        raise ConfigError(f"cannot read SQL from {where}: byte {error.start:,} is no UTF-8; save it as text") from error


def _print(query: Any, told: dict[str, Any]) -> None:
    from whowas.cli.rows import print_csv, print_json_lines, print_table, values

    names, rows = query.schema.names, values(query.batches())
    if told["as_json"]:
        print_json_lines(names, rows)
    elif told["as_csv"]:
        print_csv(names, rows)
    else:
        print_table(names, rows, [_numeric(kind) for kind in query.schema.types], told["limit"])


def _numeric(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))

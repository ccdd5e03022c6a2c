"""`whowas query`: SQL on named flows."""

from __future__ import annotations

import sys
from typing import Any

import click

from whowas.cli.terminal import clean, console, plural, print_csv, print_json


@click.command(short_help="Ask named flows in SQL.")
@click.argument("sql")
@click.option("-f", "--flows", required=True, type=click.Path(), metavar="DIR", help="Where a replay wrote flows.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object a row.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV; cells that a spreadsheet would run get a leading '.")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Rows shown in a table.")
def command(sql: str, flows: str, form: str | None, limit: int) -> None:
    """Ask named flows in SQL (DuckDB). The view is called flows; `whowas schema` lists its columns.

    \b
    Example:
      whowas query "SELECT src_workload, dst_workload, sum(bytes_out) FROM flows GROUP BY ALL" --flows named
    """
    from whowas.batch.query import ask

    table = ask(flows, sql)
    if form == "json":
        _print_json(table)
    elif form == "csv":
        _print_csv(table)
    else:
        _print_table(table, limit)


def _rows(table: Any) -> Any:
    """Rows as plain values, a batch at a time."""
    from sinks.flows.jsonl import rows

    for batch in table.to_batches(max_chunksize=4096):
        yield from rows(batch)


def _print_json(table: Any) -> None:
    for row in _rows(table):
        print_json(row, line=True)


def _cell(value: Any) -> Any:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if numeric else _text(value)


def _print_csv(table: Any) -> None:
    print_csv([table.column_names])
    print_csv([_cell(value) for value in row.values()] for row in _rows(table))


def _text(value: Any) -> str:
    """One value for people: labels as k=v, lists with commas, candidates by name."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{name}={_text(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _print_table(table: Any, limit: int) -> None:
    screen = console()
    rows = [{name: clean(_text(value)) for name, value in row.items()} for row in _rows(table.slice(0, limit))]
    names = table.column_names
    wide = {name: max([len(clean(name)), *(len(row[name]) for row in rows)]) for name in names}
    room = screen.width if sys.stdout.isatty() else 400
    if len(names) > 1 and sum(wide.values()) + 2 * len(names) > room:
        _print_upright(rows, names, screen)
    else:
        _print_flat(rows, names, wide, table, screen)
    if table.num_rows > limit:
        screen.print(f"… {plural(table.num_rows - limit, 'row')} more; --limit shows them, --json and --csv print all")


def _numeric(table: Any) -> set[str]:
    import pyarrow as pa

    return {f.name for f in table.schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)}


def _print_flat(rows: list[dict[str, str]], names: list[str], wide: dict[str, int], table: Any, screen: Any) -> None:
    """One line a row, numbers to the right."""
    from rich.text import Text

    right = _numeric(table)
    sides = {name: ">" if name in right else "<" for name in names}
    screen.print(Text("  ".join(f"{clean(name):{sides[name]}{wide[name]}}" for name in names), style="bold"))
    for row in rows:
        screen.print("  ".join(f"{row[name]:{sides[name]}{wide[name]}}" for name in names).rstrip())
    screen.print(f"({plural(table.num_rows, 'row')})")


def _print_upright(rows: list[dict[str, str]], names: list[str], screen: Any) -> None:
    """One line a value, empty ones left out: what does not fit the screen's width."""
    from rich.text import Text

    wide = max(len(name) for name in names)
    for number, row in enumerate(rows, 1):
        screen.print(Text(f"row {number}", style="bold"))
        for name in names:
            if row[name]:
                screen.print(f"  {clean(name):<{wide}}  {row[name]}", soft_wrap=True)

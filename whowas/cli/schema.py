"""`whowas schema`: every column with type, unit and meaning."""

from __future__ import annotations

import click
import pyarrow as pa

from whowas.cli.terminal import console, echo, print_json
from whowas.schema import ADDRESS, CANDIDATE, COLUMNS, LABELS, NUMBER, TIME, WORD, Column

NAMES = {
    WORD: "text",
    TIME: "timestamp",
    ADDRESS: "binary(16)",
    LABELS: "map of text to text",
    pa.list_(CANDIDATE): "list of structs",
    pa.list_(pa.string()): "list of text",
    pa.list_(NUMBER): "list of int32",
    pa.string(): "text",
}


def type_name(column: Column) -> str:
    """The type as people say it."""
    return NAMES.get(column.type, str(column.type))


@click.command(short_help="Print every column.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.option("--markdown", is_flag=True, help="Print the table of docs/reference/schema.md.")
def command(as_json: bool, markdown: bool) -> None:
    """Print every column of named flows with type, unit and meaning.

    \b
    Example:
      whowas schema
    """
    rows = [(one.name, type_name(one), one.unit, one.meaning) for one in COLUMNS]
    if as_json:
        print_json([dict(zip(("name", "type", "unit", "meaning"), row, strict=True)) for row in rows])
    elif markdown:
        echo("| column | type | unit | meaning |")
        echo("|---|---|---|---|")
        for row in rows:
            echo("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    else:
        wide = [max(len(row[i]) for row in rows) for i in range(2)]
        for name, kind, unit, meaning in rows:
            text = f"{meaning} ({unit})" if unit else meaning
            console().print(f"{name:<{wide[0]}}  {kind:<{wide[1]}}  {text}", soft_wrap=True)

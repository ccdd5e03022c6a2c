"""Formats terminal output: escaped, separated, coloured only where a person looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from whowas.safe_text import clean as clean
from whowas.safe_text import size as size

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {
    "exact": "green",
    "likely": "green",
    "service": "cyan",
    "node": "cyan",
    "external": "blue",
    "snat": "yellow",
    "ambiguous": "yellow",
    "none": "magenta",
    "unknown": "red",
}


def between(first: int | None, last: int | None) -> str:
    """An interval for people, in whole seconds, UTC."""
    from whowas.timestamps import spell

    return f"{spell(first or 0, digits=0).removesuffix(' UTC')} .. {spell(last or 0, digits=0)}"


def rate(count: float) -> str:
    """Packets a second for people."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count:.0f}"


def console(err: bool = False) -> Console:
    """A console that colours only on a terminal; NO_COLOR is honoured, width is the terminal's."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, highlight=False, markup=False, soft_wrap=not stream.isatty())


def wants_progress(quiet: bool, json: bool) -> bool:
    """Progress is for a person at a terminal."""
    return not quiet and not json and sys.stderr.isatty()


def bars() -> Any:
    """Bars for people, one an input: name, how much, what was read, how long it will take."""
    from rich import progress as rich

    return rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=24),
        rich.TaskProgressColumn(),
        rich.TextColumn("{task.fields[read]}"),
        rich.TimeRemainingColumn(compact=True),
        console=console(err=True),
    )


def print_json(value: Any) -> None:
    """One object on standard output."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None, default=str))


def plural(count: int, noun: str) -> str:
    """`1 file`, `6 files`, `12,431 packets`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

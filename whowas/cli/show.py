"""How things look on a terminal and in text: escaped, separated, coloured only where a person looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

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
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def clean(value: Any) -> str:
    """Make text from the cluster safe to print: control characters and direction marks become escapes.

    Labels and names are written by whoever may create a pod; a terminal obeys what it is sent.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def size(count: float) -> str:
    """Bytes for people, powers of 1000 as disks and links count."""
    for unit in UNITS:
        if abs(count) < 1000 or unit == UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def between(first: int | None, last: int | None) -> str:
    """An interval for people, in whole seconds, UTC."""
    from whowas.moments import spell

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


def print_json(value: Any) -> None:
    """One object on standard output."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None, default=str))


def plural(count: int, noun: str) -> str:
    """`1 file`, `6 files`, `12,431 packets`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

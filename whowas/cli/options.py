"""Options that several commands have, said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

FLOWS_VARIABLE = "WHOWAS_FLOWS"


def flows_option(*, multiple: bool = False, required: bool = True) -> Callable[[Command], Command]:
    """Add -f/--flows: where named flows lie; WHOWAS_FLOWS stands in for it. multiple: several, joined."""
    several = "; several are joined, and globs opened" if multiple else ""
    return click.option(
        "-f",
        "--flows",
        multiple=multiple,
        required=required,
        type=click.Path(),
        metavar="DIR",
        envvar=FLOWS_VARIABLE,
        show_envvar=True,
        help=f"Where a replay wrote flows{several}.",
    )

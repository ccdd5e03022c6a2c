"""Options that several commands have: the same words, the same help, the same defaults from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
HISTORY = "WHOWAS_HISTORY"
FLOWS = "WHOWAS_FLOWS"


class _Paths(click.types.StringParamType):
    """Text; several in a variable stand between colons, as in PATH (semicolons on Windows)."""

    name = "text"
    envvar_list_splitter = os.pathsep


def history_option(
    help: str = "Evidence: a store, or files, folders, globs; FILE@TIME says when a list was taken.",
    *,
    metavar: str = "HISTORY",
    multiple: bool = True,
) -> Callable[[Command], Command]:
    """Return -H/--history; without it WHOWAS_HISTORY counts."""
    return click.option(
        "-H", "--history", multiple=multiple, metavar=metavar, help=help, type=_Paths(), envvar=HISTORY,
        show_envvar=True,
    )  # fmt: skip


def read_back(option: str, at: str) -> int:
    """Read a moment that an option gives, us; how a number was taken is said on standard error."""
    from whowas.cli.terminal import error
    from whowas.timestamps import read_moment

    moment = read_moment(at)
    if moment.unit:
        error(f"{option} {moment.read_back(at)}")
    return moment.us


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
        envvar=FLOWS,
        show_envvar=True,
        help=f"Where a replay wrote flows{several}.",
    )

"""The commands of a command line, as a user spells them."""

from __future__ import annotations

from collections.abc import Iterator

import click


def every_command(commands: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield (words, command) of each command that does something, groups walked."""
    for name in commands.list_commands(click.Context(commands)):
        one = commands.get_command(click.Context(commands), name)
        assert one is not None
        if isinstance(one, click.Group):
            yield from every_command(one, f"{before}{name} ")
        else:
            yield f"{before}{name}", one

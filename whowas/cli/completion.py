"""`whowas completion`: shell completion."""

from __future__ import annotations

import click

from whowas.cli.terminal import echo

LINES = {
    "bash": 'eval "$(_WHOWAS_COMPLETE=bash_source whowas)"',
    "zsh": 'eval "$(_WHOWAS_COMPLETE=zsh_source whowas)"',
    "fish": "_WHOWAS_COMPLETE=fish_source whowas | source",
}


@click.command(short_help="Switch on shell completion.")
@click.argument("shell", type=click.Choice(sorted(LINES)))
def command(shell: str) -> None:
    """Print the line that switches completion on; put it into your shell's start file.

    \b
    Example:
      whowas completion bash >> ~/.bashrc
    """
    echo(LINES[shell])

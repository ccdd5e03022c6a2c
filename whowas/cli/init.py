"""`whowas init`: files to begin with."""

from __future__ import annotations

import os

import click

from whowas.cli.terminal import clean, console, print_json


@click.command(short_help="Write files to begin with: settings, lists, a rule.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(folder: str, as_json: bool) -> None:
    """Write files to begin with: whowas.toml, site.toml, networks.toml, silences.toml, and a rule with its tests.

    \b
    Example:
      whowas init my-place

    Every setting stands in them with its meaning and its default. What is there already is never overwritten.
    """
    from whowas.templates import write_templates

    written = write_templates(folder)
    if as_json:
        print_json({"folder": folder, "written": written.new, "kept": written.kept})
        return
    screen = console()
    for name in written.new:
        screen.print(f"wrote  {clean(os.path.join(folder, name))}")
    for name in written.kept:
        screen.print(f"kept   {clean(os.path.join(folder, name))} (it was there)")
    into = "" if folder == "." else f"cd {clean(folder)}; "
    for line in (
        f"next   {into}whowas rules test rules        the example rule, on its own cases",
        "       whowas watch --check                 whether this kubeconfig may record",
        "       whowas watch --history cluster.db    who holds which address, from now on",
        "       edit whowas.toml: [input] topics, [kafka.options]; then",
        "       whowas doctor -c whowas.toml         what is installed, reachable and permitted",
        "       whowas stream --config whowas.toml   name flows as they come, and judge them",
    ):
        screen.print(line)

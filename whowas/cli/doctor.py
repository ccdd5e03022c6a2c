"""`whowas doctor`: what is installed, reachable, permitted, and how fresh."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from whowas.cli.options import history_option
from whowas.cli.terminal import clean, console, print_json

if TYPE_CHECKING:
    from whowas.checkup import Finding

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
WIDE = 14


@click.command(short_help="Say what is installed, reachable, permitted and how fresh.")
@history_option("A store, or evidence.")
@click.option("-c", "--config", metavar="FILE", default="", help="whowas.toml: all that it names is looked at.")
@click.option("--flows", metavar="DIR", default="", envvar="WHOWAS_FLOWS", help="A folder of named flows.")
@click.option("--kubeconfig", metavar="FILE", help="As kubectl takes it.")
@click.option("--context", metavar="NAME", help="A context of the kubeconfig.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=3.0, show_default=True, metavar="SECONDS",
    help="For each connection that is tried.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    ctx: click.Context, history: tuple[str, ...], config: str, flows: str, kubeconfig: str | None, context: str | None,
    timeout: float, as_json: bool,
) -> None:  # fmt: skip
    """Say what is installed, reachable, permitted and how fresh. Nothing is changed, and nothing is sent.

    \b
    Example:
      whowas doctor

    With --config all that the file names is looked at: brokers and topics, rights, lag, rules, receivers of alerts,
    folders, the history and the newest flow.

    Exit codes: 0 all is well; 1 there are warnings; 2 something fails.
    """
    from whowas.checkup import Asked, examined

    found: list[Finding] = []
    about = ""
    for one in examined(Asked(history, config, flows, kubeconfig, context, timeout)):
        found.append(one)
        if not as_json:
            if one.about != about:
                about = one.about
                console().print(about, style="bold")
            _print(one)
    counts = Counter(one.state for one in found)
    if as_json:
        states = {state: counts[state] for state in COLOURS}
        print_json({"states": states, "findings": [one.to_json() for one in found]})
    else:
        console().print(f"{counts['ok']} ok   {counts['warn']} warn   {counts['fail']} fail")
    ctx.exit(2 if counts["fail"] else 1 if counts["warn"] else 0)


def _print(one: Finding) -> None:
    screen = console()
    screen.print(f"  {one.state:<4}", style=COLOURS[one.state], end="")
    screen.print(f"  {clean(one.what):<{WIDE}}  {clean(one.detail)}", soft_wrap=True)
    if one.advice:
        screen.print(f"        {'':<{WIDE}}to do: {clean(one.advice)}", soft_wrap=True)

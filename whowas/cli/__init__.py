"""The front door: one module a command, imported when it is called."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import signal
import sys
from typing import Any

import click

from whowas.cli import terminal
from whowas.errors import WhowasError
from whowas.version import __version__

# name: (module, one line). The line stands here so that `whowas --help` imports no command.
COMMANDS = {
    "replay": ("whowas.cli.replay", "Name the flows of captures by who held each address at that moment."),
    "who": ("whowas.cli.who", "Say who held an address at a moment, or where a workload was."),
    "annotate": (
        "whowas.cli.annotate",
        "Put names beside the addresses of any log: JSON lines, tables, Zeek, syslog, text.",
    ),
    "history": (
        "whowas.cli.history",
        "Look after a recorded history: info, verify, export, import, compact, prune …",
    ),
    "flows": (
        "whowas.cli.flows",
        "Show named flows by words, without SQL: ends, ports, labels, times; or the top of them.",
    ),
    "query": ("whowas.cli.query", "Ask named flows in SQL."),
    "policy": ("whowas.cli.policy", "Was it allowed at that moment? What is isolated? What would policies have cut?"),
    "rules": ("whowas.cli.rules", "List, check, test and explain rules on named flows (Sigma)."),
    "backtest": ("whowas.cli.backtest", "Run rules over named flows of the past, and time each rule."),
    "watch": ("whowas.cli.watch", "Record a live cluster: who holds which address from now on."),
    "stream": ("whowas.cli.stream", "Name flow records from Kafka as they come, each once."),
    "serve": ("whowas.cli.serve", "Open a page over named flows, their history and their findings."),
    "report": (
        "whowas.cli.report",
        "Write one file for a ticket: flows, names, findings, how sure, what was not seen.",
    ),
    "compact": ("whowas.cli.compact", "Merge small files of named flows, beside readers and writers."),
    "prune": ("whowas.cli.prune", "Delete named flows of long ago, by whole hours."),
    "init": ("whowas.cli.init", "Write files to begin with: settings, lists, a rule with its tests."),
    "doctor": ("whowas.cli.doctor", "Say what is installed, reachable, permitted and how fresh; change nothing."),
    "schema": ("whowas.cli.schema", "Print every column with type, unit and meaning."),
    "completion": ("whowas.cli.completion", "Print the lines that switch on shell completion."),
}


class Commands(click.Group):
    """A group that knows its commands' names and loads one only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a new user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is asked for."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        _add_quiet(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name near matches for a word that is no command."""
        word = args[0]
        near = [] if word in COMMANDS else difflib.get_close_matches(word, COMMANDS, n=2, cutoff=0.5)
        if near:
            ctx.fail(f"No such command '{word}'. Did you mean {' or '.join(near)}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _add_quiet(command: click.Command) -> None:
    """Give -q to a command, and to those below it, where they have none of their own."""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _add_quiet(one)
    elif not any("--quiet" in one.opts for one in command.params):
        command.params.append(
            click.Option(
                ["-q", "--quiet"],
                is_flag=True,
                expose_value=False,
                callback=_quiet,
                help="Print the answer and errors alone.",
            )
        )


def _quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[terminal.QUIET] = value


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version with the facts a bug report needs."""
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version
    from platform import machine, python_version, system

    built = ", ".join(f"{name} {version(name)}" for name in ("numba", "pyarrow", "duckdb"))
    terminal.echo(f"whowas {__version__} (Python {python_version()}, {system()} {machine()}; {built})")
    ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 done but something was unreadable (listed), 2 usage or configuration.",
)
@click.option("--debug", is_flag=True, help="Show the stack trace of an error.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def group(ctx: click.Context, debug: bool) -> None:
    """Names every flow by the workload that held each address at that moment, and says how sure it is.

    \b
    Example:
      whowas replay samples/overlay/node1-bridge.pcap --history samples/overlay/history.jsonl.gz --out named
    """
    ctx.obj = {"debug": debug}


def _stopped(_signal: int, _frame: Any) -> None:
    """Leave by the same way as Ctrl-C, so that nothing half-written stays behind."""
    raise KeyboardInterrupt


class _WithoutPandas:
    """pyarrow imports pandas, where it is installed, to look at a first list: a quarter of a second for nothing."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("the command line does without pandas", name=fullname)


def _leave(code: int) -> None:
    """End the process without taking a history of a million objects apart first. All that lasts is closed by now."""
    for error in (False, True):
        with contextlib.suppress(ValueError, WhowasError, terminal.ReaderLeft):
            terminal.flush(error)
    os._exit(code)


def main() -> None:
    """Run the command line; turn a known error into one line and its exit code."""
    signal.signal(signal.SIGTERM, _stopped)
    sys.meta_path.insert(0, _WithoutPandas())
    terminal.take_over()
    try:
        code = _ran()
    except terminal.ReaderLeft:
        code = 141
    _leave(code)


def _ran() -> int:
    """Run the command, say what went wrong, return the exit code. Raises: ReaderLeft, what --debug wants to see."""
    try:
        code = group(standalone_mode=False)
        terminal.flush()
    except click.ClickException as error:
        terminal.usage_error(error)
        return 2
    except (KeyboardInterrupt, click.Abort):
        terminal.error("stopped; files that were finished stay valid, nothing half-written is left")
        return 130
    except (WhowasError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        return _told(error)
    return code if isinstance(code, int) else 0


def _told(error: WhowasError | OSError) -> int:
    """Say a known error; an OSError is what no room expected of its files: a mistake or a broken disk."""
    if isinstance(error, WhowasError):
        terminal.error(error.lines[0] if error.lines else "")
        for line in error.lines[1:]:
            terminal.echo(line, err=True)
        return error.exit_code
    what = f"'{error.filename}'" if error.filename is not None else "a file"
    terminal.error(f"cannot use {what}: {error.strerror or error}; --debug shows where")
    return 2

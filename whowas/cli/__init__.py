"""The front door: one module a command, imported when it is called."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.abc
import os
import signal
import sys
from typing import Any

import click

from whowas.errors import WhowasError
from whowas.safe_text import clean
from whowas.version import __version__

# name: (module, one line). The line stands here so that `whowas --help` imports no command.
COMMANDS = {
    "replay": ("whowas.cli.replay", "Name the flows of captures by who held each address at that moment."),
    "who": ("whowas.cli.who", "Say who held an address at a moment, or where a workload was."),
    "annotate": (
        "whowas.cli.annotate",
        "Put names beside the addresses of any log: JSON lines, tables, Zeek, syslog, text.",
    ),
    "history": ("whowas.cli.history", "Look after a recorded history: info, gaps, verify, export, import, prune."),
    "query": ("whowas.cli.query", "Ask named flows in SQL."),
    "rules": ("whowas.cli.rules", "List, check, test and explain rules on named flows (Sigma)."),
    "backtest": ("whowas.cli.backtest", "Judge named flows of the past by rules, and say what each rule costs."),
    "watch": ("whowas.cli.watch", "Record a live cluster: who holds which address from now on."),
    "stream": ("whowas.cli.stream", "Name flow records from Kafka as they come, each once."),
    "compact": ("whowas.cli.compact", "Merge small files of named flows, beside readers and writers."),
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


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version with the facts a bug report needs."""
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version
    from platform import machine, python_version, system

    built = ", ".join(f"{name} {version(name)}" for name in ("numba", "pyarrow", "duckdb"))
    click.echo(f"whowas {__version__} (Python {python_version()}, {system()} {machine()}; {built})")
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


class _WithoutPandas(importlib.abc.MetaPathFinder):
    """pyarrow imports pandas, where it is installed, to look at a first list: a quarter of a second for nothing."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("the command line does without pandas", name=fullname)


def _leave(code: int) -> None:
    """End the process without taking a history of a million objects apart first. All that lasts is closed by now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def main() -> None:
    """Run the command line; turn a known error into one line and its exit code."""
    signal.signal(signal.SIGTERM, _stopped)
    sys.meta_path.insert(0, _WithoutPandas())
    try:
        code = group(standalone_mode=False)
        sys.stdout.flush()
    except WhowasError as error:
        if "--debug" in sys.argv:
            raise
        # It may quote a file's own words.
        click.echo("whowas: " + "\n".join(map(clean, str(error).split("\n"))), err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("whowas: stopped; files that were finished stay valid, nothing half-written is left", err=True)
        code = 130
    except BrokenPipeError:
        # The reader of our output (head, less) has left: that is its right, and no error to talk about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        # What no room expected of its files: a mistake or a broken disk, no fault of the program.
        if "--debug" in sys.argv:
            raise
        why = error.strerror or error
        click.echo(f"whowas: cannot use '{error.filename or 'a file'}': {why}; --debug shows where", err=True)
        code = 2
    _leave(code if isinstance(code, int) else 0)

"""The one place that prints. Text for people is cleaned always; data is cleaned where it goes to a terminal.

On a terminal a control character, a direction mark or a line separator shows as an escape, whoever wrote it. A pipe or
a file gets data as it is. Colours come from rich's styles alone.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from whowas.errors import OutputError
from whowas.safe_text import clean as clean
from whowas.safe_text import clean_json, clean_lines, escape_surrogates, harmless
from whowas.safe_text import size as size

if TYPE_CHECKING:
    import click
    from rich.console import Console

# Where a context of click keeps that -q was given.
QUIET = "whowas.quiet"
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


class ReaderLeft(Exception):
    """The reader of our output (head, less) has left: that is its right, and no error to talk about.

    It is no BrokenPipeError: click and rich would end the process on one, each in its own way.
    """


class Standard(io.TextIOWrapper):
    """Standard output or error. Behind it a terminal sees nothing hostile, whoever writes: the last guard.

    What cannot be told on standard error keeps nobody from work.
    Raises: OutputError where output cannot be written, ReaderLeft.
    """

    def __init__(self, below: BinaryIO, encoding: str, error: bool) -> None:
        shown = below.isatty()
        super().__init__(below, encoding if shown else "utf-8", "backslashreplace", "\n", line_buffering=shown or error)
        self._shown = shown
        self._error = error

    def write(self, text: str) -> int:
        self.pass_on(clean_lines(text) if self._shown else text)
        return len(text)

    def pass_on(self, text: str) -> int:
        """Write text of which each part is known to be harmless."""
        return self._tried(lambda: super(Standard, self).write(text)) or 0

    def flush(self) -> None:
        self._tried(super().flush)

    def _tried(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except BrokenPipeError as error:
            raise ReaderLeft from error
        except OSError as error:
            if not self._error:
                raise unwritable(error) from error
        return None


def unwritable(error: OSError) -> OutputError:
    """What to say where standard output takes no more."""
    return OutputError(f"cannot write to standard output: {error.strerror or error}; what was written before is kept")


def take_over() -> None:
    """Put the guard before standard output and error. A stream that was closed takes everything and shows nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        below = stream.buffer if stream is not None else open(os.devnull, "wb")  # noqa: SIM115 - for good
        setattr(sys, name, Standard(below, getattr(stream, "encoding", "utf-8"), name == "stderr"))


class _Trusted(io.TextIOBase):
    """The way of our own consoles past the guard: they clean text themselves and send colours of their own."""

    def __init__(self, stream: Standard) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.pass_on(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


def _stream(err: bool) -> Any:
    return sys.stderr if err else sys.stdout


def flush(err: bool = False) -> None:
    """See to it that all was taken. Raises: OutputError, ReaderLeft."""
    _stream(err).flush()


def echo(text: object = "", err: bool = False) -> None:
    """Print one line for people; a line break in it is somebody else's and shows as an escape."""
    _put(clean(text), err)


def error(text: object) -> None:
    """Print a line of ours on standard error."""
    echo(f"whowas: {text}", err=True)


def is_quiet() -> bool:
    """Say whether -q was given: then the answer and errors are all that is printed."""
    import click

    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def note(text: object) -> None:
    """Print a line of ours on standard error that is no error: -q leaves it out."""
    if not is_quiet():
        error(text)


def usage_error(told: click.ClickException) -> None:
    """Print what click says of a wrong command line: it quotes the words."""
    from click import MissingParameter, UsageError

    if isinstance(told, UsageError) and told.ctx is not None:
        _put(clean_lines(told.ctx.get_usage()), err=True)
        echo(f"Try '{told.ctx.command_path} {told.ctx.help_option_names[0]}' for help.", err=True)
        echo(err=True)
    # What is missing quotes nobody, and may list choices, one a line.
    harmless = clean_lines if isinstance(told, MissingParameter) else clean
    _put(f"Error: {harmless(told.format_message())}", err=True)


def print_text(lines: str) -> None:
    """Print text whose line breaks are meant: SQL, help. It is data: cleaned on a terminal alone."""
    _put(clean_lines(lines) if sys.stdout.isatty() else lines, err=False)


def _put(lines: str, err: bool) -> None:
    stream = _stream(err)
    stream.write(f"{lines}\n")
    stream.flush()


def print_json(value: Any, err: bool = False, line: bool = False) -> None:
    """Print one JSON value. line: on one line even at a terminal."""
    import json

    stream = _stream(err)
    shown = stream.isatty()
    told = json.dumps(value, ensure_ascii=False, indent=2 if shown and not line else None, default=str)
    _put(clean_json(told) if shown else escape_surrogates(told), err)


def print_csv(rows: Iterable[Iterable[Any]]) -> None:
    """Print rows as CSV. A text that a spreadsheet would run gets a leading '; None is an empty cell."""
    import csv

    shown = sys.stdout.isatty()
    # All cells are quoted: csv leaves a lone carriage return bare, and what follows it would start a row.
    writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        writer.writerow([_cell(value, shown) for value in row])


def _cell(value: Any, shown: bool) -> Any:
    if not isinstance(value, str):
        return "" if value is None else value
    return clean(harmless(value)) if shown else harmless(value)


def write_bytes() -> Callable[[bytes], None]:
    """Return what writes lines of data to standard output at once. It raises OutputError, ReaderLeft."""
    sys.stdout.flush()
    below, shown, encoding = sys.stdout.buffer, sys.stdout.isatty(), sys.stdout.encoding

    def write(data: bytes) -> None:
        if shown:
            lines = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
            data = clean_lines(lines).encode(encoding, "backslashreplace")
        try:
            below.write(data)
            below.flush()
        except BrokenPipeError as error:
            raise ReaderLeft from error
        except OSError as error:
            raise unwritable(error) from error

    return write


def console(err: bool = False, summary: bool = False) -> Console:
    """A console that colours only on a terminal; NO_COLOR is honoured. What does not go to a terminal is never cut.

    summary: what is printed tells what was done, and is not what was asked for: -q leaves it out.
    """
    # While something is drawn, rich stands before the stream.
    stream = getattr(_stream(err), "rich_proxied_file", _stream(err))
    file = cast("Any", _Trusted(stream) if isinstance(stream, Standard) else stream)
    hidden, whole = summary and is_quiet(), not stream.isatty()
    return _screen()(file=file, highlight=False, markup=False, emoji=False, soft_wrap=whole, quiet=hidden)


@functools.cache
def _screen() -> type[Console]:
    """rich's console, but for what it leaves in text. Made when it is wanted: to import rich takes a while."""
    from rich.console import Console
    from rich.segment import Segment

    class Screen(Console):
        def print(self, *objects: Any, **told: Any) -> None:
            super().print(*(clean(one) if isinstance(one, str) else one for one in objects), **told)

        def render(self, *told: Any) -> Iterable[Segment]:
            for one in super().render(*told):
                harmless = one.control or one.text.isprintable()
                yield one if harmless else Segment(clean_lines(one.text), one.style)

    return Screen


def is_terminal() -> bool:
    """Say whether standard output is a terminal."""
    return sys.stdout.isatty()


def wants_progress(quiet: bool, json: bool) -> bool:
    """Progress is for a person at a terminal."""
    return not quiet and not json and not is_quiet() and sys.stderr.isatty()


def bars() -> Any:
    """Bars for people, one an input: name, how much, what was read, how long it will take."""
    from rich import progress as rich

    return rich.Progress(
        # Names of files are no markup.
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=24),
        rich.TaskProgressColumn(),
        rich.TextColumn("{task.fields[read]}", markup=False),
        rich.TimeRemainingColumn(compact=True),
        console=console(err=True),
    )


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


def span(seconds: float) -> str:
    """A length of time for people: `95 s`, `40 min`, `30 h`, `9 days`."""
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if abs(seconds) < limit:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"


def plural(count: int, noun: str) -> str:
    """`1 file`, `6 files`, `12,431 packets`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

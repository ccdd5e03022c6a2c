"""`whowas compact`: few large Parquet files in place of many small ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from whowas.cli.memory import keep_memory
from whowas.cli.terminal import clean, console, plural, print_json, size, wants_progress

if TYPE_CHECKING:
    from sinks.flows.compaction import Compacted, Compaction


@click.command(short_help="Merge small files of named flows.")
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option(
    "--settled",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Skip an hour that has a file younger than this.",
)
@click.option(
    "--small",
    type=click.FloatRange(min=0, min_open=True),
    default=64.0,
    show_default=True,
    metavar="MB",
    help="Files above this size stay as they are.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=500_000,
    show_default=True,
    help="Most rows of a merged file; bounds the memory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(folder: str, settled: float, small: float, rows: int, as_json: bool) -> None:
    """Merge the small files of each hour of named flows, beside readers and `whowas stream`.

    \b
    Example:
      whowas compact named/

    An hour's folder is replaced in one step: a reader sees the old files or the new ones. A query that began just
    before may be told "no such file"; run it again. Killed at any moment nothing is lost: the next run finishes.

    Exit codes: 0 done; 2 usage, a replay writes there, another compaction runs, or the disk refuses.
    """
    from sinks.flows.compaction import Compaction, CompactionOptions

    keep_memory()
    options = CompactionOptions(settled, round(small * 1e6), rows)
    with Compaction(folder, options) as compaction:
        done = _run(compaction, wants_progress(False, as_json))
    if as_json:
        print_json(asdict(done))
    else:
        _print(folder, done)


def _run(compaction: Compaction, shown: bool) -> Compacted:
    """Run it, with a bar for a person."""
    if not shown:
        return compaction.run()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("hours"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(err=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        return compaction.run(lambda at, total: bar.update(task, completed=at, total=total))


def _print(folder: str, done: Compacted) -> None:
    screen = console(summary=True)
    if done.folders:
        screen.print(
            f"{clean(folder)}  {plural(done.folders, 'hour')}  {plural(done.rows, 'row')}  "
            f"{plural(done.files_before, 'file')} -> {done.files_after:,}  "
            f"{size(done.bytes_before)} -> {size(done.bytes_after)}"
        )
    else:
        screen.print(f"{clean(folder)}  nothing to merge")
    if done.left:
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(done.left.items()))
        screen.print(f"left as they are: {told}")

"""`whowas prune`: delete named flows of long ago, by whole hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from whowas.cli.lengths import length
from whowas.cli.options import flows_option
from whowas.cli.terminal import clean, console, plural, print_json, size

if TYPE_CHECKING:
    from sinks.flows.pruning import Pruned


@click.command(short_help="Delete named flows of long ago, by whole hours.")
@flows_option()
@click.option(
    "--keep", "--older", "keep", required=True, metavar="90d", help="How long to keep flows: 36h, 90d, 12w, 2y."
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(flows: str, keep: str, dry_run: bool, as_json: bool) -> None:
    """Delete the hours of named flows that ended longer ago, beside readers and `whowas stream`.

    \b
    Example:
      whowas prune --flows named --keep 90d --dry-run

    An hour's folder goes as a whole, in one step. Flows without a time stay: nobody knows how old they are.
    A Delta table forgets the hours by one commit; its older versions have them until it is vacuumed.

    Exit codes: 0 done; 2 usage, a replay or a compaction is at work there, or the disk refuses.
    """
    from sinks.flows.pruning import prune

    before = datetime.now(UTC) - timedelta(seconds=length(keep))
    done = prune(flows, before, dry_run)
    if as_json:
        print_json(_json(done, before, dry_run))
    else:
        _print(flows, done, dry_run)


def _json(done: Pruned, before: datetime, dry_run: bool) -> dict[str, object]:
    return {
        "before": before.isoformat(timespec="seconds"),
        "dry_run": dry_run,
        "hours": done.hours,
        "files": done.files,
        "bytes": done.bytes,
        "first_hour": done.first and done.first.isoformat(),
        "last_hour": done.last and done.last.isoformat(),
        "hours_kept": done.kept,
        "hours_without_a_time": done.untimed,
    }


def _print(flows: str, done: Pruned, dry_run: bool) -> None:
    screen = console(summary=True)
    if done.first is None or done.last is None:
        screen.print(f"{clean(flows)}  nothing is so old")
    else:
        span = f"{done.first:%Y-%m-%d %H:00} to {done.last:%Y-%m-%d %H:00} UTC"
        screen.print(
            f"{clean(flows)}  {plural(done.hours, 'hour')}  {span}"
            f"  {plural(done.files, 'file')}  {size(done.bytes)}  {'would be deleted' if dry_run else 'deleted'}"
        )
    if done.untimed:
        screen.print(f"left as they are: {plural(done.untimed, 'hour')} of flows without a time")

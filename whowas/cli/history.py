"""`whowas history`: what is in a store, whether it is sound, and what comes into it and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.lengths import length
from whowas.cli.options import read_back
from whowas.cli.terminal import between, clean, console, plural, print_json, size, wants_progress
from whowas.errors import ConfigError

if TYPE_CHECKING:
    from enrich.store.info import Facts

STORE = click.argument("store", type=click.Path(dir_okay=False))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


@click.group(short_help="Look after a recorded history.")
def command() -> None:
    """Look after a history that `whowas watch` records: see, check, export, import, compact, prune.

    \b
    Example:
      whowas history import cluster.db samples/overlay/history.jsonl.gz
    """


@command.command()
@STORE
@JSON
def info(store: str, as_json: bool) -> None:
    """Say what is in a store."""
    from enrich.store.database import HISTORY

    # What of it cannot be shown is not what was written.
    with HISTORY.make_sense(store, "read"):
        _show(store, as_json)


def _show(store: str, as_json: bool) -> None:
    from enrich.store.info import facts
    from whowas.timestamps import rfc3339

    told = facts(store)
    if as_json:
        clusters = [
            vars(one)
            | {"watched": [[kind, rfc3339(low), rfc3339(high)] for kind, low, high in one.watched]}
            | {"gaps": [[kind, rfc3339(low), rfc3339(high)] for kind, low, high in one.gaps]}
            for one in told.clusters
        ]
        telling = None if told.telling is None else vars(told.telling) | {"begun_us": _spelled(told.telling.begun_us)}
        replica = None if told.replica is None else vars(told.replica) | {"origins": [*map(vars, told.replica.origins)]}
        print_json(vars(told) | {"clusters": clusters, "telling": telling, "replica": replica})
        return
    screen = console()
    each = f", {told.bytes / told.events:.0f} bytes an event" if told.events else ""
    screen.print(f"{store}  {size(told.bytes)}, {plural(told.events, 'event')} ({told.packed_events:,} packed){each}")
    for one in told.clusters:
        objects = ", ".join(f"{kind} {count:,}" for kind, count in sorted(one.objects.items(), key=lambda it: -it[1]))
        screen.print(
            f"cluster {clean(one.name)}: {plural(one.events, 'event')}, {one.living:,} objects exist at its end"
        )
        screen.print(f"  objects    {objects}")
        for kind, low, high in sorted(one.watched):
            screen.print(f"  watched    {kind or 'all kinds'}  {between(low, high)}")
        if one.gaps:
            screen.print(f"  gaps       {len(one.gaps):,} (whowas history gaps {clean(store)})")
    for line in _topics(told):
        screen.print(line)
    for name in told.sources:
        screen.print(f"imported   {clean(name)}")


def _topics(told: Facts) -> Iterator[str]:
    """Say what goes to a topic, and what came from one."""
    out, into = told.telling, told.replica
    if out is not None:
        since = (
            "sending has stopped; the next --to-kafka sends everything again"
            if out.begun_us is None
            else (
                f"{plural(out.messages, 'message')} since {_spelled(out.begun_us)}"
                + ("" if out.snapshot else ", the snapshot is not finished")
            )
        )
        yield f"to a topic as store {out.store}: {since}; {plural(out.waiting, 'message')} wait ({size(out.bytes)})"
    if into is not None:
        yield f"replica of topic {clean(into.topic)}, next is message {into.next:,}"
        for one in into.origins:
            yield f"  store {clean(one.store)}: {plural(one.number, 'message')} since {_spelled(one.epoch)}" + (
                f"; {clean(one.lost)}" if one.lost else "" if one.live else ", the snapshot is not finished"
            )


def _spelled(us: int | None) -> str | None:
    from whowas.timestamps import rfc3339

    return rfc3339(us) if us else None


@command.command()
@STORE
@JSON
def gaps(store: str, as_json: bool) -> None:
    """List when nobody was looking: what is asked of that time is `unknown`, never `none`."""
    from enrich.store.database import HISTORY

    with HISTORY.make_sense(store, "read"):
        _show_gaps(store, as_json)


def _show_gaps(store: str, as_json: bool) -> None:
    from enrich.store.info import facts
    from whowas.timestamps import rfc3339

    told = facts(store)
    found = [(one.name, *gap) for one in told.clusters for gap in one.gaps]
    if as_json:
        names = ("cluster", "kind", "from", "to")
        print_json([dict(zip(names, (a, b, rfc3339(c), rfc3339(d)), strict=True)) for a, b, c, d in found])
        return
    screen = console()
    for name, kind, low, high in found:
        length = (high - low) / 1e6
        screen.print(f"{clean(name)}  {kind or 'all kinds'}  {between(low, high)}  ({length:,.1f} s)")
    if not found:
        screen.print("no gaps")


@command.command()
@STORE
@JSON
@click.pass_context
def verify(ctx: click.Context, store: str, as_json: bool) -> None:
    """Check a store from end to end. Exit code 1 when something is not sound."""
    from enrich.store.verify import problems

    found = list(problems(store))
    if as_json:
        print_json({"sound": not found, "problems": found})
    else:
        screen = console()
        for one in found:
            screen.print(clean(one))
        what = f"{plural(len(found), 'problem')}; 'whowas history export {store} OUT --salvage' saves what can be read"
        screen.print(clean(f"{store}: {what if found else 'sound'}"))
    ctx.exit(1 if found else 0)


@command.command()
@STORE
@click.argument("out", type=click.Path())
@click.option("--from", "start", metavar="TIME", help="Leave out what ended before.")
@click.option("--to", "end", metavar="TIME", help="Leave out what came after.")
@click.option(
    "--existing",
    type=click.Choice(["refuse", "replace"]),
    default="refuse",
    show_default=True,
    help="What to do with an OUT that is there.",
)
@click.option("--salvage", is_flag=True, help="Of a damaged STORE: all that can still be read, and say what is lost.")
@JSON
@click.pass_context
def export(ctx: click.Context, /, store: str, out: str, start: str | None, end: str | None, **told: Any) -> None:
    """Write a slice of a store into one file that travels beside a capture; `replay --history` reads it.

    \b
    Example:
      whowas history export cluster.db case-17.jsonl.zst --from 2026-11-20T10:00:00Z --to 2026-11-20T11:00:00Z

    OUT ending in .parquet gets a row for every hold instead, for DuckDB and Spark.

    With --salvage the exit code is 1 when something is lost. What a lost row may have ended is not known: from the
    earliest time on that it may speak of, nothing counts as watched, and names are less sure.
    """

    low = None if start is None else read_back("--from", start)
    high = None if end is None else read_back("--to", end)
    if low is not None and high is not None and low > high:
        raise ConfigError(f"cannot export from {start} to {end}: the end comes first; swap them")
    if out.endswith(".parquet") and (low is not None or high is not None):
        raise ConfigError("cannot cut holds to a time: a Parquet file gets all of them; leave --from and --to out")
    from whowas.cli.history_export import exported, say_written

    replace = told["existing"] == "replace"
    if not told["salvage"]:
        say_written(out, *exported(store, out, low, high, replace), None, told["as_json"])
        return
    from whowas.history.import_export import salvaged

    with salvaged(store, out, replace=replace) as (fresh, lost):
        written = exported(fresh, out, low, high, replace, bool(lost.rows))
    say_written(out, *written, lost, told["as_json"])
    ctx.exit(1 if lost.rows else 0)


@command.command(name="import")
@STORE
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--cluster", metavar="NAME", help="Name of evidence that has none.")
@JSON
@click.pass_context
def import_(ctx: click.Context, store: str, files: tuple[str, ...], cluster: str | None, as_json: bool) -> None:
    """Add evidence to a store: watch dumps, lists, slices, audit logs, Prometheus answers.

    STORE is made when it is not there. To import a file twice changes nothing. A recorder that writes to it must
    be stopped first.
    """
    from ingest.cluster import EvidenceReport
    from whowas.cli.progress import Bars
    from whowas.cli.replay import say_unreadable
    from whowas.history.import_export import import_files

    report = EvidenceReport()
    with Bars(wants_progress(False, as_json)) as bars:
        done = import_files(store, files, cluster=cluster, report=report, progress=bars.history)
    if as_json:
        told = [{"path": one.path, "events": one.events, "known": one.events is None} for one in done]
        print_json({"imported": told} | report.to_json())
    else:
        screen = console(summary=True)
        for one in done:
            what = "was imported before" if one.events is None else plural(one.events, "event")
            screen.print(f"{clean(one.path)}: {what}")
    say_unreadable(report.files)
    ctx.exit(0 if report.whole() else 1)


@command.command()
@STORE
@JSON
def compact(store: str, as_json: bool) -> None:
    """Compress what has ended and free disk space; upgrade a store of an older version."""
    from enrich.store.info import facts
    from enrich.store.kept_beside import is_large
    from enrich.store.prune import compact as run

    packed = run(store)
    if is_large(store):
        from enrich.history.sealed import seal

        # Whoever asks next finds it derived.
        seal(store)
    told = facts(store)
    if as_json:
        print_json({"packed": packed, "bytes": told.bytes, "events": told.events})
    else:
        console(summary=True).print(f"{store}: {plural(packed, 'object')} packed, {size(told.bytes)} now")


@command.command()
@STORE
@click.option("--keep", required=True, metavar="90d", help="How long to keep what has ended: 36h, 90d, 12w, 2y.")
@JSON
def prune(store: str, keep: str, as_json: bool) -> None:
    """Delete what ended long ago. What still exists keeps all its evidence."""
    from enrich.store.database import now_us
    from enrich.store.prune import prune as run

    before = now_us() - length(keep) * 1_000_000
    forgotten = run(store, before)
    if as_json:
        print_json({"forgotten": forgotten})
    else:
        console(summary=True).print(f"{store}: {plural(forgotten, 'object')} deleted")

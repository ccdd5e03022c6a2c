"""`whowas annotate`: any log in, the same log with names beside its addresses out."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.terminal import clean, plural
from whowas.schema import CONFIDENCES

if TYPE_CHECKING:
    from ingest.cluster import EvidenceReport
    from whowas.annotation.annotator import Choice
    from whowas.annotation.namer import BatchNamer
    from whowas.annotation.run import Done, Form
    from whowas.annotation.times import Clock

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}


@click.command(short_help="Put names beside the addresses of a log.")
@click.argument("file", metavar="FILE")
@click.option("-H", "--history", multiple=True, metavar="HISTORY", help="A store, or evidence: files, folders, globs.")
@click.option("--ip", "ips", multiple=True, metavar="FIELD", help="A field that holds an address; repeatable.")
@click.option("--time", "time_field", metavar="FIELD", help="The field that tells when.")
@click.option("--at", metavar="TIME", help="When, for a log without times: 2026-11-20T10:15:02Z.")
@click.option("--timezone", metavar="ZONE", help="Zone of times that have no offset; without it they are not read.")
@click.option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of times that are numbers.")
@click.option("--columns", metavar="A,B,…", help="What is added: confidence, pod, workload, labels …")
@click.option("--suffix", default="_whowas", show_default=True, metavar="WORD", help="Ends the names of what is added.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv", "tsv", "zeek", "text", "cef", "leef", "logfmt"]),
    help="Else told by its beginning.",
)
@click.option(
    "--names",
    type=click.Choice(["short", "json", "inline"]),
    help="How names stand in free text: behind the line, the same as JSON, or beside each address.",
)
@click.option("--time-pattern", metavar="FORM", help="How free text spells its times: '%d.%m.%Y %H:%M:%S'.")
@click.option("--year", type=click.IntRange(1971, 9999), help="Of the first line, for times without a year (syslog).")
@click.option("--delimiter", type=click.Choice(list(DELIMITERS)), help="Of CSV; else told by its header.")
@click.option("--header", metavar="A,B,…", help="Names of the columns of a CSV without a header.")
@click.option("--cluster", metavar="NAME", help="Which cluster of the history; names evidence that says none.")
@click.option("--networks", type=click.Path(), metavar="TOML", help="Names for address ranges outside the cluster.")
@click.option(
    "--sensor-skew",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How far the clock that gave the times may be off.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Hold lines up to so long until the history is sure to know their time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object on standard error.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the log and errors.")
@click.pass_context
def command(ctx: click.Context, /, file: str, history: tuple[str, ...], **told: Any) -> None:
    """Put names beside the addresses of any log: JSON lines, CSV, TSV, Zeek, CEF, LEEF, logfmt, free text.

    \b
    Example:
      whowas annotate samples/annotate/eve.json --history samples/overlay/history.jsonl.gz

    FILE is plain or compressed, or - for standard input, which is named line by line as it comes. The log goes
    to standard output, unchanged but for the names; what was done is told on standard error. Fields of known
    logs are found by themselves: Suricata, Zeek, Falco, Kubernetes audit, ECS, flow logs and others. In free text
    (syslog, access and error logs) every address of a line is named at the time at its start.
    """
    from ingest.cluster import EvidenceReport
    from ingest.files import open_input
    from whowas.annotation.run import Run, write_all
    from whowas.cli.replay import need_history, say_compiling, say_unreadable

    need_history(history)
    quiet = told["quiet"] or told["as_json"]
    choice, clock = _choice(told), _clock(told)
    form = _form(told, file)
    say_compiling(quiet)
    report = EvidenceReport()
    with open_input(file) as source:
        asker = _asker(history, told, report)
        sys.stdout.flush()
        # The history is here to stay: without this the collector walks its objects between the lines.
        gc.freeze()
        run = Run(asker, choice, form, clock, write_all(sys.stdout.fileno()), _sayer(quiet))
        try:
            run.annotate(source)
        except KeyboardInterrupt:
            _finish(run.done, report, told, file)
            raise
        except BrokenPipeError:
            # click would make an error of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)
    _finish(run.done, report, told, file)
    say_unreadable(report.files)
    ctx.exit(0 if run.done.whole() and report.whole() else 1)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip()) if text else ()


def _choice(told: dict[str, Any]) -> Choice:
    from whowas.annotation.annotator import USUAL, Choice
    from whowas.timestamps import moment_us

    at_us = moment_us(told["at"]) if told["at"] is not None else None
    return Choice(told["ips"], told["time_field"] or "", at_us, _words(told["columns"]) or USUAL, told["suffix"])


def _form(told: dict[str, Any], file: str) -> Form:
    from datetime import UTC, datetime

    from whowas.annotation.run import Form

    # A log's last line is as old as its file, or older.
    changed = datetime.fromtimestamp(os.path.getmtime(file), UTC) if os.path.isfile(file) else None
    return Form(
        format=told["form"] or "",
        delimiter=DELIMITERS.get(told["delimiter"], ""),
        header=_words(told["header"]),
        names=told["names"] or "",
        pattern=told["time_pattern"] or "",
        year=told["year"],
        not_after=changed,
    )


def _clock(told: dict[str, Any]) -> Clock:
    from whowas.annotation.times import Clock
    from whowas.timestamps import zone_of

    return Clock(told["time_unit"], zone_of(told["timezone"]) if told["timezone"] else None)


def _asker(history: Sequence[str], told: dict[str, Any], report: EvidenceReport) -> BatchNamer:
    """Load the history; a store is followed as it grows."""
    from enrich import NamingOptions, load_networks
    from enrich.history.stored import StoredHistory
    from whowas.annotation.namer import BatchNamer
    from whowas.history.queries import load_history, the_store

    networks = load_networks(told["networks"]) if told["networks"] else ()
    options = NamingOptions(told["cluster"], networks, sensor_skew_seconds=told["sensor_skew"])
    store = the_store(list(history))
    if store is not None:
        return BatchNamer(StoredHistory(store), options, told["wait"])
    if told["wait"]:
        raise click.UsageError("cannot wait for files of evidence: they do not grow; leave out --wait, or use a store")
    return BatchNamer(load_history(list(history), cluster=told["cluster"], report=report), options)


def _sayer(quiet: bool) -> Callable[[str], None]:
    def say(line: str) -> None:
        if not quiet:
            click.echo(f"whowas: {clean(line)}", err=True)

    return say


def _finish(done: Done, report: EvidenceReport, told: dict[str, Any], file: str) -> None:
    """Say what came of it."""
    if told["as_json"]:
        click.echo(json.dumps(done.to_json() | {"history": report.to_json()}, default=str), err=True)
        return
    for bad in done.unreadable:
        click.echo(f"whowas: {clean(file)} at byte {bad.offset:,}: {clean(bad.reason)}", err=True)
    if told["quiet"]:
        return
    tally = done.tally
    unread = sum(tally.unread.values())
    named = f"{tally.named:,} named   {tally.without:,} without an address   {unread:,} unread"
    click.echo(f"{plural(tally.lines, 'line')}   {named}", err=True)
    if unread:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.unread.most_common())
        click.echo(f"unread       {reasons}{_advice(done)}", err=True)
    if len(done.kinds) > 1:
        click.echo(
            "kinds        " + "  ".join(f"{word} {count:,}" for word, count in done.kinds.most_common()), err=True
        )
    _say_answers(done)


def _say_answers(done: Done) -> None:
    total = sum(done.tally.answers.values())
    shares = [
        f"{word} {count:,} ({100 * count / total:.1f} %)" for word in CONFIDENCES if (count := done.tally.answers[word])
    ]
    if shares:
        click.echo(f"addresses    {'  '.join(shares)}", err=True)
    if done.tally.unread_addresses:
        click.echo(
            f"             {plural(done.tally.unread_addresses, 'value')} of address fields not readable", err=True
        )
    if done.nothing() and not done.tally.unread:
        click.echo("whowas: no address in any field that is known; say --ip FIELD and --time FIELD", err=True)


def _advice(done: Done) -> str:
    """What to do about the reason that came up most."""
    from whowas.annotation.times import MISSING, NO_ZONE, REASONS

    first = done.tally.unread.most_common(1)[0][0]
    if first == REASONS[NO_ZONE]:
        return "; --timezone says which zone they are in"
    if first != REASONS[MISSING]:
        return ""
    return f"; --{'time-pattern FORM' if done.kinds else 'time FIELD'} or --at TIME says when"

"""`whowas annotate`: any log in, the same log with names beside its addresses out."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import history_option, read_back
from whowas.cli.terminal import echo, error, is_terminal, plural, print_json, write_bytes

if TYPE_CHECKING:
    from ingest.cluster import EvidenceReport
    from whowas.annotation.annotator import Choice
    from whowas.annotation.namer import BatchNamer
    from whowas.annotation.run import Done, Form
    from whowas.annotation.times import Clock
    from whowas.batch.hints import Hint

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}


@click.command(short_help="Put names beside the addresses of a log.")
@click.argument("file", metavar="FILE")
@history_option()
@click.option("--ip", "ips", multiple=True, metavar="FIELD", help="A field that holds an address; repeatable.")
@click.option("--time", "time_field", metavar="FIELD", help="The field that tells when.")
@click.option("--at", metavar="TIME", help="When, for a log without times: 2026-11-20T10:15:02Z.")
@click.option("--timezone", metavar="ZONE", help="Zone in which times without an offset are read, like Europe/Paris.")
@click.option("--time-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Unit of times that are numbers.")
@click.option("--columns", metavar="A,B,…", help="Fields to add: confidence, pod, workload, labels …")
@click.option("--suffix", default="_whowas", show_default=True, metavar="WORD", help="Suffix of added fields.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv", "tsv", "zeek", "text", "cef", "leef", "logfmt"]),
    help="Without it, recognised by the first lines.",
)
@click.option(
    "--names",
    type=click.Choice(["short", "json", "inline"]),
    help="How names stand in free text: behind the line, the same as JSON, or beside each address.",
)
@click.option("--time-pattern", metavar="FORM", help="How free text spells its times: '%d.%m.%Y %H:%M:%S'.")
@click.option("--year", type=click.IntRange(1971, 9999), help="Year of the first line, where times have none (syslog).")
@click.option("--delimiter", type=click.Choice(list(DELIMITERS)), help="Of CSV; without it, found in the header.")
@click.option("--header", metavar="A,B,…", help="Names of the columns of a CSV without a header.")
@click.option("--cluster", metavar="NAME", help="Cluster of the history; also names evidence that says none.")
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
    help="Wait up to this long for the history to cover the time of a line.",
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
    from whowas.annotation.run import Run
    from whowas.cli.replay import need_history, say_compiling, say_unreadable

    need_history(history)
    quiet = told["quiet"] or told["as_json"]
    choice, clock = _choice(told), _clock(told)
    form = _form(told, file)
    say_compiling(quiet)
    report = EvidenceReport()
    with open_input(file) as source:
        asker = _asker(history, told, report)
        # The history is here to stay: without this the collector walks its objects between the lines.
        gc.freeze()
        run = Run(asker, choice, form, clock, write_bytes(), _sayer(quiet))
        try:
            run.annotate(source)
        except KeyboardInterrupt:
            _finish(run.done, report, told, file)
            raise
    _finish(run.done, report, told, file)
    say_unreadable(report.files)
    ctx.exit(0 if run.done.whole() and report.whole() else 1)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip()) if text else ()


def _choice(told: dict[str, Any]) -> Choice:
    from whowas.annotation.annotator import USUAL, Choice

    at_us = read_back("--at", told["at"]) if told["at"] is not None else None
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
        shown=is_terminal(),
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
            error(line)

    return say


def _finish(done: Done, report: EvidenceReport, told: dict[str, Any], file: str) -> None:
    """Say what came of it."""
    if told["as_json"]:
        hints = [one.to_json() for one in _hints(done)]
        print_json(done.to_json() | {"hints": hints, "history": report.to_json()}, err=True, line=True)
        return
    for bad in done.unreadable:
        error(f"{file} at byte {bad.offset:,}: {bad.reason}")
    if told["quiet"]:
        return
    tally = done.tally
    unread = sum(tally.unread.values())
    named = f"{tally.named:,} named   {tally.without:,} without an address   {unread:,} unread"
    echo(f"{plural(tally.lines, 'line')}   {named}", err=True)
    if unread:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.unread.most_common())
        echo(f"unread       {reasons}{_advice(done)}", err=True)
    if len(done.kinds) > 1:
        echo("kinds        " + "  ".join(f"{word} {count:,}" for word, count in done.kinds.most_common()), err=True)
    _say_answers(done)


def _say_answers(done: Done) -> None:
    from whowas.schema import CONFIDENCES

    total = sum(done.tally.answers.values())
    shares = [
        f"{word} {count:,} ({100 * count / total:.1f} %)" for word in CONFIDENCES if (count := done.tally.answers[word])
    ]
    if shares:
        echo(f"addresses    {'  '.join(shares)}", err=True)
    if done.tally.unread_addresses:
        echo(f"             {plural(done.tally.unread_addresses, 'value')} of address fields not readable", err=True)
    if done.nothing() and not done.tally.unread:
        error("no address in any field that is known; say --ip FIELD and --time FIELD")


def _hints(done: Done) -> list[Hint]:
    """Which options would name more."""
    from whowas.annotation.times import MISSING, NO_ZONE, REASONS
    from whowas.batch.hints import Hint

    unread = done.tally.unread
    without = done.tally.lines if done.nothing() and not unread else 0
    found = [
        Hint("--timezone", ("UTC",), unread[REASONS[NO_ZONE]], "lines", "say the zone that the times are in"),
        Hint("--time", (), unread[REASONS[MISSING]], "lines", "say the field that tells when, or --at TIME"),
        Hint("--history", (), done.tally.answers["unknown"], "addresses", "give evidence of the times not covered yet"),
        Hint("--ip", (), without, "lines", "say the fields that hold addresses"),
    ]
    return [one for one in found if one.count]


def _advice(done: Done) -> str:
    """What to do about the reason that came up most."""
    from whowas.annotation.times import MISSING, NO_ZONE, REASONS

    first = done.tally.unread.most_common(1)[0][0]
    if first == REASONS[NO_ZONE]:
        return "; --timezone says which zone they are in"
    if first != REASONS[MISSING]:
        return ""
    return f"; --{'time-pattern FORM' if done.kinds else 'time FIELD'} or --at TIME says when"

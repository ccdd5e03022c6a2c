"""`whowas who`: who held an address at a moment, its timeline, or where a workload was."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.options import history_option, read_back
from whowas.cli.terminal import print_json, wants_progress

if TYPE_CHECKING:
    from enrich import NamingOptions
    from enrich.naming.explain import Line
    from enrich.naming.who import HoldView
    from ingest.cluster import EvidenceReport
    from whowas.history.queries import Reply
    from whowas.history.questions import Question

EXIT_CODES = "Exit codes: 0 answered, also that nobody held it; 1 something was unreadable (listed); 2 usage."


@click.command(short_help="Say who held an address.", epilog=EXIT_CODES)
@click.argument("what", nargs=-1, required=True, metavar="WHAT...")
@history_option()
@click.option(
    "--at", metavar="TIME", help="The moment: 2026-11-20T10:15:02Z, now, or a number since 1970 (s, ms, us, ns)."
)
@click.option("--cluster", metavar="NAME", help="Which cluster of the history.")
@click.option("--networks", type=click.Path(), metavar="TOML", help="Names for address ranges outside the cluster.")
@click.option(
    "--sensor-skew",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How far the clock that gave the time may be off.",
)
@click.option("--tz", default="UTC", show_default=True, metavar="ZONE", help="Zone in which times are shown.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait up to so long until the store is sure to know the moment. Ctrl-C answers by what is known.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Of a network or workload, show no more than N.",
)
@click.option("--explain", is_flag=True, help="Print the evidence behind the answer, line by line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for every holder.")
@click.pass_context
def command(ctx: click.Context, /, what: tuple[str, ...], history: tuple[str, ...], **told: Any) -> None:
    """Say who held an address at a moment. Without --at: its timeline. With a name: where it was.

    \b
    Example:
      whowas who 10.244.1.20 --history samples/overlay/history.jsonl.gz

    WHAT is an address; ADDRESS:PORT, which decides where a node, its pods or Services share the address; a network
    like 10.244.1.0/24; namespace/pod (or an unambiguous beginning) or namespace/workload; or kind/namespace/name and
    kind/name, such as deployment/shop/web, svc/web, no/worker-1, ns/shop.
    """
    from ingest.cluster import EvidenceReport
    from whowas.cli.replay import need_history, say_unreadable
    from whowas.history.questions import read_question
    from whowas.timestamps import zone_of

    questions = [read_question(one) for one in what]
    need_history(history)
    if told["as_json"] + told["as_csv"] + told["explain"] > 1 and told["as_csv"]:
        raise click.UsageError("cannot print CSV and something else at once: leave out --csv, --json or --explain")
    at_us = None if told["at"] is None else read_back("--at", told["at"])
    zone, report = zone_of(told["tz"]), EvidenceReport()
    stopped = _wait(history, told["cluster"], at_us, told["wait"], quiet=told["as_json"] or told["as_csv"])
    replies = _replies(questions, history, at_us, zone, report, told)
    _print(replies, history, zone, report, told)
    say_unreadable(report.files)
    ctx.exit(130 if stopped else 0 if report.whole() else 1)


def _wait(history: tuple[str, ...], cluster: str | None, at_us: int | None, seconds: float, *, quiet: bool) -> bool:
    """Wait for what is not known yet. Returns: whether Ctrl-C ended it."""
    if not seconds:
        return False
    from whowas.history.queries import the_store, wait_until_known

    store = the_store(history)
    if store is None:
        raise click.UsageError("cannot wait for files of evidence: they do not grow; leave out --wait, or use a store")
    if at_us is None:
        raise click.UsageError("cannot wait without a moment: say --at TIME, such as --at now")
    if not quiet:
        click.echo(
            f"whowas: waiting until the history knows that moment, at most {seconds:g} s; Ctrl-C answers", err=True
        )
    try:
        known = wait_until_known(store, cluster, at_us, seconds)
    except KeyboardInterrupt:
        click.echo("whowas: stopped waiting; what is known by now:", err=True)
        return True
    if not known:
        click.echo(f"whowas: waited {seconds:g} s, and the history does not reach that moment yet", err=True)
    return False


def _replies(
    questions: list[Question],
    history: tuple[str, ...],
    at_us: int | None,
    zone: tzinfo,
    report: EvidenceReport,
    told: dict[str, Any],
) -> list[Reply]:
    """Load what is needed, once where it is all, and ask."""
    from whowas import kernels
    from whowas.cli.progress import Bars
    from whowas.cli.replay import say_compiling
    from whowas.history.queries import ask, load_about, load_history, the_store, whole

    store = the_store(history)
    if store is not None and not any(map(whole, questions)):
        kernels.do_without()
    say_compiling(told["as_json"] or told["as_csv"])
    options, found = _options(told), []
    with Bars(wants_progress(False, told["as_json"])) as bars:
        more = {"cluster": told["cluster"], "report": report, "progress": bars.history}
        every = load_history(history, **more) if store is None or any(map(whole, questions)) else None
        for one in questions:
            known = every or load_about(one, history, **more)
            found.append(ask(known, one, at_us, options, zone, told["limit"]))
    return found


def _options(told: dict[str, Any]) -> NamingOptions:
    from enrich import NamingOptions, load_networks

    networks = load_networks(told["networks"]) if told["networks"] else ()
    return NamingOptions(told["cluster"], networks, sensor_skew_seconds=told["sensor_skew"])


def _print(
    replies: list[Reply], history: tuple[str, ...], zone: tzinfo, report: EvidenceReport, told: dict[str, Any]
) -> None:
    from whowas.cli import who_output
    from whowas.history.queries import the_store

    if told["as_csv"]:
        who_output.print_csv(replies)
        return
    if told["as_json"]:
        several = []
        for one in replies:
            value = who_output.as_json(one)
            if told["explain"]:
                value = {"answer": value, "evidence": [_line(*said) for said in _evidence(one, history, told)]}
            several.append(value)
        asked = [{"asked": one.question.asked, "answer": value} for one, value in zip(replies, several, strict=True)]
        print_json(several[0] if len(several) == 1 else asked)
        return
    live = the_store(history) is not None
    for place, one in enumerate(replies):
        if place:
            click.echo()
        who_output.print_reply(one, zone, report.whole(), live)
        if told["explain"]:
            who_output.print_evidence(_evidence(one, history, told), zone)


def _evidence(reply: Reply, history: tuple[str, ...], told: dict[str, Any]) -> list[tuple[str, Line]]:
    """What was said of everybody who comes into the answer: (name, line)."""
    from enrich.naming.explain import line
    from whowas.cli.who_output import answers_of
    from whowas.history.queries import evidence_of

    answers = answers_of(reply)
    views: list[HoldView] = reply.found if answers is None else []
    for answer in answers or ():
        near = (answer.holder, *answer.candidates, answer.previous, answer.following)
        views += [one for one in near if one is not None]
    names = {one.uid: f"{one.kind} {one.full_name()}" for one in views if one.uid}
    seen = evidence_of(names, history, told["cluster"])
    return [(names[one.object.metadata.uid], line(one)) for one in seen if one.object.metadata is not None]


def _line(name: str, one: Line) -> dict[str, Any]:
    from whowas.timestamps import rfc3339

    return {
        "object": name,
        "received": None if one.received_us is None else rfc3339(one.received_us),
        "verb": one.verb,
        "says": one.says,
        "source": one.source,
    }

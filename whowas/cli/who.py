"""`whowas who`: who held an address at a moment, its timeline, or where a workload was."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from whowas.cli.terminal import COLOURS, clean, console, print_json, wants_progress

if TYPE_CHECKING:
    from enrich.naming.explain import Line
    from enrich.naming.who import Answer, HoldView


@click.command(short_help="Say who held an address.")
@click.argument("what")
@click.option("-H", "--history", multiple=True, metavar="HISTORY", help="Evidence: files, folders, globs.")
@click.option("--at", metavar="TIME", help="The moment, with a zone: 2026-11-20T10:15:02Z, or seconds since 1970.")
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
@click.option("--explain", is_flag=True, help="Print the evidence behind the answer, line by line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@click.pass_context
def command(ctx: click.Context, /, what: str, history: tuple[str, ...], **told: Any) -> None:
    """Say who held an address at a moment. Without --at: its timeline. With a name: where it was.

    \b
    Example:
      whowas who 10.244.1.20 --history samples/overlay/history.jsonl.gz

    WHAT is an address, namespace/pod (or an unambiguous beginning), or kind/namespace/name such as
    deployment/shop/web, service/shop/web, node/worker-1.
    """
    from ingest.cluster import EvidenceReport
    from whowas import kernels
    from whowas.cli.progress import Bars
    from whowas.cli.replay import need_history, say_compiling, say_unreadable
    from whowas.history.queries import ask, load_about, the_store
    from whowas.timestamps import zone_of

    need_history(history)
    if the_store(history) is not None:
        kernels.do_without()
    from enrich import NamingOptions, load_networks
    from enrich.naming.who import Answer, to_json

    zone = zone_of(told["tz"])
    networks = load_networks(told["networks"]) if told["networks"] else ()
    options = NamingOptions(told["cluster"], networks, sensor_skew_seconds=told["sensor_skew"])
    say_compiling(told["as_json"])
    report = EvidenceReport()
    with Bars(wants_progress(False, told["as_json"])) as bars:
        known = load_about(what, history, cluster=told["cluster"], report=report, progress=bars.history)
    found = ask(known, what, told["at"], options)
    said = _evidence(found, history, told["cluster"]) if told["explain"] else []
    if told["as_json"]:
        print_json(_with_evidence(to_json(found), said) if told["explain"] else to_json(found))
    elif isinstance(found, Answer):
        _print_answer(found, zone)
    else:
        _print_holds(found, zone, what, report.whole())
    if told["explain"] and not told["as_json"]:
        _print_evidence(said, zone)
    say_unreadable(report.files)
    ctx.exit(0 if report.whole() else 1)


def _evidence(found: Answer | list[HoldView], history: tuple[str, ...], cluster: str | None) -> list[tuple[str, Line]]:
    """What was said of everybody who comes into the answer: (name, line)."""
    from enrich.naming.explain import line
    from enrich.naming.who import Answer
    from whowas.history.queries import evidence_of

    if isinstance(found, Answer):
        near = (found.holder, *found.candidates, found.previous, found.following)
        views = [one for one in near if one is not None]
    else:
        views = found
    names = {one.uid: f"{one.kind} {one.full_name()}" for one in views}
    seen = evidence_of(names, history, cluster)
    return [(names[one.object.metadata.uid], line(one)) for one in seen if one.object.metadata is not None]


def _with_evidence(answer: Any, said: list[tuple[str, Line]]) -> dict[str, Any]:
    from whowas.timestamps import rfc3339

    lines = [
        {
            "object": name,
            "received": None if one.received_us is None else rfc3339(one.received_us),
            "verb": one.verb,
            "says": one.says,
            "source": one.source,
        }
        for name, one in said
    ]
    return {"answer": answer, "evidence": lines}


def _print_evidence(said: list[tuple[str, Line]], zone: tzinfo) -> None:
    screen = console()
    before = ""
    for name, one in said:
        if name != before:
            screen.print(f"evidence of {clean(name)}")
            before = name
        when = "at an unknown time" if one.received_us is None else _moment(one.received_us, zone, "")
        screen.print(f"  {when}  {one.verb:<8} {clean(one.says)}  ({clean(one.source)})")


def _moment(at: datetime | int | None, zone: tzinfo, otherwise: str) -> str:
    from whowas.timestamps import moment_us, spell

    return otherwise if at is None else spell(at if isinstance(at, int) else moment_us(at), zone, 3)


def _span(one: HoldView, zone: tzinfo) -> tuple[str, str]:
    """Both bounds of the start and of the end; one time where they meet within a second's thousandth."""
    start = _between(one.start_min, one.start_max, zone, "unknown", "unknown")
    return start, _between(one.end_min, one.end_max, zone, "unknown", "open")


def _between(low: datetime | None, high: datetime | None, zone: tzinfo, no_low: str, no_high: str) -> str:
    first, last = _moment(low, zone, no_low), _moment(high, zone, no_high)
    if first == last:
        return first
    if low is not None and high is not None and first[:10] == last[:10]:
        return f"{first[: first.rindex(' ')]} .. {last[11:]}"
    return f"{first} .. {last}"


def _owner(one: HoldView) -> str:
    if not one.workload or one.workload_kind == "Pod":
        return ""
    return f"{one.workload_kind} {one.workload}"


def _print_answer(answer: Answer, zone: tzinfo) -> None:
    from rich.text import Text

    screen = console()
    named = answer.holder is not None or answer.confidence == "external"
    nobody = "was nobody's" if answer.confidence == "none" else "is not known"
    verb = "was" if named else "may have been" if answer.candidates else nobody
    screen.print(f"{answer.address} at {_moment(answer.at, zone, '')} {verb}")
    if answer.holder is not None:
        _print_holder(answer.holder, zone, screen)
    elif answer.confidence == "external":
        _line(screen, "outside", clean(answer.network or "no name; a networks file can give it one"))
    sure = Text(f"  {'sure?':<10} ").append(answer.confidence, style=COLOURS[answer.confidence])
    screen.print(sure.append(f": {clean(answer.reason)}"))
    for one, why in zip(answer.candidates, answer.candidate_reasons, strict=True):
        _line(screen, "candidate", f"{one.kind} {clean(one.full_name())}  {clean(_owner(one))}  {why}")
    for title, near in (("before", answer.previous), ("next", answer.following)):
        if near is not None:
            start, end = _span(near, zone)
            _line(screen, title, f"{near.kind} {clean(near.full_name())}  {start if title == 'next' else end}")


def _line(screen: Any, title: str, text: str) -> None:
    screen.print(f"  {title:<10} {text}".rstrip())


def _print_holder(one: HoldView, zone: tzinfo, screen: Any) -> None:
    _line(screen, one.kind, f"{clean(one.full_name())}  {clean(_owner(one))}")
    zoned = f" (zone {clean(one.zone)})" if one.zone else ""
    images = f"  image {clean(', '.join(one.images))}" if one.images else ""
    if one.kind == "pod":
        _line(screen, "on", f"{clean(one.node or 'no node yet')}{zoned}{images}")
    if one.labels:
        _line(screen, "labels", clean(" ".join(f"{name}={text}" for name, text in one.labels.items())))
    if one.services:
        _line(screen, "serves", clean(one.services))
    start, end = _span(one, zone)
    _line(screen, "from", start)
    _line(screen, "to", end)


def _print_holds(holds: list[HoldView], zone: tzinfo, what: str, whole: bool) -> None:
    screen = console()
    if not holds:
        of = "of the history" if whole else "of what could be read"
        screen.print(f"{clean(what)}: no object {of} ever held it")
        return
    rows = [(one.address, one.kind, clean(one.full_name()), clean(_owner(one)), *_span(one, zone)) for one in holds]
    heads = ("address", "kind", "name", "workload", "from", "to")
    wide = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        screen.print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())

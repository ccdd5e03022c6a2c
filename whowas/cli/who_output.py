"""Answers of `whowas who` on a terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from enrich.naming.who import Answer, HoldView, to_json
from whowas.cli.terminal import COLOURS, clean, console, plural
from whowas.history.queries import Reply
from whowas.safe_text import harmless
from whowas.timestamps import moment_us, rfc3339, spell

if TYPE_CHECKING:
    from enrich.naming.explain import Line

BOUNDS = ("start_min", "start_max", "end_min", "end_max")
COLUMNS = (
    "asked", "address", "port", "at", "confidence", "role", "cluster", "kind", "namespace", "name", "workload_kind",
    "workload", "node", "zone", *BOUNDS, "network", "reason",
)  # fmt: skip
# A confidence that more of the history cannot change.
SETTLED = frozenset(("exact", "service", "node", "external"))
PUBLISHED = timedelta(seconds=30)


def answers_of(reply: Reply) -> list[Answer] | None:
    """Return the answers of a reply about a moment, None for a timeline."""
    if isinstance(reply.found, Answer):
        return [reply.found]
    return None if reply.at_us is None else reply.found


def as_json(reply: Reply) -> Any:
    """An address at a moment: an Answer. Names and addresses over time: a list of holds. The rest: an object."""
    if isinstance(reply.found, Answer) or (reply.at_us is None and reply.question.network is None):
        return to_json(reply.found)
    told = {"asked": reply.question.asked, "total": reply.total}
    if reply.at_us is None:
        return told | {"holds": to_json(reply.found)}
    return told | {"at": rfc3339(reply.at_us), "answers": to_json(reply.found), "unknown": reply.unknown or None}


def print_csv(replies: Sequence[Reply]) -> None:
    """A row for every holder or candidate; an answer without any has one row, too."""
    page = io.StringIO()
    out = csv.writer(page, lineterminator="\n")
    out.writerow(COLUMNS)
    for one in replies:
        for row in _rows(one):
            out.writerow([harmless(clean(row.get(name) or "")) for name in COLUMNS])
    click.echo(page.getvalue(), nl=False)


def _rows(reply: Reply) -> Iterator[dict[str, Any]]:
    answers = answers_of(reply)
    if answers is None:
        yield from ({"asked": reply.question.asked} | to_json(one) for one in reply.found)
        return
    for one in answers:
        told = {name: getattr(one, name) for name in ("address", "port", "confidence", "cluster", "network", "reason")}
        told |= {"asked": reply.question.asked, "at": to_json(one.at)}
        holder = [] if one.holder is None else [("holder", one.holder)]
        several = [*holder, *(("candidate", each) for each in one.candidates)]
        for role, each in several:
            yield to_json(each) | told | {"role": role}
        if not several:
            yield told


def print_reply(reply: Reply, zone: tzinfo, whole: bool, live: bool) -> None:
    """Print for people. whole: all of the history could be read. live: it is a store, which may grow."""
    if isinstance(reply.found, Answer):
        _print_answer(reply.found, zone, live)
        return
    answers = answers_of(reply)
    asked = clean(reply.question.asked)
    screen = console()
    if answers:
        _print_answers(answers, zone, live)
    elif reply.at_us is not None:
        held = "no address of it was held" if reply.question.network else "it held no address"
        unless = f", as far as is known: {reply.unknown}" if reply.unknown else ""
        screen.print(f"{asked}: {held} at {spell(reply.at_us, zone, 3)}{unless}")
    elif reply.found:
        _print_holds(reply.found, zone)
    else:
        of = "of the history" if whole else "of what could be read"
        screen.print(f"{asked}: no object {of} {'held an address of it' if reply.question.network else 'ever held it'}")
    if reply.question.port is not None and answers is None:
        screen.print("whose the port was depends on the moment: say --at TIME", style="dim")
    if reply.total > len(reply.found):
        shown = f"the first {len(reply.found):,} are shown; --limit {reply.total} shows all"
        screen.print(f"{asked}: {plural(reply.total, 'row')}, {shown}")


def _print_answers(answers: list[Answer], zone: tzinfo, live: bool) -> None:
    rows = []
    for one in answers:
        several = [one.holder] if one.holder is not None else list(one.candidates)
        names = " | ".join(f"{each.kind} {clean(each.full_name())}" for each in several) or "nobody that is known"
        span = _span(several[0], zone) if len(several) == 1 else ("", "")
        owner = clean(_owner(several[0])) if len(several) == 1 else ""
        rows.append((one.address, one.confidence, names, owner, *span))
    console().print(f"at {_moment(answers[0].at, zone, '')}")
    _print_table(("address", "sure?", "held by", "workload", "from", "to"), rows)
    _print_end(answers[0], zone, all(one.confidence in SETTLED for one in answers), live)


def _print_holds(holds: list[HoldView], zone: tzinfo) -> None:
    rows = [(one.address, one.kind, clean(one.full_name()), clean(_owner(one)), *_span(one, zone)) for one in holds]
    _print_table(("address", "kind", "name", "workload", "from", "to"), rows)


def _print_table(heads: Sequence[str], rows: list[Any]) -> None:
    screen = console()
    wide = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        screen.print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())


def print_evidence(said: list[tuple[str, Line]], zone: tzinfo) -> None:
    """Print what was said of each object, line by line."""
    screen = console()
    before = ""
    for name, one in said:
        if name != before:
            screen.print(f"evidence of {clean(name)}")
            before = name
        when = "at an unknown time" if one.received_us is None else spell(one.received_us, zone, 3)
        screen.print(f"  {when}  {one.verb:<8} {clean(one.says)}  ({clean(one.source)})")


def _moment(at: datetime | None, zone: tzinfo, otherwise: str) -> str:
    return otherwise if at is None else spell(moment_us(at), zone, 3)


def _span(one: HoldView, zone: tzinfo) -> tuple[str, str]:
    """Both bounds of the start and of the end; one time where they meet within a second's thousandth."""
    if one.kind == "external":
        return "outside the cluster", ""
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


def _print_answer(answer: Answer, zone: tzinfo, live: bool) -> None:
    screen = console()
    named = answer.holder is not None or answer.confidence == "external"
    nobody = "was nobody's" if answer.confidence == "none" else "is not known"
    verb = "was" if named else "may have been" if answer.candidates else nobody
    port = f" port {answer.port}" if answer.port else ""
    screen.print(f"{answer.address}{port} at {_moment(answer.at, zone, '')} {verb}")
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
    _print_end(answer, zone, answer.confidence in SETTLED, live)


def _print_end(answer: Answer, zone: tzinfo, settled: bool, live: bool) -> None:
    """Where the history ends before all of that moment can be known, say where it ends and what to do."""
    known = answer.known_until
    if settled or known is None or known >= answer.at + PUBLISHED:
        return
    gap = answer.at - known
    beyond = f"{_length(gap)} before that moment" if gap > timedelta() else f"{_length(-gap)} after that moment"
    advice = "; a quiet cluster is heard of up to 4 min later: ask again then, or --wait 240" if live else ""
    _line(console(), "known", f"the history ends {_moment(known, zone, '')}, {beyond}{advice}")


def _length(span: timedelta) -> str:
    """A length of time in its largest unit."""
    seconds = span.total_seconds()
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:,.1f} days"


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

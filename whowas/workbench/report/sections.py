"""The parts of a report that tell of flows: summary, pictures, edges, how sure, what was not seen, inputs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from whowas.safe_text import size
from whowas.workbench.api.common import Edge, Name, Question
from whowas.workbench.api.who import Gap
from whowas.workbench.commands import Places, of_report, of_who, quoted
from whowas.workbench.report import map_picture, timeline
from whowas.workbench.report.gather import Gathered
from whowas.workbench.report.markup import (
    Html,
    count,
    folded,
    joined,
    moment,
    percent,
    plural,
    section,
    table,
    tag,
    to_copy,
)
from whowas.workbench.report.sureness import LOOKS, end, rank, word


def span_of(made: Gathered) -> tuple[int, int] | None:
    """The range of the report, us."""
    span = made.wish.span
    return None if span is None else (span.since, span.until)


def summary(made: Gathered) -> Html:
    """What it is about, and the answer in two sentences."""
    rows = [
        ("Range", _range(made)),
        ("Filter", tag("code", made.wish.filter) if made.wish.filter else "none: all flows of the range"),
        *([("Chosen", made.chosen)] if made.chosen else []),
        ("Flows", f"{count(made.flows)}, {size(made.bytes)}"),
        ("Clusters of the folder", ", ".join(one or "(no name)" for one in made.status.clusters)),
        *([("Findings", f"{plural(made.findings_all, 'finding')} in this range")] if made.status.findings else []),
    ]
    items = joined(Html(tag("dt", name) + tag("dd", value)) for name, value in rows)
    return section("Summary", tag("dl", items), _sentence(made))


def _range(made: Gathered) -> str:
    span = made.wish.span
    if span is not None:
        return f"{moment(span.since)} until before {moment(span.until)}"
    if made.status.since is None:
        return "all there is"
    return f"all there is, in the hours from {moment(made.status.since, 0)} until {moment(made.status.until, 0)}"


def _sentence(made: Gathered) -> Html:
    ends = _by_word(made)
    whole = sum(ends.values())
    if not whole:
        return tag("p", "No flow is left by this filter in this range.")
    certain, open_ = ends["exact"], sum(ends[one] for one in ("ambiguous", "snat", "unknown", "none"))
    told = [
        tag("strong", f"{percent(certain, whole)} of all ends are certain"), " (exact), ",
        f"{percent(ends['likely'], whole)} likely; ", tag("strong", f"{percent(open_, whole)} name nobody"),
        " (ambiguous, snat, none, unknown). A name is never shown here without its word.",
    ]  # fmt: skip
    return tag("p", *told)


def _by_word(made: Gathered) -> Counter[str]:
    found: Counter[str] = Counter()
    for sure, flows in zip(made.ends.confidence, made.ends.flows, strict=True):
        found[sure] += flows
    return found


def over_time(made: Gathered) -> Html:
    """Flows over time, as a picture and in numbers."""
    length, buckets = timeline.coarser(made.over_time)
    gaps = made.gaps.gaps if made.gaps else []
    rows = [
        (moment(start, 0), word(sure), count(flows), size(total))
        for start, one in buckets.items()
        for sure, (flows, total) in sorted(one.items(), key=lambda item: rank(item[0]))
    ]
    shown = rows[:500]
    note = tag("p", f"The first {len(shown)} of {len(rows)} lines.") if len(rows) > len(shown) else ""
    used = sorted(set(made.over_time.confidence), key=rank)
    numbers = folded("The same in numbers", table(("from", "weaker end", "flows", "bytes"), shown, (2, 3)), note)
    picture = timeline.draw(made.over_time, gaps, span_of(made))
    what = f"A bar is {timeline.length(length)}; its parts are flows by the confidence of their weaker end."
    return section("Flows over time", tag("p", what), picture, timeline.legend(used), numbers)


def the_map(made: Gathered) -> Html:
    """Who talked to whom."""
    what = "A column is a namespace. Ends of different confidence are different boxes, even of one name."
    what += " All that have no name stand in one box for each word: they may be many."
    return section("Map", tag("p", what), map_picture.draw(made.map))


def top_edges(made: Gathered) -> Html:
    """The heaviest edges, ports apart."""
    several = len(made.status.clusters) > 1
    names = made.talkers.names
    rows = [_row(one, names, several) for one in made.talkers.edges]
    head = ("from", "to", "port", "direction", "flows", "bytes", "first", "last")
    left = made.talkers.left_out
    note = f"{plural(left, 'more edge')} with {plural(made.talkers.rest, 'flow')} are not listed." if left else ""
    return section("Top edges", table(head, rows, (4, 5)), tag("p", note) if note else "")


def _row(one: Edge, names: list[Name], several: bool) -> tuple[object, ...]:
    port = f"{one.protocol} {one.port}" if one.port is not None else one.protocol
    ends = (end(names[one.src], several), end(names[one.dst], several))
    return *ends, port, one.direction, count(one.flows), size(one.bytes), moment(one.first), moment(one.last)


def how_sure(made: Gathered) -> Html:
    """Every word of confidence, how often, what it means; and the reasons that were given."""
    sides = {(side, sure): flows for side, sure, flows in zip(
        made.ends.side, made.ends.confidence, made.ends.flows, strict=True
    )}  # fmt: skip
    by = _by_word(made)
    rows = [
        (
            word(sure), count(sides.get(("src", sure), 0)), count(sides.get(("dst", sure), 0)),
            percent(by[sure], sum(by.values())), one.meaning,
        )
        for sure, one in LOOKS.items()
        if by[sure]
    ]  # fmt: skip
    reasons = [
        (facet.column.partition("_")[0], value if value is not None else "none told", count(flows))
        for facet in made.reasons
        for value, flows in zip(facet.values, facet.flows, strict=True)
    ]
    head = ("word", "as source", "as destination", "of all ends", "means")
    why = tag("h3", "Why")
    return section(
        "How sure, and why", table(head, rows, (1, 2, 3)), why, table(("end", "reason", "flows"), reasons, (2,))
    )


def not_seen(made: Gathered) -> Html:
    """Gaps, files, limits."""
    gaps = made.gaps.gaps if made.gaps else []
    rows = [(one.cluster or "(no name)", *_gap(one), one.why) for one in gaps[:100]]
    known = made.gaps.known_until if made.gaps else {}
    told = [f"what happened in {name or 'the cluster'} after {moment(us)} has not been told yet"
            for name, us in sorted(known.items())]  # fmt: skip
    if len(gaps) > len(rows):
        told.append(f"{len(gaps) - len(rows)} more gaps are not listed")
    if made.gaps and not rows:
        told.append("the history has no gap in this range")
    items = [tag("li", one) for one in [*made.missing[:200], *told]]
    head = ("cluster", "from", "until", "why")
    when = Html(tag("h3", "Nobody was looking") + table(head, rows)) if rows else ""
    return section("What was not seen", tag("ul", *items), when)


def _gap(one: Gap) -> tuple[str, str]:
    return (
        "before this range" if one.since is None else moment(one.since),
        "after this range" if one.until is None else moment(one.until),
    )


def commands(made: Gathered, places: Places) -> Html:
    """Lines that show the same again. places: as they were given."""
    again = of_report(Question(made.wish.filter, made.wish.span), places, made.wish.finding)
    told = [made.commands.cli, *_query(made, places.flows), *_who_lines(made, places), again]
    sigma = folded("A Sigma rule drafted from the filter", to_copy(made.commands.sigma)) if made.wish.filter else ""
    return section("The same again", *map(to_copy, told), sigma)


def _query(made: Gathered, flows: str) -> Iterator[str]:
    sql = made.commands.sql
    if all(one.isprintable() or one == "\n" for one in sql) and flows.isprintable():
        yield f"whowas query {shlex.quote(sql)} --flows {quoted(flows)}"


def _who_lines(made: Gathered, places: Places) -> Iterator[str]:
    for one in made.who:
        yield of_who(one.what, one.judged.at if one.judged else None, places)


def versions(made: Gathered, time_us: int) -> Html:
    """What made the report, and of what."""
    import duckdb
    import pyarrow

    rows = [(one.kind, one.name, size(one.size), one.sha256 or one.why) for one in made.inputs.listed]
    more = made.inputs.more
    note = f"{plural(more, 'more file')} of {size(made.inputs.more_bytes)} are not listed." if more else ""
    told = f"Made {moment(time_us, 0)} by whowas {made.status.version}, DuckDB {duckdb.__version__}, "
    told += f"pyarrow {pyarrow.__version__}, of {plural(len(rows) + more, 'file')}."
    hashes = folded("Files with SHA-256", table(("what", "file", "size", "SHA-256"), rows, (2,)), tag("p", note))
    return section("Made of", tag("p", told), hashes)

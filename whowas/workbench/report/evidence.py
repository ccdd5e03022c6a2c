"""The parts of a report that tell of findings, and of who held the addresses."""

from __future__ import annotations

from typing import Any

from whowas.safe_text import size
from whowas.workbench.api.findings import FindingRow
from whowas.workbench.api.flows import Flows
from whowas.workbench.api.who import Judged, Lane, Who
from whowas.workbench.report import lanes
from whowas.workbench.report.gather import Gathered, Told
from whowas.workbench.report.markup import (
    Html,
    count,
    folded,
    joined,
    lines,
    moment,
    plural,
    section,
    table,
    tag,
    to_copy,
)
from whowas.workbench.report.sureness import word

MOST = 30
"""Of commands, techniques and the like: a finding has a few, and a file of strangers may have any number."""

UNREAD = "Parts of the history could not be read: a holder may be missing, even where one is called certain."


def findings(made: Gathered) -> Html:
    """Findings of the range, the worst of them whole."""
    if not made.status.findings:
        return Html("")
    if not made.findings and not made.whole:
        return section("Findings", tag("p", "No finding in this range."))
    head = ("level", "title", "sure", "flows", "first", "last", "state", "id")
    rows = [_row(one) for one in made.findings]
    listed = table(head, rows, (2, 3)) if rows else ""
    return section("Findings", listed, *map(_whole, made.whole))


def _row(one: FindingRow) -> tuple[object, ...]:
    title = tag("strong", one.title)
    return one.level, title, f"{one.score} %", count(one.flows), moment(one.first), moment(one.last), one.state, one.uid


def _whole(told: Told) -> Html:
    one = told.finding
    info = one.ocsf.get("finding_info")
    described = info.get("desc") if isinstance(info, dict) else None
    parts: list[object] = [
        tag("h3", f"{one.row.level}: {one.row.title}"),
        tag("p", one.row.message),
        tag("p", lines(described)) if isinstance(described, str) else "",
        _pairs(one.row, one.attack),
        _flows(told.flows, one.row),
        _listed("May be harmless when", one.false_positives),
        _next(one.ocsf, one.commands),
        _notes(told),
    ]
    return tag("article", *parts)


def _pairs(row: FindingRow, attack: list[str]) -> Html:
    pairs = [
        ("Id", row.uid), ("Rule", row.rule), ("Sure", f"{row.score} %"),
        ("When", f"{moment(row.first)} .. {moment(row.last)}"), ("ATT&CK", "; ".join(attack[:MOST]) or "not told"),
    ]  # fmt: skip
    return tag("dl", joined(Html(tag("dt", name) + tag("dd", value)) for name, value in pairs))


def _flows(told: Flows, row: FindingRow) -> Html:
    """Its flows as they were named; those that are not in the folder are told."""
    head = ("started", "from", "to", "protocol", "out", "in", "id")
    rows = [_flow(told, place) for place in range(len(told.flow_id))]
    lost = row.flows - len(rows)
    note = f"{plural(lost, 'more flow')} of it are not shown: not in the folder, not kept as evidence, or too many."
    return Html(tag("h4", "Its flows") + table(head, rows, (4, 5)) + (tag("p", note) if lost > 0 else ""))


def _flow(told: Flows, place: int) -> tuple[object, ...]:
    one: dict[str, Any] = {name: told.values[number][place] for number, name in enumerate(told.columns)}
    sizes = [size(one[name]) if one[name] is not None else "not told" for name in ("bytes_out", "bytes_in")]
    return moment(one["start_time"]), _end(one, "src"), _end(one, "dst"), one["protocol"], *sizes, told.flow_id[place]


def _end(one: dict[str, Any], side: str) -> Html:
    """An end of a flow: name, word, address, why."""
    known = {name: one[f"{side}_{name}"] for name in ("namespace", "pod", "service", "workload", "kind", "ip", "port")}
    name = known["pod"] or known["service"] or known["workload"] or known["kind"] or "no name"
    told = "/".join(part for part in (known["namespace"], name) if part)
    address = f"{known['ip'] or 'no address'}" + (f" port {known['port']}" if known["port"] is not None else "")
    sure = word(one[f"{side}_confidence"] or "unknown")
    why = tag("small", one[f"{side}_reason"] or "")
    return joined((tag("span", told), Html(" "), sure, Html("<br>"), address, Html("<br>"), why))


def _listed(title: str, items: list[str]) -> Html:
    return Html(tag("h4", title) + tag("ul", *(tag("li", one) for one in items[:MOST]))) if items else Html("")


def _next(ocsf: dict[str, Any], commands: list[str]) -> Html:
    told = ocsf.get("remediation")
    advice = told.get("desc") if isinstance(told, dict) else None
    if not isinstance(advice, str):
        return Html("")
    copied = joined(map(to_copy, commands[:MOST]))
    whole = folded("All of the advice, with its notes", tag("pre", lines(advice)))
    return Html(tag("h4", "What to do next: to be read, then copied; none of it was run") + copied + whole)


def _notes(told: Told) -> Html:
    rows = [(moment(one.time, 0), one.author, one.state, lines(one.text)) for one in told.finding.notes[-50:]]
    return Html(tag("h4", "Notes") + table(("when", "who, as they say", "state", "note"), rows)) if rows else Html("")


def who(made: Gathered) -> Html:
    """Who held the addresses."""
    if not made.who:
        return Html("")
    span, times = made.wish.span, made.over_time.time
    axis = None if span is None else (span.since, span.until)
    if axis is None and times:
        axis = min(times) - made.over_time.bucket, max(times) + 2 * made.over_time.bucket
    what = (
        "Solid is certain; what is dashed is possible alone; grey is time in which nobody was looking. A holder of "
        "another time stands in the table alone. "
        "A red line is the moment of a finding's flow."
    )
    parts = [_address(made, one, axis) for one in made.who]
    warned = tag("p", tag("strong", UNREAD)) if made.unread else ""
    return section("Who held the addresses", warned, tag("p", what), *parts)


def _address(made: Gathered, one: Who, axis: tuple[int, int] | None) -> Html:
    moments = [] if one.judged is None else _moments(made, one.what)
    head = ("holder", "workload", "node", "begins", "ends", "images", "told by")
    rows = [_lane(lane) for lane in one.lanes]
    lanes_told = [lanes.draw(one, axis, moments), table(head, rows)] if rows else [tag("p", "No holder is known.")]
    return tag("article", tag("h3", one.what), _judged(one.judged), *lanes_told)


def _moments(made: Gathered, address: str) -> list[int]:
    found = set()
    for told in made.whole:
        place = {name: told.flows.columns.index(name) for name in ("start_time", "src_ip", "dst_ip")}
        for row in range(len(told.flows.flow_id)):
            ends = [told.flows.values[place[name]][row] for name in ("src_ip", "dst_ip")]
            at = told.flows.values[place["start_time"]][row]
            if address in ends and at is not None:
                found.add(at)
    return sorted(found)[:50]


def _judged(one: Judged | None) -> Html:
    if one is None:
        return Html("")
    holder = tag("strong", lanes.name_of(one.holder)) if one.holder else tag("strong", one.network or "nobody by name")
    said = tag("p", f"At {moment(one.at)} it was ", holder, " ", word(one.confidence), f": {one.reason}")
    reasons = [*one.candidate_reasons, *[""] * len(one.candidates)]
    items = [tag("li", f"{lanes.name_of(lane)}: {why}") for lane, why in zip(one.candidates, reasons, strict=False)]
    return Html(said + (tag("p", "It may have been") + tag("ul", *items[:20]) if items and not one.holder else ""))


def _lane(one: Lane) -> tuple[object, ...]:
    workload = " ".join(part for part in (one.workload_kind, one.workload) if part)
    ends = (lanes.bound(one.start_min, one.start_max), lanes.bound(one.end_min, one.end_max, False))
    source = f"{one.source} (contradicts itself)" if one.conflict else one.source
    return lanes.name_of(one), workload, one.node, *ends, ", ".join(one.images), source

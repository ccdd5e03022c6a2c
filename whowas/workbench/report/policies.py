"""What policies said of the flows of a report: pairs by verdict, first those that were denied and yet seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, cast

from whowas.schema import POLICY_VERDICTS
from whowas.workbench.api.flows import Facet, Facets, FacetsAsk
from whowas.workbench.api.map import MapAsk, MapEdge, ServiceMap
from whowas.workbench.database import Call
from whowas.workbench.report.markup import Html, count, moment, plural, section, table, tag
from whowas.workbench.report.sureness import end
from whowas.workbench.workbench import Workbench

VERDICT, DENIED = "policy_verdict", "denied"
MOST_EDGES, MOST_PORTS, MOST_REASONS = 100, 5, 10
HEAD = ("from", "to", "ports", "flows", "first", "last")
WHY = "A flow that was denied and answered says that policies are not enforced, or late, or that what is known of them "
WHY += "is wrong. An attempt that nobody answered is seen before it is stopped."


class Verdicts(NamedTuple):
    """flows: by verdict. pairs: painted by verdict. denied, reasons: of denied flows alone, None: there are none."""

    flows: Counter[str]
    pairs: ServiceMap
    denied: ServiceMap | None
    reasons: Facets | None


def gather(bench: Workbench, call: Call, asked: MapAsk, counted: Sequence[Facet]) -> Verdicts | None:
    """Ask for pairs by verdict; None where no flow was judged. counted: facets, one of them of verdicts."""
    facet = next(one for one in counted if one.column == VERDICT)
    flows = Counter({one: many for one, many in zip(facet.values, facet.flows, strict=True) if one is not None})
    if not flows:
        return None
    pairs = cast("ServiceMap", bench.answer("/api/map", _map(asked, asked.filter, VERDICT), call))
    if not flows[DENIED]:
        return Verdicts(flows, pairs, None, None)
    words = f"{asked.filter} where={VERDICT}={DENIED}".strip()
    why = FacetsAsk(words, asked.range, columns=["policy_reason"], limit=MOST_REASONS)
    denied, reasons = bench.answer("/api/map", _map(asked, words, ""), call), bench.answer("/api/facets", why, call)
    return Verdicts(flows, pairs, cast("ServiceMap", denied), cast("Facets", reasons))


def _map(asked: MapAsk, words: str, paint: str) -> MapAsk:
    return MapAsk(words, asked.range, by="workload", limit=MOST_EDGES, paint=paint)


def what_policies_say(told: Verdicts | None, several: bool) -> Html:
    """The section; nothing where no flow was judged. several: there is more than one cluster."""
    if told is None:
        return Html("")
    words = [f"{word} {count(told.flows[word])}" for word in POLICY_VERDICTS if told.flows[word]]
    body = [tag("p", f"Flows by what policies said at their start: {', '.join(words)}.")]
    if told.denied is not None:
        body += [tag("h3", "Seen though denied"), tag("p", WHY), _table(told.denied, told.denied.edges, several)]
        body.append(_left(told.denied))
        if told.reasons is not None:
            (facet,) = told.reasons.facets
            rows = [(one or "", count(many)) for one, many in zip(facet.values, facet.flows, strict=True)]
            body.append(table(("why they were denied", "flows"), rows, (1,)))
    for word in POLICY_VERDICTS:
        mine = [one for one in told.pairs.edges if word != DENIED and word in dict(one.painted)]
        if mine:
            body += [tag("h3", word.capitalize()), _table(told.pairs, mine, several, word)]
    return section("What policies say", *body, _left(told.pairs))


def _table(told: ServiceMap, edges: Sequence[MapEdge], several: bool, word: str = "") -> Html:
    """Pairs of a verdict. word: the paint that counts, "": all flows of an edge are of one."""
    rows = [
        (
            end(told.nodes[one.src].name, several), end(told.nodes[one.dst].name, several), _ports(one),
            count(dict(one.painted)[word] if word else one.flows), moment(one.first), moment(one.last),
        )
        for one in edges
    ]  # fmt: skip
    return table(HEAD, rows, (3,))


def _ports(one: MapEdge) -> str:
    told = [protocol if port is None else f"{protocol} {port}" for protocol, port, _ in one.ports[:MOST_PORTS]]
    more = len(one.ports) - len(told) + one.more_ports
    return ", ".join(told) + (f" and {more} more" if more else "")


def _left(told: ServiceMap) -> Html:
    edges, flows = told.left_out[1:]
    return tag("p", f"{plural(edges, 'more pair')} with {plural(flows, 'flow')} are not listed.") if edges else Html("")

"""The map as a picture: a column a namespace, a box an end of one confidence. The same input makes the same picture."""

from __future__ import annotations

import math
from typing import NamedTuple

from whowas.workbench.api.map import MapEdge, MapNode, ServiceMap
from whowas.workbench.report.markup import Html, count, cut, plural, tag
from whowas.workbench.report.sureness import LOOKS, look, named, rank
from whowas.workbench.report.timeline import svg_text

MOST_NODES = 150
BOX, TALL, GAP, BETWEEN, TOP, ROWS, COLUMNS = 172, 36, 12, 60, 44, 22, 5
WIDEST = 1068  # of the page
LETTERS = 25


class Place(NamedTuple):
    """Where a box stands. column: its number."""

    x: float
    y: float
    column: int


class Drawn(NamedTuple):
    """What is drawn of a map: places in its lists. nodes, edges: that are left out."""

    nodes: list[int]
    edges: list[int]
    nodes_out: int
    edges_out: int
    flows_out: int


def choose(told: ServiceMap) -> Drawn:
    """The heaviest edges whose ends fit."""
    kept: dict[int, None] = {}
    edges = []
    for place, one in enumerate(told.edges):
        new = {one.src, one.dst} - kept.keys()
        if len(kept) + len(new) <= MOST_NODES:
            kept |= dict.fromkeys(sorted(new))
            edges.append(place)
    shown = set(edges)
    flows = sum(one.flows for place, one in enumerate(told.edges) if place not in shown)
    nodes, lost, rest = told.left_out
    return Drawn(
        list(kept), edges, nodes + len(told.nodes) - len(kept), lost + len(told.edges) - len(edges), rest + flows
    )


def draw(told: ServiceMap) -> Html:
    """The picture, its legend and what is left out."""
    if not told.edges:
        return tag("p", "No flow, no map.")
    chosen = choose(told)
    several = len({one.name.cluster for one in told.nodes}) > 1
    columns = _columns([told.nodes[one] for one in chosen.nodes], several)
    places, heads = _places(columns, told.nodes)
    most = max(told.edges[one].flows for one in chosen.edges)
    lines = [_edge(told, told.edges[one], places, most) for one in chosen.edges]
    boxes = [_box(told.nodes[one], places[one], several) for one in sorted(places)]
    wide = max(one.x for one in places.values()) + BOX + 60
    tall = max(one.y for one in places.values()) + TALL + 16
    title = tag("title", f"Who talked to whom: {plural(len(chosen.nodes), 'name')}, {plural(len(lines), 'edge')}")
    picture = tag(
        "svg",
        title,
        *heads,
        *lines,
        *boxes,
        viewBox=f"0 0 {wide:g} {tall:g}",
        width=f"{min(wide, WIDEST):g}",
        role="img",
    )
    return Html(tag("div", picture, class_="wide") + legend() + _left_out(chosen))


def _left_out(chosen: Drawn) -> Html:
    if not chosen.edges_out and not chosen.nodes_out:
        return tag("p", "Every name and edge of these flows is drawn.")
    return tag(
        "p", f"Not drawn: {plural(chosen.nodes_out, 'name')} and {plural(chosen.edges_out, 'edge')} with "
        f"{plural(chosen.flows_out, 'flow')}; the heaviest edges with at most {MOST_NODES} names are.",
    )  # fmt: skip


def _columns(nodes: list[MapNode], several: bool) -> dict[tuple[int, str], list[MapNode]]:
    found: dict[tuple[int, str], list[MapNode]] = {}
    for one in nodes:
        found.setdefault(_column(one, several), []).append(one)
    for listed in found.values():
        listed.sort(key=lambda one: (-one.flows, named(one.name), rank(one.name.confidence)))
    return dict(sorted(found.items()))


def _column(one: MapNode, several: bool) -> tuple[int, str]:
    """External on the left, then namespaces, then what has none."""
    name = one.name
    cluster = f"{name.cluster}: " if several else ""
    if name.kind == "external":
        return 0, f"{cluster}outside"
    if name.namespace:
        return 1, f"{cluster}{name.namespace}"
    return 2, f"{cluster}{name.kind or 'not named'}"


def _places(columns: dict[tuple[int, str], list[MapNode]], nodes: list[MapNode]) -> tuple[dict[int, Place], list[Html]]:
    """Boxes by their place in the list of nodes, and the words above columns.

    A long column goes on beside itself; what does not fit beside goes on below.
    """
    number = {id(one): place for place, one in enumerate(nodes)}
    found: dict[int, Place] = {}
    heads = []
    column, top, deepest = 0, TOP, 0
    for (_, title), listed in columns.items():
        for first in range(0, len(listed), ROWS):
            if column == COLUMNS:
                column, top, deepest = 0, top + deepest * (TALL + GAP) + TOP, 0
            x = 12 + column * (BOX + BETWEEN)
            heads.append(svg_text(x, top - 18, cut(title, LETTERS + 4), 12, font_weight="bold"))
            for row, one in enumerate(listed[first : first + ROWS]):
                found[number[id(one)]] = Place(x, top + row * (TALL + GAP), column)
                deepest = max(deepest, row + 1)
            column += 1
    return found, heads


def _box(one: MapNode, place: Place, several: bool) -> Html:
    drawn, sure = look(one.name.confidence), one.name.confidence
    name = named(one.name, several)
    told = f"{cut(name)}, {sure}: {plural(one.flows, 'flow')}" + (f", {count(one.inside)} within" if one.inside else "")
    shown = one.name.name or named(one.name)
    box = tag(
        "rect", x=place.x, y=place.y, width=BOX, height=TALL, rx=2 if drawn.dash is None else 12, fill="#ffffff",
        stroke=drawn.colour, stroke_width=drawn.width, stroke_dasharray=drawn.dash,
    )  # fmt: skip
    first = svg_text(place.x + 8, place.y + 15, _short(shown), 12, font_weight="bold" if sure == "exact" else None)
    second = svg_text(place.x + 8, place.y + 29, f"{sure} · {plural(one.flows, 'flow')}", 10)
    return tag("g", tag("title", told), box, first, second)


def _short(value: str) -> str:
    told = cut(value, 1000)
    return told if len(told) <= LETTERS else f"{told[: LETTERS - 8]}…{told[-7:]}"


def _edge(told: ServiceMap, one: MapEdge, places: dict[int, Place], most: int) -> Html:
    drawn = look(one.worst)
    width = round(0.8 + 3.2 * math.log1p(one.flows) / math.log1p(most), 2)
    path, arrow = _way(places[one.src], places[one.dst])
    ports = ", ".join(f"{protocol} {port if port is not None else 'no port'}" for protocol, port, _ in one.ports)
    ends = " → ".join(named(told.nodes[place].name) for place in (one.src, one.dst))
    title = tag("title", f"{cut(ends)}: {plural(one.flows, 'flow')}, {cut(ports)}; weaker end {one.worst}")
    line = tag(
        "path", d=path, fill="none", stroke=drawn.colour, stroke_width=width, stroke_dasharray=drawn.dash,
        stroke_opacity=0.65,
    )  # fmt: skip
    return tag("g", title, line, tag("path", d=arrow, fill=drawn.colour))


def _way(src: Place, dst: Place) -> tuple[str, str]:
    """A curve between two boxes and its arrow. Within one column it goes around on the right."""
    y1, y2 = src.y + TALL * 0.4, dst.y + TALL * 0.6
    forward, backward = dst.column > src.column, dst.column < src.column
    x1 = src.x if backward else src.x + BOX
    x2 = dst.x if forward else dst.x + BOX
    bend = 30 if src.column == dst.column else max(abs(x2 - x1) * 0.4, 30)
    c1, c2 = (x1 - bend if backward else x1 + bend), (x2 - bend if forward else x2 + bend)
    side = -7 if forward else 7
    arrow = f"M{x2:g} {y2:g}L{x2 + side:g} {y2 - 4:g}L{x2 + side:g} {y2 + 4:g}Z"
    return f"M{x1:g} {y1:g}C{c1:g} {y1:g} {c2:g} {y2:g} {x2:g} {y2:g}", arrow


def legend() -> Html:
    """How each confidence is drawn, and what it means."""
    items = []
    for sure, one in LOOKS.items():
        rect = tag(
            "rect", x=2, y=3, width=34, height=14, rx=2 if one.dash is None else 7, fill="#ffffff", stroke=one.colour,
            stroke_width=one.width, stroke_dasharray=one.dash,
        )  # fmt: skip
        items.append(
            tag("li", tag("svg", rect, width=38, height=20, role="presentation"), " ", sure, ": ", one.meaning)
        )
    return tag("ul", *items, class_="legend")

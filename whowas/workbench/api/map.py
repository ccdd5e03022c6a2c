"""Who talked to whom, in groups."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from whowas.workbench.api.common import About, Measure, Name, Question, TimeRange, Told, Us

Group = Literal["namespace", "workload", "node", "pod", "label"]


class MapAsk(Question):
    """by: what a node of the map is; label: its key for by "label". ports: an edge a port, else ports are folded.

    baseline: marks edges as new, and tells those that are gone. limit: edges, heaviest by `measure`;
    painted by a verdict those with denied flows come first.
    paint: of Status.paints: edges tell how many of their flows have each of its values ("" = none is asked).
    """

    by: Group = "namespace"
    label: Annotated[str, Meta(max_length=317)] = ""
    ports: bool = False
    measure: Measure = "flows"
    baseline: TimeRange | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1500
    paint: Annotated[str, Meta(max_length=40)] = ""


class MapNode(Told):
    """One group of ends. flows, bytes: of all its edges, shown or not; inside: flows within it (src = dst)."""

    name: Name
    flows: int
    bytes: int
    inside: int


class MapEdge(Told):
    """Flows from node src to node dst (places in ServiceMap.nodes).

    ports: [protocol, port of dst, flows], at most 20, heaviest first; more_ports: left out. worst: the weaker of both
    nodes' confidences. change: against the baseline ("" = in both, or no baseline was asked for). painted: [value of
    the column that was asked for ("" = none is told), flows], most flows first.
    """

    src: int
    dst: int
    flows: int
    bytes: int
    packets: int
    ports: list[tuple[str, int | None, int]]
    more_ports: int
    worst: str
    direction: str
    first: Us | None
    last: Us | None
    change: Literal["", "new", "gone"] = ""
    painted: list[tuple[str, int]] = field(default_factory=list)


class ServiceMap(Told):
    """Who talked to whom. left_out: [nodes, edges, flows] that are not shown."""

    about: About
    nodes: list[MapNode]
    edges: list[MapEdge]
    left_out: tuple[int, int, int]

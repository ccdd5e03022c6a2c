"""Whose a port of an address is that several have: Services, nodes, and pods that open a port on their node.

Protocol and port are looked up in one place, `Openings.of`: who opens a port of an address, each with the bounds within
which it was open (us, as those of a hold).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from enrich.history.history import ClusterHistory
from enrich.history.lookup import CANDIDATES
from enrich.holds.derive import HOST_POD, NODE, SERVICE
from enrich.holds.pod_ports import PortKey, read_ports
from enrich.holds.versions import Bounds, port_spans
from enrich.naming.name_columns import NameTable
from enrich.naming.verdicts import (
    AMBIGUOUS,
    AT_NODE,
    AT_SERVICE,
    BY_PORT,
    HOST_PORT,
    LIKELY,
    NODE_PORT,
    PLAIN,
    PORT_EDGE,
    SERVICE_PORT,
    Verdicts,
)
from whowas.arrays import Flags, Words
from whowas.timestamps import AFTER_ALL


class Opening(NamedTuple):
    """One who opens a port of an address. hold: by which it is named. why: how it opens it."""

    hold: int
    entity: int
    why: int
    bounds: Bounds


class Decision(NamedTuple):
    """An answer. code -1: as it was. among: holds of those who may be meant."""

    code: int
    hold: int = -1
    why: int = PLAIN
    among: tuple[int, ...] = ()


AS_IT_WAS = Decision(-1)


class Openings:
    """Knows who opens which port of which address of a history."""

    def __init__(self, history: ClusterHistory, names: NameTable) -> None:
        self._history, self._names = history, names
        self._own: dict[int, tuple[dict[PortKey, list[Opening]], list[int]]] = {}

    def of(self, address: int, port: PortKey) -> list[Opening]:
        """Return everybody who ever opened a port of an address. address: its row in the history."""
        if address not in self._own:
            self._own[address] = self._read(address)
        own, nodes = self._own[address]
        found = own.get(port, [])
        opened = self._history.opened
        if nodes and port in opened.node_ports:
            found = found + [
                one._replace(bounds=_while(one.bounds, within))
                for entity, within in opened.node_ports[port]
                for one in self._by(entity, NODE_PORT)
            ]
        for node in nodes:
            name = self._history.entities[self._history.entity_of[node]].name
            for entity, on, span in opened.host_ports.get((port, name), ()):
                if on in (None, self._history.holds[node].ip):
                    within = _both(self._bounds(node), span)
                    found = found + [
                        one._replace(bounds=_both(one.bounds, within)) for one in self._by(entity, HOST_PORT)
                    ]
        return found

    def _read(self, address: int) -> tuple[dict[PortKey, list[Opening]], list[int]]:
        """Return the ports of those who hold an address themselves, and the holds of nodes on it."""
        first, kinds = self._history.first, self._history.kinds
        found: dict[PortKey, list[Opening]] = {}
        rows = range(int(first[address]), int(first[address + 1]))
        for row in rows:
            if kinds[row] in (SERVICE, HOST_POD):
                entity = int(self._history.entity_of[row])
                why = SERVICE_PORT if kinds[row] == SERVICE else BY_PORT
                line = self._history.states.line(entity)
                for port, within in port_spans(line, lambda version: read_ports(version.ports)):
                    found.setdefault(port, []).append(Opening(row, entity, why, _both(self._bounds(row), within)))
        return found, [row for row in rows if kinds[row] == NODE]

    def _by(self, entity: int, why: int) -> list[Opening]:
        """Return the port of one who holds other addresses: open while it holds any."""
        return [Opening(row, entity, why, self._bounds(row)) for row in self._names.holds_of(entity)]

    def _bounds(self, row: int) -> Bounds:
        low, sure, end, high = self._history.bounds[row].tolist()
        return low, sure, end, high


def _both(one: Bounds, other: Bounds) -> Bounds:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _while(hold: Bounds, port: Bounds) -> Bounds:
    """Return the bounds of a port of one who may hold an address: what is doubtful of the hold is not of the port."""
    return max(hold[0], port[0]), port[1], port[2], min(hold[3], port[3])


def undecided(verdicts: Verdicts) -> Words:
    """Return the rows in which a node or several Services have an address, and no pod of the pod network."""
    shared = (verdicts.codes == AMBIGUOUS) & (verdicts.why == PLAIN)
    rows = np.flatnonzero(shared | (verdicts.codes == AT_NODE))
    pods, others = verdicts.found.counts[rows, 0], verdicts.found.counts[rows, 2]
    found: Words = rows[(others > 0) & (pods == 0)]
    return found


def decide_by_port(
    openings: Openings, verdicts: Verdicts, rows: Words, keys: tuple[Words, Words, list[str]], low: Words, high: Words
) -> None:
    """Decide rows of verdicts by protocol and port, where these say more than the address.

    Args: keys: for each of `rows` the port and the number of its protocol, and the protocols' words. low, high: of
        each of `rows`, us: the flow lies between.
    """
    port, protocol, words = keys
    address = verdicts.found.counts[rows, 3].astype(np.int64)
    packed = (address << 24) | (port << 8) | protocol
    distinct, inverse = np.unique(packed, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    edges = np.append(0, np.cumsum(np.bincount(inverse, minlength=len(distinct))))
    for number, one in enumerate(distinct.tolist()):
        found = openings.of(one >> 24, (one >> 8 & 0xFFFF, words[one & 0xFF]))
        if found:
            mine = order[edges[number] : edges[number + 1]]
            _decide_rows(found, verdicts, rows[mine], low[mine], high[mine])


def _decide_rows(found: list[Opening], verdicts: Verdicts, rows: Words, low: Words, high: Words) -> None:
    """Decide rows of one port of one address: each combination of who may and who must have had it then once."""
    bounds = np.array([one.bounds for one in found], dtype=np.int64)[:, :, None]
    possible = (bounds[:, 0] <= high) & (low < bounds[:, 3])
    # Of a Service that nobody reported to be gone the end is not near.
    lasts = (high < bounds[:, 2]) | (bounds[:, 3] == AFTER_ALL)
    sure = possible & (bounds[:, 1] <= low) & lasts
    at_node = verdicts.codes[rows] == AT_NODE
    table = np.concatenate([possible, sure, at_node[None]]).T
    patterns, inverse = np.unique(table, axis=0, return_inverse=True)
    size = len(found)
    for number, one in enumerate(patterns):
        mine = rows[inverse.reshape(-1) == number]
        decision = decide(found, one[:size], one[size : 2 * size], bool(one[-1]))
        _write(verdicts, mine, decision)


def _write(verdicts: Verdicts, rows: Words, decision: Decision) -> None:
    if decision.code < 0:
        return
    node = verdicts.holds[rows].copy()
    verdicts.codes[rows], verdicts.holds[rows], verdicts.why[rows] = decision.code, decision.hold, decision.why
    if decision.code == AMBIGUOUS:
        among = decision.among[: CANDIDATES - 1]
        verdicts.found.holds[rows] = -1
        verdicts.found.holds[rows, : len(among)] = among
        verdicts.found.holds[rows, len(among)] = node


def decide(found: list[Opening], possible: Flags, sure: Flags, at_node: bool) -> Decision:
    """Decide whose a port is.

    Args: found: who ever opened it. possible, sure: of each whether it may, and must, have been open. at_node: the
        address is a node's, who has what nobody else has.
    """
    then = [(one, bool(sure[place])) for place, one in enumerate(found) if possible[place]]
    services = [(one, certain) for one, certain in then if one.why in (SERVICE_PORT, NODE_PORT)]
    if services:
        return _service(services, at_node)
    return _pod(then) if at_node else AS_IT_WAS


def _service(services: list[tuple[Opening, bool]], at_node: bool) -> Decision:
    """A Service's own port, or its node port, goes before pods on the node: they are mostly what is behind it."""
    own = sorted([(not certain, one) for one, certain in services if one.why == SERVICE_PORT])
    holds = tuple(dict.fromkeys(one.hold for one, _ in services))
    if len({one.entity for one, _ in services}) > 1:
        # Two node ports cannot be one: it changed hands, and nobody knows when.
        return Decision(AMBIGUOUS, among=holds) if own else AS_IT_WAS
    if not own:
        certain = [one.hold for one, is_sure in services if is_sure]
        # Whether the Service had given it up by then, or had it already, nobody saw.
        return Decision(AT_SERVICE, certain[0], NODE_PORT) if certain else AS_IT_WAS
    unsure, best = own[0]
    if unsure and at_node:
        return Decision(AMBIGUOUS, among=holds)
    return Decision(AT_SERVICE, best.hold, PORT_EDGE if unsure else SERVICE_PORT)


def _pod(then: list[tuple[Opening, bool]]) -> Decision:
    """The one pod that opens a port on its node."""
    by_entity: dict[int, Opening] = {}
    certain = {one.entity for one, is_sure in then if is_sure and one.why == HOST_PORT}
    for one, is_sure in then:
        if is_sure or one.entity not in by_entity:
            by_entity[one.entity] = one
    if len(certain) == 1 and all(one.why == HOST_PORT for one in by_entity.values()):
        # The scheduler puts no second pod with a host port on a node.
        by_entity = {entity: by_entity[entity] for entity in certain}
    several = list(by_entity.values())
    if len(several) == 1:
        return Decision(LIKELY, several[0].hold, several[0].why)
    if any(one.why == HOST_PORT for one in several):
        return Decision(AMBIGUOUS, among=tuple(one.hold for one in several))
    return AS_IT_WAS

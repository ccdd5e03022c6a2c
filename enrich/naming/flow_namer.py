"""Flows to named flows: each end asked at its first packet, checked at the flow's end, names as dictionaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from enrich.history.history import ClusterHistory, History
from enrich.naming.address_namer import AddressNamer, AddressVerdicts
from enrich.naming.foreign_tunnels import of_others
from enrich.naming.ports import Openings, decide_by_port, undecided
from enrich.naming.said_service import said_columns
from enrich.naming.speech import believe, doubt, own_windows, silent
from enrich.naming.uncertain_times import Windows, told_before, windows_of
from enrich.naming.verdicts import (
    AMBIGUOUS,
    AT_NODE,
    EXACT,
    EXTERNAL,
    IN_TUNNEL,
    LIKELY,
    OTHER_VNI,
    OUTER,
    SEVERAL_VNIS,
    SNAT,
    UNKNOWN,
    NamingOptions,
    Verdicts,
)
from whowas.arrays import Flags, Words
from whowas.schema import check, flow_schema, named_schema

POLICY = ("policy_verdict", "policy_ingress", "policy_egress", "policy_reason", "mtls_mode")
TUNNEL_PORTS = (4789, 8472, 6081)
# From here on Linux takes the ports of clients.
EPHEMERAL = 32_768


@dataclass
class _End:
    """One end of a batch of flows."""

    side: str
    ports: Words
    verdicts: Verdicts
    told: AddressVerdicts


class SecondNetworkError(Exception):
    """A second VNI came up, nobody said which is the cluster's, and flows of the first have been named."""


class Namer:
    """An Enricher: names flows by one cluster of a history.

    Args: again: flows can be read once more, so that a second VNI raises SecondNetworkError instead of leaving
        the certain names that were given before it came up. before: who named by an older state of the same history;
        its words, and the VNIs it has seen, are taken over.
    Raises: ConfigError when the options name a cluster that the history has not.
    """

    def __init__(
        self,
        history: History,
        options: NamingOptions | None = None,
        *,
        again: bool = False,
        before: Namer | None = None,
    ) -> None:
        self.options = options or NamingOptions()
        self.history: ClusterHistory = history.cluster(self.options.cluster)
        self._ends: AddressNamer = AddressNamer(self.history, self.options, None if before is None else before._ends)
        self._names = self._ends.names
        self._openings = Openings(self.history, self._names)
        self._vnis: set[int] = set() if before is None else before._vnis
        self._again = again

    def name(self, flows: Any) -> Any:
        """Return the batch with every column of named_schema, rows in the same order."""
        check(flows, flow_schema())
        export_us = int(self.options.export_seconds * 1e6)
        windows = windows_of(flows, export_us)
        starts = windows.starts
        sides = [self._end(flows, side, windows) for side in ("src", "dst")]
        self._networks(flows, sides)
        outer = self._ports(flows, sides, windows)
        self._masqueraded(sides[0], sides[1], outer)
        columns = {"cluster": _constant(self.history.name, flows.num_rows), "direction": _direction(sides)}
        columns["time_before"] = told_before(flows, windows, export_us)
        for one in sides:
            columns |= self._ends.columns(one.side, one.told, starts)
        columns |= said_columns(flows, columns)
        # Who judges policies comes after who names.
        columns |= {one.name: pa.nulls(flows.num_rows, one.type) for one in named_schema() if one.name in POLICY}
        arrays = [columns[one.name] if one.name in columns else flows[one.name] for one in named_schema()]
        return pa.RecordBatch.from_arrays(arrays, schema=named_schema())

    def _end(self, flows: Any, side: str, windows: Windows) -> _End:
        """Judge one end at its own first packet, then look again at the ends of those whose hold may be over."""
        own, spoke = own_windows(flows, side, windows)
        addresses = _addresses(flows[f"{side}_ip16"])
        told = self._ends.judged(addresses, own)
        doubt(told.verdicts, silent(flows, side))
        skew = int(self.options.sensor_skew_seconds * 1e6)
        believe(self.history, told.verdicts, addresses, own.first_low, spoke, side, skew)
        ports = pc.fill_null(flows[f"{side}_port"], 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return _End(side, ports, told.verdicts, told)

    def _networks(self, flows: Any, sides: list[_End]) -> None:
        """An address inside a tunnel is the cluster's only in the cluster's networks."""
        if self.options.vnis == "any":
            return
        if flows["tunnels"].null_count < flows.num_rows:
            _doubted(sides, of_others(flows["tunnels"]), IN_TUNNEL)
        if flows["vni"].null_count == flows.num_rows:
            return
        vnis = pc.fill_null(flows["vni"], -1).to_numpy(zero_copy_only=False)
        tunnelled = vnis >= 0
        if self.options.vnis is None or self.options.vnis == "several":
            self._unsaid(vnis, tunnelled, sides)
            return
        foreign = tunnelled & ~np.isin(vnis, self.options.vnis)
        for one in sides:
            odd = foreign & (one.verdicts.codes != EXTERNAL)
            one.verdicts.codes[odd], one.verdicts.why[odd], one.verdicts.holds[odd] = UNKNOWN, OTHER_VNI, -1
            one.verdicts.found.holds[odd] = -1

    def _unsaid(self, vnis: Words, tunnelled: npt.NDArray[np.bool_], sides: list[_End]) -> None:
        """Nobody said which VNI is the cluster's. Of one it is taken for granted, of several it cannot be."""
        before = len(self._vnis)
        self._vnis.update(int(one) for one in np.unique(vnis[tunnelled]))
        if len(self._vnis) < 2 and self.options.vnis is None:
            return
        if before == 1 and self._again:
            raise SecondNetworkError
        _doubted(sides, tunnelled, SEVERAL_VNIS)

    def _ports(self, flows: Any, sides: list[_End], windows: Windows) -> Flags:
        """Where an address is not one holder's alone, protocol and port decide for the end that serves.

        Returns: flows whose ends are tunnel ends.
        """
        outer = _outer(flows["encapsulated"], sides)
        asked = [undecided(one.verdicts) for one in sides]
        if not any(len(rows) for rows in asked):
            return outer
        low, high = windows.first_low, windows.last_high
        skew = int(self.options.sensor_skew_seconds * 1e6)
        encoded = flows["protocol"]
        words = [*encoded.dictionary.to_pylist(), ""]
        protocols = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
        for one, several, serves in zip(sides, asked, _serving(flows["initiator_basis"], sides), strict=True):
            rows = several[(serves & (one.ports > 0) & ~outer)[several]]
            keys = one.ports[rows], protocols[rows], words
            decide_by_port(self._openings, one.verdicts, rows, keys, low[rows] - skew, high[rows] + skew)
        return outer

    def _masqueraded(self, src: _End, dst: _End, outer: Flags) -> None:
        """A node that opens a connection to anything beyond itself may speak for a pod."""
        verdicts = src.verdicts
        rows = np.flatnonzero((verdicts.codes == AT_NODE) & ~outer)
        rows = rows[~np.isin(dst.ports[rows], TUNNEL_PORTS)]
        if len(rows):
            mine = self._names.nodes_of(verdicts.holds[rows])
            beyond = mine != self._names.nodes_of(dst.verdicts.holds[rows])
            verdicts.codes[rows[beyond]] = SNAT


def _doubted(sides: list[_End], rows: Flags, why: int) -> None:
    """Let no name be certain where it is not known whose network an address is of."""
    for one in sides:
        odd = rows & ((one.verdicts.codes == EXACT) | (one.verdicts.codes == LIKELY))
        one.verdicts.codes[odd], one.verdicts.why[odd] = AMBIGUOUS, why


def _addresses(column: Any) -> npt.NDArray[np.uint8]:
    """The 16-byte addresses of a column as (n, 16), without a copy."""
    data = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return data[column.offset * 16 : (column.offset + len(column)) * 16].reshape(-1, 16)


def _outer(encapsulated: Any, sides: list[_End]) -> Flags:
    """Flows whose ends are tunnel ends. The node's own kernel speaks there: no pod, no Service, no masquerade."""
    outer: Flags = pc.fill_null(encapsulated, False).to_numpy(zero_copy_only=False)
    if outer.any():
        for one in sides:
            one.verdicts.why[outer & (one.verdicts.codes == AT_NODE)] = OUTER
    return outer


def _serving(basis: Any, sides: list[_End]) -> list[Flags]:
    """Say for both ends where the port is one that the end serves.

    The destination serves where it is known who opened the connection. Where it is not, a record may be of the answer:
    then it is the source, if only the destination's port is one that clients take.
    """
    told = [word in ("syn", "record") for word in basis.dictionary.to_pylist()]
    known = np.array([*told, False])[basis.indices.fill_null(len(told)).to_numpy(zero_copy_only=False)]
    src, dst = (one.ports >= EPHEMERAL for one in sides)
    answer = ~known & dst & ~src
    return [answer, ~answer]


def _constant(word: str, size: int) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([word]))


DIRECTIONS = pa.array(["internal", "outbound", "inbound", "external"])


def _direction(sides: list[_End]) -> Any:
    src, dst = (one.verdicts.codes == EXTERNAL for one in sides)
    return pa.DictionaryArray.from_arrays(pa.array((dst + 2 * src).astype(np.int32)), DIRECTIONS)

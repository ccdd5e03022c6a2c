"""Ports that are open on nodes for somebody else than the node: Services' node ports, pods' host ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from enrich.holds.pod_ports import HostPort, PortKey, read_host_ports
from enrich.holds.pod_tables import Batch, chunk, codes, values
from enrich.holds.service_node_track import ThingTrack
from enrich.holds.versions import Bounds, Version, port_spans

NodePorts = dict[PortKey, list[tuple[int, Bounds]]]
HostPorts = dict[tuple[PortKey, str], list[tuple[int, bytes | None, Bounds]]]


class OpenPorts(NamedTuple):
    """Entities by port, each with the bounds of the time in which it had it.

    node_ports: Services by their node ports. host_ports: pods by port and name of their node, each with the address of
    the node that the port is open on, None = all.
    """

    node_ports: NodePorts
    host_ports: HostPorts


def open_ports(batch: Batch, things: Sequence[ThingTrack]) -> OpenPorts:
    """Find the ports that pods and things open on nodes. The entities of things follow those of the pods."""
    node_ports: NodePorts = {}
    for entity, thing in enumerate(things, batch.pods.num_rows):
        for port, bounds in port_spans(thing.versions, lambda version: version.node_ports):
            node_ports.setdefault(port, []).append((entity, bounds))
    return OpenPorts(node_ports, _host_ports(batch))


def _host_ports(batch: Batch) -> HostPorts:
    code, words = codes(chunk(batch.versions, "ports"))
    told = [number for number, word in enumerate(words) if "@" in word]
    found: HostPorts = {}
    if not told:
        return found
    first = np.append(0, np.cumsum(batch.pods["versions"].to_numpy()))
    pods = np.unique(np.searchsorted(first, np.flatnonzero(np.isin(code, told)), side="right") - 1)
    nodes = values(chunk(batch.pods, "node"), pods)
    since = batch.versions["since"].to_numpy()
    for pod, node in zip(pods.tolist(), nodes, strict=True):
        rows = range(first[pod], first[pod + 1])
        line = [
            Version(int(since[row]), ports=tuple(words[code[row]].split()), possible=int(since[row])) for row in rows
        ]
        for one, bounds in port_spans(line, _declared):
            found.setdefault((one.port, node), []).append((pod, one.address, bounds))
    return found


def _declared(version: Version) -> tuple[HostPort, ...]:
    return read_host_ports(version.ports)

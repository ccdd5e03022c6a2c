"""Ports that are open on nodes for somebody else than the node: Services' node ports, pods' host ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from enrich.holds.pod_ports import PortKey, read_host_ports
from enrich.holds.pod_tables import POD, chunk, codes, values
from enrich.holds.service_node_track import ThingTrack
from enrich.holds.versions import Bounds, port_spans

NodePorts = dict[PortKey, list[tuple[int, Bounds]]]
HostPorts = dict[tuple[PortKey, str], list[tuple[int, bytes | None]]]


class OpenPorts(NamedTuple):
    """Entities by port.

    node_ports: Services by their node ports, each with when it had it. host_ports: pods by port and name of their node,
    each with the address of the node that the port is open on, None = all; a pod cannot change its ports.
    """

    node_ports: NodePorts
    host_ports: HostPorts


def open_ports(batch: Any, things: Sequence[ThingTrack]) -> OpenPorts:
    """Find them. batch: enrich.holds.pod_tables.Batch. things: Services and Nodes: their rows follow the pods'."""
    node_ports: NodePorts = {}
    for entity, thing in enumerate(things, batch.pods.num_rows):
        for port, bounds in port_spans(thing.versions, lambda version: version.node_ports):
            node_ports.setdefault(port, []).append((entity, bounds))
    return OpenPorts(node_ports, _host_ports(batch))


def _host_ports(batch: Any) -> HostPorts:
    code, words = codes(chunk(batch.versions, "ports"))
    told = [number for number, word in enumerate(words) if "@" in word]
    found: HostPorts = {}
    if not told:
        return found
    owners = np.repeat(np.arange(batch.pods.num_rows), batch.pods["versions"].to_numpy())
    kinds = chunk(batch.pods, "kind").to_numpy()
    rows = np.flatnonzero(np.isin(code, told) & (kinds[owners] == POD))
    nodes = values(chunk(batch.pods, "node"), pa.array(owners[rows]))
    for row, node in zip(rows.tolist(), nodes, strict=True):
        for one in read_host_ports(tuple(words[code[row]].split())):
            mine = found.setdefault((one.port, node), [])
            if (int(owners[row]), one.address) not in mine:
                mine.append((int(owners[row]), one.address))
    return found

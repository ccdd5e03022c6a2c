"""Ports that are open on nodes for somebody else than the node: Services' node ports, pods' host ports."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from enrich.holds.pod_ports import PortKey, read_host_ports
from enrich.holds.pod_tables import POD, chunk, codes, values

HostPorts = dict[tuple[PortKey, str], list[tuple[int, bytes | None]]]


class OpenPorts(NamedTuple):
    """Entities by port, whenever that was.

    node_ports: Services by their node ports. host_ports: pods by port and name of their node, each with the address of
    the node that the port is open on, None = all.
    """

    node_ports: dict[PortKey, list[int]]
    host_ports: HostPorts


def host_ports(pods: Any) -> HostPorts:
    """Find the host ports of pods. pods: table of enrich.holds.pod_tables.PODS."""
    code, words = codes(chunk(pods, "ports"))
    told = [number for number, word in enumerate(words) if "@" in word]
    found: HostPorts = {}
    if not told:
        return found
    rows = np.flatnonzero(np.isin(code, told) & (chunk(pods, "kind").to_numpy() == POD))
    nodes = values(chunk(pods, "node"), pa.array(rows))
    for row, node in zip(rows.tolist(), nodes, strict=True):
        for one in read_host_ports(words[code[row]]):
            found.setdefault((one.port, node), []).append((row, one.address))
    return found

"""One packet down to its innermost address pair: a loop over small kernels, one a layer.

To add an encapsulation: a kernel, its code in layout.py, a line in `_step`, a line in `layer_tables`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ingest.columns.byte_reads import Bytes, u8
from ingest.columns.protocols import TUNNELS_NOT_OPENED
from ingest.packets import layout
from ingest.packets.layout import (
    AH,
    COOKED,
    COOKED2,
    DEPTH,
    DONE,
    END,
    ETHERNET,
    GENEVE,
    ICMP_ANY,
    IPV4,
    IPV6,
    LAYERS_MOST,
    LLC,
    LOOP,
    NEXT_MAC,
    NEXT_TUNNELS,
    NEXT_VLANS,
    NEXT_VNI,
    NON_IP,
    NOT_A_TUNNEL,
    NOTES,
    NULL,
    ORIGINAL_END,
    OTHER_TUNNEL,
    PORTS_CUT,
    PORTS_ONLY,
    PROTOCOL,
    RAW,
    REFUSE,
    TCP,
    TOO_DEEP,
    UDP,
    UNOPENED,
    VLAN,
    VXLAN,
)
from ingest.packets.link_layer import cooked, cooked2, ethernet, llc, loop, null, raw, vlan
from ingest.packets.network_layer import ah, ipv4, ipv6, read_addresses
from ingest.packets.transport_layer import icmp, ports_only, tcp, udp
from ingest.packets.tunnels import geneve, vxlan
from whowas.arrays import Words
from whowas.kernels import lean_kernel

LINK_LAYERS = {
    0: NULL,
    1: ETHERNET,
    12: RAW,
    14: RAW,
    101: RAW,
    108: LOOP,
    113: COOKED,
    228: IPV4,
    229: IPV6,
    276: COOKED2,
}
ETHERTYPES = {
    0x0800: IPV4,
    0x86DD: IPV6,
    0x8100: VLAN,
    0x88A8: VLAN,
    0x9100: VLAN,
    0x9200: VLAN,
    0x6558: ETHERNET,
    # Linux cooked captures name frames without an ethertype by small numbers.
    0x0001: LLC,
    0x0004: LLC,
    0x8847: REFUSE + layout.MPLS,
    0x8848: REFUSE + layout.MPLS,
    0x8864: REFUSE + layout.PPPOE,
}
# 33 DCCP, 132 SCTP, 136 UDP-Lite: ports stand where those of UDP stand.
PROTOCOLS = {1: ICMP_ANY, 6: TCP, 17: UDP, 33: PORTS_ONLY, 51: AH, 58: ICMP_ANY, 132: PORTS_ONLY, 136: PORTS_ONLY}


def layer_tables(vxlan_ports: Iterable[int], geneve_ports: Iterable[int]) -> Bytes:
    """Build the array that leads from an ethertype, a UDP port, a link type or a protocol to a layer."""
    tables = np.zeros(layout.TABLES, dtype=np.uint8)
    tables[: 1 << 16] = REFUSE + NON_IP
    # Below 1536 an Ethernet frame's number is a length, and 802.2 follows (IEEE 802.3).
    tables[:1536] = LLC
    for number, layer in ETHERTYPES.items():
        tables[layout.BY_ETHERTYPE + number] = layer
    tables[layout.BY_LINK : layout.BY_LINK + (1 << 16)] = REFUSE + layout.LINK_TYPE
    for number, layer in LINK_LAYERS.items():
        tables[layout.BY_LINK + number] = layer
    for number, layer in PROTOCOLS.items():
        tables[layout.BY_PROTOCOL + number] = layer
    for number in TUNNELS_NOT_OPENED:
        tables[layout.BY_PROTOCOL + number] = REFUSE + OTHER_TUNNEL
    for port in vxlan_ports:
        tables[layout.BY_UDP_PORT + port] = VXLAN
    for port in geneve_ports:
        tables[layout.BY_UDP_PORT + port] = GENEVE
    return tables


@lean_kernel
def _step(layer: int, data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Take one layer off. Commonest first; compiled, this is a jump table."""
    if layer == ETHERNET:
        return ethernet(data, at, facts, tables)
    if layer == IPV4:
        return ipv4(data, at, facts, tables)
    if layer == UDP:
        return udp(data, at, facts, tables)
    if layer == TCP:
        return tcp(data, at, facts, tables)
    if layer == VXLAN:
        return vxlan(data, at, facts, tables)
    if layer == GENEVE:
        return geneve(data, at, facts, tables)
    if layer == IPV6:
        return ipv6(data, at, facts, tables)
    if layer == VLAN:
        return vlan(data, at, facts, tables)
    if layer == ICMP_ANY:
        return icmp(data, at, facts, tables)
    if layer == COOKED:
        return cooked(data, at, facts, tables)
    if layer == COOKED2:
        return cooked2(data, at, facts, tables)
    if layer == RAW:
        return raw(data, at, facts, tables)
    if layer == NULL:
        return null(data, at, facts, tables)
    if layer == LOOP:
        return loop(data, at, facts, tables)
    if layer == LLC:
        return llc(data, at, facts, tables)
    if layer == AH:
        return ah(data, at, facts, tables)
    if layer == PORTS_ONLY:
        return ports_only(data, at, facts, tables)
    return REFUSE + TOO_DEEP, at


@lean_kernel
def decode(data: Bytes, at: int, captured: int, original: int, link: int, facts: Words, tables: Bytes) -> int:
    """Fill `facts` for the packet at data[at : at + captured]; its length on the wire was `original`.

    Returns: 0, or the reason why it is refused: no IP header could be accepted. What goes wrong below
    an accepted header (a tunnel's payload that is ARP, say) is noted, and that header's packet stands.
    """
    facts[END] = at + captured
    facts[ORIGINAL_END] = at + max(original, captured)
    facts[DEPTH] = 0
    facts[NOTES] = 0
    facts[NEXT_VNI] = -1
    facts[NEXT_VLANS] = 0
    facts[NEXT_TUNNELS] = 0
    facts[NEXT_MAC] = -1
    layer = u8(tables, layout.BY_LINK + link)
    for _ in range(LAYERS_MOST):
        if layer == DONE or layer >= REFUSE:
            break
        layer, at = _step(layer, data, at, facts, tables)
    reason = 0
    if layer >= REFUSE:
        reason = layer - REFUSE
    elif layer != DONE:
        reason = TOO_DEEP
    if facts[DEPTH] == 0:
        return reason
    if reason:
        facts[NOTES] |= 1 << reason
        # Below UDP there are tunnels alone.
        below = facts[PROTOCOL] == 17 and reason != PORTS_CUT and reason != NOT_A_TUNNEL
        if below or reason == OTHER_TUNNEL:
            facts[NOTES] |= 1 << UNOPENED
    read_addresses(data, facts)
    return 0

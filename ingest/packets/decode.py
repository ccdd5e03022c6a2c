"""One packet down to its innermost address pair: a loop over small kernels, one a layer.

To add an encapsulation: a kernel, its code and word in layout.py, a line in rare_layers.py, a line in a table here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ingest.columns.byte_reads import Bytes, u8
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
    PAYLOAD,
    PORTS_CUT,
    PORTS_ONLY,
    PROTOCOL,
    RARE,
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
from ingest.packets.rare_layers import rare_step
from ingest.packets.transport_layer import icmp, ports_only, tcp, udp
from ingest.packets.tunnels import geneve, vxlan
from whowas.arrays import Words
from whowas.kernels import lean_kernel, rare_kernel

LINK_LAYERS = {
    0: NULL,
    1: ETHERNET,
    9: layout.PPP,
    12: RAW,
    14: RAW,
    50: layout.C_HDLC,
    51: layout.PPPOE_SESSION,
    101: RAW,
    104: layout.C_HDLC,
    105: layout.WLAN,
    108: LOOP,
    109: layout.ENC,
    113: COOKED,
    117: layout.PFLOG,
    127: layout.RADIOTAP,
    166: layout.PPP_DIRECTION,
    192: layout.PPI,
    204: layout.PPP_DIRECTION,
    219: layout.MPLS_LINK,
    228: IPV4,
    229: IPV6,
    239: layout.NFLOG,
    258: layout.PKTAP,
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
    0x0007: layout.PPP,
    0x8847: layout.LABELS,
    0x8848: layout.LABELS,
    0x8864: layout.PPPOE_SESSION,
    0x88E7: layout.BACKBONE,
    0x8909: layout.TAG_8,
    0x8926: layout.TAG_6,
    0x892F: layout.TAG_6,
    0x894F: layout.NSH,
    # MACsec encrypts what it carries.
    0x88E5: REFUSE + OTHER_TUNNEL,
}
# 33 DCCP, 132 SCTP, 136 UDP-Lite: ports stand where those of UDP stand.
PROTOCOLS = {
    1: ICMP_ANY,
    4: layout.INSIDE_4,
    6: TCP,
    17: UDP,
    33: PORTS_ONLY,
    41: layout.INSIDE_6,
    47: layout.GRE,
    50: layout.ESP,
    51: AH,
    58: ICMP_ANY,
    97: layout.ETHERIP,
    # IPComp compresses what it carries, L2TPv3 does not say how long its cookies are.
    108: REFUSE + OTHER_TUNNEL,
    115: REFUSE + OTHER_TUNNEL,
    132: PORTS_ONLY,
    136: PORTS_ONLY,
    137: layout.LABELS,
}
# Ports of IANA; those of VXLAN and Geneve are a choice. What does not look like its tunnel is other traffic.
UDP_PORTS = {
    "vxlan_gpe": {4790: layout.VXLAN_GPE},
    "gre": {4754: layout.GRE},
    "mpls": {6635: layout.LABELS},
    "gtp": {2152: layout.GTP},
    "l2tp": {1701: layout.L2TP},
    "teredo": {3544: layout.TEREDO},
    "flannel_udp": {8285: layout.FLANNEL_UDP},
}
# Never opened, recognised by what goes from and to these ports: IPsec; WireGuard of Calico, flannel, Cilium.
SEALED_PORTS = {
    4500: layout.ESP_UDP,
    51820: layout.WIREGUARD,
    51821: layout.WIREGUARD,
    51871: layout.WIREGUARD,
}
OPENED = tuple(word for word in layout.TUNNEL_WORDS.values() if word not in layout.SEALED)
# A bare packet behind any port of UDP's is little to know it by.
OPENED_BY_DEFAULT = tuple(word for word in OPENED if word != "flannel_udp")
# Ports that VXLAN and Geneve have by RFC or by Linux' old default: clients of anything may get them as their own.
USUAL_PORTS = (4789, 8472, 6081)
CLOSED = {layout.TUNNEL_MPLS: layout.MPLS, layout.TUNNEL_PPPOE: layout.PPPOE}


def layer_tables(
    vxlan_ports: Iterable[int], geneve_ports: Iterable[int], opened: Iterable[str] = OPENED_BY_DEFAULT
) -> Bytes:
    """Build the array that leads from an ethertype, a UDP port, a link type or a protocol to a layer.

    Args: opened: words of tunnels, of OPENED.
    """
    words = frozenset(opened)
    tables = np.zeros(layout.TABLES, dtype=np.uint8)
    tables[: 1 << 16] = REFUSE + NON_IP
    # Below 1536 an Ethernet frame's number is a length, and 802.2 follows (IEEE 802.3).
    tables[:1536] = LLC
    tables[layout.BY_LINK : layout.BY_LINK + (1 << 16)] = REFUSE + layout.LINK_TYPE
    for start, known in (
        (layout.BY_ETHERTYPE, ETHERTYPES), (layout.BY_LINK, LINK_LAYERS), (layout.BY_PROTOCOL, PROTOCOLS),
        (layout.BY_UDP_PORT, SEALED_PORTS), (layout.BY_UDP_SOURCE, SEALED_PORTS),
    ):  # fmt: skip
        for number, layer in known.items():
            tables[start + number] = layer
    for code, word in layout.TUNNEL_WORDS.items():
        if word not in words:
            tables[layout.BY_TUNNEL + code] = REFUSE + CLOSED.get(code, OTHER_TUNNEL)
    _fill_ports(tables, words, {"vxlan": dict.fromkeys(vxlan_ports, VXLAN)})
    _fill_ports(tables, words, {"geneve": dict.fromkeys(geneve_ports, GENEVE)})
    _fill_ports(tables, words, UDP_PORTS)
    return tables


def _fill_ports(tables: Bytes, words: frozenset[str], ports: Mapping[str, Mapping[int, int]]) -> None:
    """Enter ports of tunnels. A port that somebody chose is known from either side; so is Teredo's."""
    for word, layers in ports.items():
        for port, layer in layers.items() if word in words else ():
            if tables[layout.BY_UDP_PORT + port] == DONE:
                tables[layout.BY_UDP_PORT + port] = layer
            chosen = word in ("vxlan", "geneve") and port not in USUAL_PORTS
            if chosen or word == "teredo":
                tables[layout.BY_UDP_SOURCE + port] = layer


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
    if layer >= RARE:
        return rare_step(layer, data, at, facts, tables)
    return REFUSE + TOO_DEEP, at


@rare_kernel
def _carries(facts: Words, tables: Bytes) -> bool:
    """Say whether what stands below the innermost packet is a tunnel's: below UDP there are tunnels alone."""
    layer = u8(tables, layout.BY_PROTOCOL + facts[PROTOCOL])
    return layer == UDP or layer >= RARE


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
    facts[PAYLOAD] = at if layer == DONE else 0
    if layer >= REFUSE:
        reason = layer - REFUSE
    elif layer != DONE:
        reason = TOO_DEEP
    if facts[DEPTH] == 0:
        return reason
    if reason:
        facts[NOTES] |= 1 << reason
        if reason != PORTS_CUT and reason != NOT_A_TUNNEL and _carries(facts, tables):
            facts[NOTES] |= 1 << UNOPENED
    read_addresses(data, facts)
    return 0

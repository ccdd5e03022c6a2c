"""A packet in every encapsulation that is opened, and in those that are recognised. Headers by scapy where it can."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS, EoMCW
from scapy.contrib.nsh import NSH
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw
from support.crafted_packets import ethernet, ipv4, udp

NODES = ("192.168.0.1", "192.168.0.2")
SIX_NODES = ("2001:db8::1", "2001:db8::2")
PODS = ("10.0.0.1", "10.0.0.2")
SIX_PODS = ("2001:db8:1::1", "2001:db8:1::2")
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


@dataclass(frozen=True)
class Example:
    """A frame; the chain of its tunnels; whether the packet inside is IPv6; its network, where it tells one."""

    frame: bytes
    chain: str
    six: bool = False
    vni: int | None = None
    vlan: tuple[int, ...] = ()
    one_header: bool = False


def inner(six: bool = False) -> Packet:
    """What is inside: a segment between two pods."""
    ends = IPv6(src=SIX_PODS[0], dst=SIX_PODS[1]) if six else IP(src=PODS[0], dst=PODS[1])
    return ends / TCP(sport=4000, dport=80, flags="S", seq=7)


def node(six: bool = False, **more: int) -> Packet:
    """Frame and IP header of a tunnel."""
    if six:
        return Ether(**MACS) / IPv6(src=SIX_NODES[0], dst=SIX_NODES[1], **{"nh": more["proto"]} if more else {})
    return Ether(**MACS) / IP(src=NODES[0], dst=NODES[1], **more)


def in_udp(port: int, body: bytes, source: int = 50000) -> bytes:
    return ethernet(ipv4(*NODES, 17, udp(source, port, body)))


FOUR, SIX, FRAME = bytes(inner()), bytes(inner(True)), bytes(Ether(**MACS) / inner())
TAGGED = bytes(Ether(**MACS) / Dot1Q(vlan=7) / inner())
TEREDO_SIX = bytes(IPv6(src="2001:0:1::1", dst="2001:0:2::2") / TCP(sport=4000, dport=80, flags="S", seq=7))
NODES_GRE = {"proto": 47}


def gre(body: bytes, **told: int) -> bytes:
    return bytes(node(**NODES_GRE) / GRE(**told) / Raw(body))


def pptp(body: bytes, acked: bool) -> bytes:
    head = struct.pack(">HHHHI", 0x3081 if acked else 0x3001, 0x880B, len(body), 9, 1)
    return ethernet(ipv4(*NODES, 47, head + (struct.pack(">I", 3) if acked else b"") + body))


def l2tp(flags: int, body: bytes) -> bytes:
    head = struct.pack(">H", flags | 2)
    head += struct.pack(">H", 0) if flags & 0x4000 else b""
    head += struct.pack(">HH", 5, 6)
    head += struct.pack(">HH", 1, 2) if flags & 0x0800 else b""
    head += struct.pack(">H", 3) + bytes(3) if flags & 0x0200 else b""
    return in_udp(1701, head + body)


def routed() -> bytes:
    """GRE with a route (RFC 1701): an entry of eight bytes, then the empty one."""
    head = struct.pack(">HHHHHBBQ", 0x4000, 0x0800, 0, 0, 0x0800, 0, 8, 1) + bytes(4)
    return ethernet(ipv4(*NODES, 47, head + FOUR))


PPP_FOUR, PPP_SIX = struct.pack(">H", 0x21) + FOUR, struct.pack(">H", 0x57) + SIX
GPE = struct.pack(">BHBI", 0x0C, 0, 1, 7 << 8)
PDU = GTP_U_Header(teid=5, gtp_type=255)

EXAMPLES = {
    "gre": Example(gre(FOUR, proto=0x0800), "gre"),
    "gre over IPv6": Example(bytes(node(True, proto=47) / GRE(proto=0x0800) / Raw(FOUR)), "gre"),
    "gre with IPv6": Example(gre(SIX, proto=0x86DD), "gre", True),
    "gre with a checksum": Example(gre(FOUR, proto=0x0800, chksum_present=1, chksum=1), "gre"),
    "gre with a key": Example(gre(FOUR, proto=0x0800, key_present=1, key=9), "gre"),
    "gre with a number": Example(gre(FOUR, proto=0x0800, seqnum_present=1, sequence_number=9), "gre"),
    "gre with all three": Example(
        gre(FOUR, proto=0x0800, chksum_present=1, chksum=1, key_present=1, key=9, seqnum_present=1, sequence_number=9),
        "gre",
    ),
    "gre with a route": Example(routed(), "gre"),
    "nvgre": Example(gre(TAGGED, proto=0x6558, key_present=1, key=0x700 << 8), "gre", vlan=(7,)),
    "wccp": Example(gre(FOUR, proto=0x883E), "gre"),
    "wccp version 2": Example(gre(b"\x00\x00\x01\x02" + FOUR, proto=0x883E), "gre"),
    "pptp": Example(pptp(PPP_FOUR, False), "gre"),
    "pptp that acknowledges": Example(pptp(b"\xff\x03" + PPP_FOUR, True), "gre"),
    "gre in udp": Example(in_udp(4754, bytes(GRE(proto=0x0800)) + FOUR), "gre"),
    "gre in gre": Example(
        gre(ipv4("172.16.0.1", "172.16.0.2", 47, bytes(GRE(proto=0x0800)) + FOUR), proto=0x0800), "gre>gre"
    ),
    "erspan 1": Example(gre(FRAME, proto=0x88BE), "gre>erspan"),
    "erspan 2": Example(
        gre(bytes(ERSPAN_II(vlan=5, session_id=3)) + TAGGED, proto=0x88BE, seqnum_present=1, sequence_number=1),
        "gre>erspan",
        vlan=(7,),
    ),
    "erspan 3": Example(gre(bytes(ERSPAN_III()) + FRAME, proto=0x22EB, seqnum_present=1), "gre>erspan"),
    "erspan 3 with more": Example(
        gre(bytes(ERSPAN_III(o=1) / ERSPAN_PlatformSpecific()) + FRAME, proto=0x22EB, seqnum_present=1), "gre>erspan"
    ),
    "erspan 3 of bare IP": Example(
        gre(struct.pack(">HHIHH", 0x2000, 3, 0, 0, 2 << 10) + FOUR, proto=0x22EB, seqnum_present=1), "gre>erspan"
    ),
    "ipip": Example(bytes(node(proto=4) / Raw(FOUR)), "ipip"),
    "6in4": Example(bytes(node(proto=41) / Raw(SIX)), "6in4", True),
    "4in6": Example(bytes(node(True, proto=4) / Raw(FOUR)), "4in6"),
    "6in6": Example(bytes(node(True, proto=41) / Raw(SIX)), "6in6", True),
    "etherip": Example(ethernet(ipv4(*NODES, 97, b"\x30\x00" + FRAME)), "etherip"),
    "ah around a packet": Example(
        ethernet(ipv4(*NODES, 51, struct.pack(">BBHII", 4, 4, 0, 1, 1) + bytes(12) + FOUR)), "ah"
    ),
    "mpls": Example(
        ethernet(bytes(MPLS(label=100, s=0) / MPLS(label=200, s=1) / Raw(FOUR)), 0x8847), "mpls", one_header=True
    ),
    "mpls with IPv6": Example(ethernet(bytes(MPLS(label=100, s=1)) + SIX, 0x8847), "mpls", True, one_header=True),
    "mpls with explicit null": Example(ethernet(bytes(MPLS(label=0, s=1)) + FOUR, 0x8847), "mpls", one_header=True),
    "pseudowire": Example(ethernet(bytes(MPLS(label=100, s=1)) + TAGGED, 0x8847), "mpls", vlan=(7,), one_header=True),
    "pseudowire with a control word": Example(
        ethernet(bytes(MPLS(label=100, s=1) / EoMCW(seq=3)) + FRAME, 0x8848), "mpls", one_header=True
    ),
    "mpls in udp": Example(in_udp(6635, bytes(MPLS(label=100, s=1)) + FOUR), "mpls"),
    "mpls in ip": Example(ethernet(ipv4(*NODES, 137, bytes(MPLS(label=100, s=1)) + FOUR)), "mpls"),
    "pppoe": Example(bytes(Ether(**MACS) / PPPoE(sessionid=3) / PPP() / inner()), "pppoe", one_header=True),
    "pppoe with IPv6": Example(
        bytes(Ether(**MACS) / PPPoE(sessionid=3) / PPP(proto=0x57) / inner(True)), "pppoe", True, one_header=True
    ),
    "pppoe in a vlan": Example(
        bytes(Ether(**MACS) / Dot1Q(vlan=9) / PPPoE(sessionid=3) / PPP() / inner()), "pppoe", vlan=(9,), one_header=True
    ),
    "nsh": Example(ethernet(bytes(NSH(mdtype=1, nextproto=1)) + FOUR, 0x894F), "nsh", one_header=True),
    "nsh with a frame": Example(ethernet(bytes(NSH(mdtype=1, nextproto=3)) + FRAME, 0x894F), "nsh", one_header=True),
    "vxlan-gpe": Example(in_udp(4790, GPE + FOUR), "vxlan_gpe", vni=7),
    "vxlan-gpe as vxlan": Example(in_udp(4790, struct.pack(">II", 8 << 24, 7 << 8) + FRAME), "vxlan_gpe", vni=7),
    "nsh in vxlan-gpe": Example(
        in_udp(4790, struct.pack(">BHBI", 0x0C, 0, 4, 7 << 8) + bytes(NSH(mdtype=1, nextproto=1)) + FOUR),
        "vxlan_gpe>nsh",
        vni=7,
    ),
    "gtp": Example(in_udp(2152, bytes(PDU / Raw(FOUR))), "gtp"),
    "gtp with an extension": Example(
        in_udp(2152, bytes(PDU / GTPPDUSessionContainer(type=1, QFI=5) / Raw(SIX))), "gtp", True
    ),
    "gtp with a number": Example(
        in_udp(2152, struct.pack(">BBHIHBB", 0x32, 255, len(FOUR) + 4, 5, 1, 0, 0) + FOUR), "gtp"
    ),
    "l2tp": Example(l2tp(0, PPP_FOUR), "l2tp"),
    "l2tp with all fields": Example(l2tp(0x4A00, b"\xff\x03" + PPP_SIX), "l2tp", True),
    "teredo": Example(in_udp(3544, SIX), "teredo", True),
    "teredo from a relay": Example(in_udp(40000, SIX, 3544), "teredo", True),
    "teredo with indications": Example(
        in_udp(3544, struct.pack(">HBBQB", 1, 0, 0, 5, 0) + struct.pack(">HHI", 0, 1, 1) + SIX), "teredo", True
    ),
    "802.1ah": Example(
        ethernet(struct.pack(">HH", 0x88A8, 3)[2:] + struct.pack(">HI", 0x88E7, 5) + TAGGED, 0x88A8),
        "ieee8021ah", vlan=(3, 7), one_header=True,
    ),
    "gateway load balancer": Example(
        in_udp(6081, struct.pack(">BBHI", 2, 0, 0x0800, 0) + bytes(8) + FOUR), "geneve", vni=0
    ),
}  # fmt: skip

# Recognised: the frame, the word that is told.
SEALED = {
    "esp": (ethernet(ipv4(*NODES, 50, struct.pack(">II", 0x1234, 1) + bytes(40))), "esp"),
    "esp in udp": (in_udp(4500, struct.pack(">II", 0x1234, 1) + bytes(40), 4500), "esp"),
    "wireguard, a beginning": (in_udp(51871, b"\1" + bytes(147), 51871), "wireguard"),
    "wireguard, an answer": (in_udp(40000, b"\2" + bytes(91), 51820), "wireguard"),
    "wireguard, data": (in_udp(51820, b"\4" + bytes(95), 51820), "wireguard"),
}

"""Numbers that the kernels share: facts of a packet, layers, reasons, where each table lies.

All are plain integers, so that numba compiles them in as constants.
"""

from __future__ import annotations

# Facts of one packet: a row of int64 that the layers fill. Offsets are into the block's bytes.
END = 0  # where the captured bytes of the current layer end
ORIGINAL_END = 1  # where they would end had nothing been cut off
DEPTH = 2  # IP headers accepted so far
NOTES = 3  # bits: 1 << reason, remarks on a packet that is folded nevertheless
IP_AT = 4  # offset of the innermost accepted IP header
FAMILY = 5  # 4 or 6
OUTER_AT = 6  # offset of the outermost IP header
OUTER_FAMILY = 7
PROTOCOL = 8
SRC_PORT = 9
DST_PORT = 10
HAS_PORTS = 11
VNI = 12  # network of the innermost packet: a VNI, or GRE_KEY | key; -1 = none
VLANS = 13  # five ids of 12 bits, outermost lowest; their number from bit 60 on
TUNNELS = 14  # codes of TUNNEL_BITS each, innermost lowest
MAC = 15  # offset << 2 | how it lies there; -1 = none
IP_BYTES = 16  # length of the IP packet by its header
TCP_FLAGS = 17
TCP_SEQUENCE = 18
FRAGMENT = 19  # 0 whole, 1 first, 2 later
FRAGMENT_ID = 20
ICMP = 21  # type << 8 | code; -1 = not ICMP
SRC_HI = 22  # addresses as two big-endian halves, IPv4 mapped
SRC_LO = 23
DST_HI = 24
DST_LO = 25
# What was met since the last IP header; becomes a fact only when a valid IP header follows.
NEXT_VNI = 26
NEXT_VLANS = 27
NEXT_TUNNELS = 28
NEXT_MAC = 29
POINT = 30  # as in flow_table.NETWORK, only where one capture has several points of observation; 0 = there is but one
PAYLOAD = 31  # offset of what TCP (its header), UDP (its payload) and others carry; 0 where that is not known
FACTS = 32
# In the places of what was met since the last header, once there is no other to come.
DIGEST = NEXT_VNI  # of what no way through a network changes; -1 = none; only where NOTES says MARKING
TCP_BYTES = NEXT_VLANS  # of its data; as DIGEST
QUOTE_AT = NEXT_MAC  # where an ICMP error quotes the packet that it is about; only where NOTES says QUOTES


VLANS_KEPT = 5
TUNNELS_KEPT = 8
LAYERS_MOST = 64
EXTENSIONS_MOST = 128

# How MAC addresses lie at an offset.
MAC_PAIR = 0  # destination, then source: Ethernet
MAC_SENDER = 1  # the sender's only: Linux cooked

# Layers: codes of the small kernels. 0 ends the way down; from REFUSE on it is a reason.
DONE = 0
ETHERNET = 1
VLAN = 2
LLC = 3
COOKED = 4
COOKED2 = 5
NULL = 6
LOOP = 7
RAW = 8
IPV4 = 9
IPV6 = 10
AH = 11
TCP = 12
UDP = 13
PORTS_ONLY = 14
ICMP_ANY = 15
VXLAN = 16
GENEVE = 17
# From here on the layers that few packets have; rare_layers.py knows them.
RARE = 18
PPP = 18
PPPOE_SESSION = 19
LABELS = 20  # MPLS
GRE = 21
ERSPAN_1 = 22
ERSPAN_2 = 23
ERSPAN_3 = 24
INSIDE_4 = 25  # IPv4 in IP
INSIDE_6 = 26
NSH = 27
VXLAN_GPE = 28
GTP = 29
L2TP = 30
TEREDO = 31
BACKBONE = 32  # 802.1ah
ETHERIP = 33
FLANNEL_UDP = 34
WLAN = 35
RADIOTAP = 36
NFLOG = 37
ESP = 38
ESP_UDP = 39
WIREGUARD = 40
PPP_DIRECTION = 41
C_HDLC = 42
ENC = 43
PFLOG = 44
PPI = 45
PKTAP = 46
TAG_6 = 47  # a tag of so many bytes, an ethertype at its end: VN-Tag, HSR; Cisco's metadata
TAG_8 = 48
MPLS_LINK = LABELS
REFUSE = 128

# Reasons. Refused when no IP header was accepted before, else a note on the packet.
CUT_SHORT = 1
BAD_IP_HEADER = 2
NON_IP = 3
MPLS = 4
PPPOE = 5
TOO_DEEP = 6
LINK_TYPE = 7
PORTS_CUT = 8
NOT_A_TUNNEL = 9
VLANS_DROPPED = 10
UNKNOWN_FRAGMENT = 11
OTHER_TUNNEL = 12
SEVERAL_INSIDE = 13
HELD = 14  # no reason to refuse: a later fragment that came before the first, and waits for it
# Told by no word of its own: the packet's ends are those of a tunnel that was not opened.
UNOPENED = 15
UNKNOWN_QUOTE = 16
REASONS = 17
# Bits of NOTES that are no remarks: this is an ICMP error; marks are to be taken (points.py).
QUOTES = 17
MARKING = 18

REFUSED = {
    CUT_SHORT: "cut_short",
    BAD_IP_HEADER: "bad_ip_header",
    NON_IP: "non_ip",
    MPLS: "unsupported_mpls",
    PPPOE: "unsupported_pppoe",
    TOO_DEEP: "too_deep",
    LINK_TYPE: "unsupported_link_type",
    OTHER_TUNNEL: "encapsulation_not_opened",
}
NOTED = {
    CUT_SHORT: "tunnel_payload_cut_short",
    BAD_IP_HEADER: "tunnel_payload_bad_ip_header",
    NON_IP: "tunnel_payload_non_ip",
    MPLS: "tunnel_payload_unsupported_mpls",
    PPPOE: "tunnel_payload_unsupported_pppoe",
    TOO_DEEP: "too_deep",
    PORTS_CUT: "ports_cut_short",
    NOT_A_TUNNEL: "no_tunnel_on_its_port",
    VLANS_DROPPED: "more_than_5_vlans",
    UNKNOWN_FRAGMENT: "fragment_without_ports",
    OTHER_TUNNEL: "tunnel_not_opened",
    SEVERAL_INSIDE: "several_packets_in_a_frame",
    UNKNOWN_QUOTE: "icmp_error_without_conversation",
}

# Kinds of tunnel are told in so many bits each.
TUNNEL_BITS = 6

# Where each table lies in the one array of bytes that leads from a number to a layer.
BY_ETHERTYPE = 0
BY_UDP_PORT = 1 << 16
BY_LINK = 2 << 16
BY_PROTOCOL = 3 << 16
BY_UDP_SOURCE = (3 << 16) + 256
BY_TUNNEL = (4 << 16) + 256  # by the code of a tunnel: where GRE leads to ERSPAN, say
TABLES = (4 << 16) + 256 + (1 << TUNNEL_BITS)

# A GRE key keeps tenants apart as a VNI does, and is none.
GRE_KEY = 1 << 32
TUNNEL_VXLAN = 1
TUNNEL_GENEVE = 2
TUNNEL_VXLAN_GPE = 3
TUNNEL_GRE = 4
TUNNEL_ERSPAN = 5
TUNNEL_IPIP = 6
TUNNEL_6IN4 = 7
TUNNEL_4IN6 = 8
TUNNEL_6IN6 = 9
TUNNEL_AH = 10
TUNNEL_MPLS = 11
TUNNEL_PPPOE = 12
TUNNEL_NSH = 13
TUNNEL_GTP = 14
TUNNEL_L2TP = 15
TUNNEL_TEREDO = 16
TUNNEL_BACKBONE = 17
TUNNEL_ETHERIP = 18
TUNNEL_FLANNEL_UDP = 19
# Recognised and told, never opened: what is inside is encrypted.
TUNNEL_ESP = 20
TUNNEL_WIREGUARD = 21
TUNNEL_HBONE = 22
TUNNEL_WORDS = {
    TUNNEL_VXLAN: "vxlan",
    TUNNEL_GENEVE: "geneve",
    TUNNEL_VXLAN_GPE: "vxlan_gpe",
    TUNNEL_GRE: "gre",
    TUNNEL_ERSPAN: "erspan",
    TUNNEL_IPIP: "ipip",
    TUNNEL_6IN4: "6in4",
    TUNNEL_4IN6: "4in6",
    TUNNEL_6IN6: "6in6",
    TUNNEL_AH: "ah",
    TUNNEL_MPLS: "mpls",
    TUNNEL_PPPOE: "pppoe",
    TUNNEL_NSH: "nsh",
    TUNNEL_GTP: "gtp",
    TUNNEL_L2TP: "l2tp",
    TUNNEL_TEREDO: "teredo",
    TUNNEL_BACKBONE: "ieee8021ah",
    TUNNEL_ETHERIP: "etherip",
    TUNNEL_FLANNEL_UDP: "flannel_udp",
    TUNNEL_ESP: "esp",
    TUNNEL_WIREGUARD: "wireguard",
    TUNNEL_HBONE: "hbone",
}
SEALED = ("esp", "wireguard", "hbone")

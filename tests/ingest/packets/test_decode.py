"""The decoder against scapy's, and against bytes that nobody would send."""

from __future__ import annotations

import ipaddress
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from support.crafted_packets import START, decoded, ethernet, ipv4, pcap, replay, segment, udp, vxlan

from ingest.packets import PacketOptions, decode_packets
from ingest.packets.decode import decode, layer_tables
from ingest.packets.layout import FACTS, REFUSED

PORTS = st.integers(1, 65535).filter(lambda port: port not in (4789, 8472, 6081, 53, 67, 68, 500, 4500))
V4 = st.integers(1, 2**32 - 2).map(lambda number: ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0)))
V6 = st.integers(1, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number)))
MACS = st.integers(0, 2**48 - 1).map(
    lambda number: ":".join(f"{number >> shift & 255:02x}" for shift in range(40, -1, -8))
)


@st.composite
def transports(draw: st.DrawFn) -> Packet:
    ports = {"sport": draw(PORTS), "dport": draw(PORTS)}
    body = Raw(draw(st.binary(max_size=40)))
    kind = draw(st.sampled_from(["tcp", "udp", "sctp", "icmp", "none"]))
    if kind == "tcp":
        return TCP(**ports, flags=draw(st.integers(0, 255)), seq=draw(st.integers(0, 2**32 - 1))) / body
    if kind == "udp":
        return UDP(**ports) / body
    if kind == "sctp":
        return SCTP(**ports) / body
    return (
        ICMP(type=draw(st.sampled_from([0, 3, 8, 11])), code=draw(st.integers(0, 5))) / body if kind == "icmp" else body
    )


@st.composite
def inners(draw: st.DrawFn) -> Packet:
    payload = draw(transports())
    if draw(st.booleans()):
        return IP(src=draw(V4), dst=draw(V4), **({"proto": 250} if isinstance(payload, Raw) else {})) / payload
    packet = IPv6(src=draw(V6), dst=draw(V6))
    for extension in draw(
        st.lists(st.sampled_from([IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting]), max_size=3)
    ):
        packet /= extension()
    if isinstance(payload, (Raw, ICMP)):
        return packet / UDP(sport=1, dport=2)
    return packet / payload


@st.composite
def frames(draw: st.DrawFn) -> Packet:
    frame = Ether(src=draw(MACS), dst=draw(MACS))
    for tag in draw(st.lists(st.sampled_from([Dot1Q, Dot1AD]), max_size=2)):
        frame /= tag(vlan=draw(st.integers(0, 4095)))
    return frame


@st.composite
def stacks(draw: st.DrawFn) -> Packet:
    """A frame with up to three tunnels around an innermost packet."""
    packet = draw(inners())
    for tunnel in draw(st.lists(st.sampled_from(["vxlan", "geneve", "geneve-ip"]), max_size=3)):
        vni = draw(st.integers(0, 2**24 - 1))
        outer = draw(st.sampled_from([IP, IPv6]))
        base = outer(src=draw(V4), dst=draw(V4)) if outer is IP else outer(src=draw(V6), dst=draw(V6))
        if tunnel == "vxlan":
            packet = (
                base
                / UDP(sport=draw(PORTS), dport=draw(st.sampled_from([4789, 8472])))
                / VXLAN(vni=vni, flags=8)
                / draw(frames())
                / packet
            )
        else:
            options = bytes(4 * draw(st.integers(0, 6)))
            inside = draw(frames()) / packet if tunnel == "geneve" else packet
            kind = 0x6558 if tunnel == "geneve" else (0x0800 if isinstance(packet, IP) else 0x86DD)
            header = struct.pack(">BBHI", len(options) // 4, 0, kind, vni << 8) + options
            packet = base / UDP(sport=draw(PORTS), dport=6081) / Raw(header + bytes(inside))
    return draw(frames()) / packet


def scapys(data: bytes) -> dict[str, Any]:
    """What scapy sees in the bytes: its own dissection, layer by layer."""
    found: dict[str, Any] = {"tunnels": [], "vlan": [], "vni": None, "ports": (None, None), "flags": None, "ips": []}
    layer = Ether(data)
    while layer and not isinstance(layer, Raw):
        if isinstance(layer, (IP, IPv6)):
            length = layer.len if isinstance(layer, IP) else layer.plen + 40
            found["ips"].append((layer.src, layer.dst, length))
            found["ports"], found["flags"] = (None, None), None
        elif isinstance(layer, (Dot1Q, Dot1AD)):
            found["vlan"].append(layer.vlan)
        elif isinstance(layer, (UDP, TCP, SCTP)):
            found["ports"] = (layer.sport, layer.dport)
            found["flags"] = int(layer.flags) if isinstance(layer, TCP) else None
            if not isinstance(layer, UDP):
                break
            if layer.dport == 6081:
                layer = GENEVE(bytes(layer.payload))
                continue
            if layer.dport not in (4789, 8472):
                break
            if not isinstance(layer.payload, VXLAN):
                layer = VXLAN(bytes(layer.payload))
                continue
        elif isinstance(layer, (VXLAN, GENEVE)):
            found["tunnels"].append("vxlan" if isinstance(layer, VXLAN) else "geneve")
            found["vni"] = layer.vni
        elif isinstance(layer, ICMP):
            break
        layer = layer.payload
    return found


@given(stacks())
@settings(max_examples=250, deadline=None)
def test_decodes_as_scapy_does(tmp_path_factory: pytest.TempPathFactory, packet: Packet) -> None:
    data = bytes(packet)
    ours, theirs = decoded(data, tmp_path_factory.mktemp("one")), scapys(data)
    src, dst, length = theirs["ips"][-1]
    assert (ours["src_ip"], ours["dst_ip"], ours["ip_bytes"]) == (src, dst, length)
    assert (ours["src_port"], ours["dst_port"]) == theirs["ports"]
    assert ours["tcp_flags"] == theirs["flags"]
    assert ours["vni"] == theirs["vni"]
    assert ours["tunnels"] == (">".join(theirs["tunnels"]) or None)
    assert (ours["vlan"] or []) == theirs["vlan"][:5]
    outer = theirs["ips"][0][:2] if theirs["tunnels"] else (None, None)
    assert (ours["outer_src_ip"], ours["outer_dst_ip"]) == outer


TABLES = layer_tables((4789, 8472), (6081,))
LINKS = (0, 1, 9, 12, 50, 51, 104, 105, 108, 109, 113, 117, 127, 166, 189, 192, 204, 219, 228, 229, 239, 258, 276)


def decode_alone(data: bytes, link: int) -> tuple[int, np.ndarray[Any, np.dtype[np.int64]]]:
    """Decode bytes that fill their buffer to the last one: a read beyond would raise."""
    facts = np.zeros(FACTS, dtype=np.int64)
    buffer = np.frombuffer(bytearray(data), dtype=np.uint8) if data else np.zeros(0, dtype=np.uint8)
    with np.errstate(over="ignore"):
        return int(decode(buffer, 0, len(data), len(data), link, facts, TABLES)), facts


@given(st.binary(max_size=200), st.sampled_from(LINKS))
@settings(max_examples=1500, deadline=None)
def test_random_bytes_are_read_or_refused(data: bytes, link: int) -> None:
    reason, facts = decode_alone(data, link)
    assert reason == 0 or reason in REFUSED
    if reason == 0:
        assert 0 <= facts[4] < len(data)


@given(stacks(), st.randoms(use_true_random=False), st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_damaged_and_cut_packets_are_read_or_refused(packet: Packet, rolled: random.Random, changes: int) -> None:
    data = bytearray(bytes(packet))
    for _ in range(changes):
        data[rolled.randrange(len(data))] = rolled.randrange(256)
    cut = bytes(data[: rolled.randrange(len(data) + 1)])
    for one in (bytes(data), cut):
        reason, _ = decode_alone(one, 1)
        assert reason == 0 or reason in REFUSED


def test_every_cut_of_a_packet_keeps_what_can_be_known(tmp_path: Path) -> None:
    """A short snap length costs ports, then the inner packet, then the outer one: never more than is cut."""
    frame = vxlan(7, segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10, size=20))
    seen = [decode_alone(frame[:size], 1) for size in range(len(frame) + 1)]
    assert [reason for reason, _ in seen[:34]] == [1] * 34
    assert all(reason == 0 for reason, _ in seen[34:])
    depths = [int(facts[2]) for _, facts in seen]
    assert depths == [0] * 34 + [1] * (84 - 34) + [2] * (len(frame) + 1 - 84)


def test_lengths_come_from_the_header_not_from_what_was_captured(tmp_path: Path) -> None:
    big = bytearray(ethernet(ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 2))))
    big[16:18] = struct.pack(">H", 1500)
    assert decoded(bytes(big), tmp_path)["ip_bytes"] == 1500
    big[16:18] = b"\0\0"
    assert decoded(bytes(big), tmp_path)["ip_bytes"] == len(big) - 14


def test_padding_is_not_payload(tmp_path: Path) -> None:
    """A tunnel's UDP packet that is too short for VXLAN stays plain, whatever the frame is padded with."""
    frame = ethernet(ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 4789))) + struct.pack(">II", 8 << 24, 7 << 8) + bytes(60)
    row = decoded(frame, tmp_path)
    assert (row["vni"], row["dst_port"], row["noted"]) == (None, 4789, "no_tunnel_on_its_port")


def test_too_many_tunnels_and_tags_are_noted(tmp_path: Path) -> None:
    frame = segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10)
    for vni in range(12):
        frame = vxlan(vni, frame)
    row = decoded(frame, tmp_path)
    assert (row["tunnels"], row["vni"], row["noted"]) == (">".join(["vxlan"] * 8), 4, "too_deep")
    plain = segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10)
    tags = b"".join(struct.pack(">HH", 0x8100, vlan) for vlan in range(1, 8))
    row = decoded(plain[:12] + tags + plain[12:], tmp_path)
    assert (row["vlan"], row["noted"], row["src_ip"]) == ([1, 2, 3, 4, 5], "more_than_5_vlans", "10.0.0.1")
    tags *= 20
    assert decoded(plain[:12] + tags + plain[12:], tmp_path)["refused"] == "too_deep"


IP4 = ipv4("10.0.0.1", "10.0.0.2", 6, struct.pack(">HHIIHHHH", 1, 2, 0, 0, 0x5010, 0, 0, 0))


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (0, struct.pack("<I", 2)),
        (0, struct.pack(">I", 2)),
        (12, b""),
        (14, b""),
        (101, b""),
        (228, b""),
        (108, struct.pack(">I", 2)),
        (113, struct.pack(">HHHQH", 0, 1, 6, 2 << 16, 0x0800)),
        (276, struct.pack(">HHIHBBQ", 0x0800, 0, 3, 1, 0, 6, 2 << 16)),
        (1, bytes(12) + struct.pack(">HBBB3sH", 60, 0xAA, 0xAA, 3, bytes(3), 0x0800)),
    ],
)
def test_link_layers(link: int, head: bytes, tmp_path: Path) -> None:
    row = decoded(head + IP4, tmp_path, link)
    assert (row["src_ip"], row["dst_ip"], row["src_port"], row["refused"]) == ("10.0.0.1", "10.0.0.2", 1, None)


@pytest.mark.parametrize(("link", "family"), [(0, 10), (0, 24), (0, 28), (0, 30)])
def test_ipv6_by_family(link: int, family: int, tmp_path: Path) -> None:
    six = struct.pack(">IHBB", 6 << 28, 8, 17, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + udp(5, 6)
    row = decoded(struct.pack("<I", family) + six, tmp_path, link)
    assert (row["src_ip"], row["dst_ip"], row["dst_port"]) == ("::1", "::2", 6)


def test_other_link_types_are_named(tmp_path: Path) -> None:
    files = [("a.pcap", pcap([(START, bytes(40))], link=189)), ("b.pcap", pcap([(START, bytes(40))], link=4242))]
    _, report = replay(files, tmp_path)
    assert report.refused == {"unsupported_link_type_189_usb_linux": 1, "unsupported_link_type_4242": 1}


def test_tunnel_ports_are_a_choice(tmp_path: Path) -> None:
    frame = vxlan(7, segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10), port=6080)
    assert decoded(frame, tmp_path)["vni"] is None
    assert decoded(frame, tmp_path, vxlan_ports=(6080,))["vni"] == 7
    assert PacketOptions().vxlan_ports == (4789, 8472)
    assert next(iter(decode_packets(str(tmp_path / "one.pcap")))).num_rows == 1

"""Tunnels whose inside could not be read: remarked, marked in their rows, and never taken for whole."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import START, conversations, ethernet, ipv4, pcap, replay, segment, udp, vxlan

from ingest.packets import CaptureSource, PacketOptions
from ingest.packets.layout import NOTED, REFUSED
from whowas.stages import COSTLESS, Report

NODES = "192.168.0.1", "192.168.0.2"
INNER = segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10)
SIX = ethernet(struct.pack(">IHBB", 6 << 28, 0, 59, 64) + bytes(32), 0x86DD)


def geneve(body: bytes, kind: int = 0x6558) -> bytes:
    return ethernet(ipv4(*NODES, 17, udp(50000, 6081, struct.pack(">BBHI", 0, 0, kind, 7 << 8) + body)))


def cut(frames: list[bytes], snap: int, folder: Path) -> tuple[list[dict[str, Any]], Report]:
    """Read a capture with `snap` bytes of each frame, as tcpdump -s makes it."""
    data = pcap([])
    for place, frame in enumerate(frames):
        data += struct.pack("<IIII", int(START) + place, 0, min(snap, len(frame)), len(frame)) + frame[:snap]
    (folder / "cut.pcap").write_bytes(data)
    source = CaptureSource([str(folder / "cut.pcap")], PacketOptions())
    return [row for batch, _ in source.batches() for row in batch.to_pylist()], source.report


@pytest.mark.parametrize("snap", [43, 49, 50, 60, 64, 83])
def test_a_tunnel_that_was_cut_off_is_no_plain_traffic(snap: int, tmp_path: Path) -> None:
    (row,), report = cut([vxlan(7, INNER)], snap, tmp_path)
    assert (row["src_ip"], row["dst_port"], row["encapsulated"]) == (NODES[0], 4789, True)
    assert report.noted["tunnel_payload_cut_short"] == 1
    assert not report.whole()


def test_what_was_read_of_a_dual_stack_is_no_tunnel_end(tmp_path: Path) -> None:
    """96 bytes reach the addresses of IPv4 inside, and end within those of IPv6."""
    rows, report = cut([vxlan(7, INNER), vxlan(7, SIX)], 96, tmp_path)
    assert [(row["src_ip"], row["encapsulated"]) for row in rows] == [("10.0.0.1", False), (NODES[0], True)]
    assert report.noted["tunnel_payload_cut_short"] == 1


@pytest.mark.parametrize(("frame", "word"), [
    (vxlan(7, ethernet(bytes(40))), "tunnel_payload_bad_ip_header"),
    (vxlan(7, ethernet(b"\0\0\1\1" + bytes(40), 0x8847)), "tunnel_payload_bad_ip_header"),
    (vxlan(7, ethernet(b"\1\0\1\1" + bytes(40), 0x8847)), "tunnel_payload_unsupported_mpls"),
    (vxlan(7, ethernet(b"\1\0\0\1" * 9, 0x8847)), "tunnel_payload_cut_short"),
    (geneve(b"\x11\0\0\1\0\x20\0\xfd" + bytes(40), 0x8864), "tunnel_not_opened"),
    (geneve(ethernet(bytes(12))), "tunnel_payload_cut_short"),
    *((ethernet(ipv4(*NODES, protocol, bytes(40))), "tunnel_not_opened") for protocol in (50, 97, 108, 115)),
    *((ethernet(ipv4(*NODES, protocol, bytes(40))), "tunnel_payload_bad_ip_header") for protocol in (4, 41)),
    (ethernet(ipv4(*NODES, 137, bytes(40))), "tunnel_payload_cut_short"),
])  # fmt: skip
def test_an_inside_that_cannot_be_read_is_told(frame: bytes, word: str, tmp_path: Path) -> None:
    (row,), report = replay([("made.pcap", pcap([(START, frame)]))], tmp_path)
    assert (row["encapsulated"], dict(report.noted), report.whole()) == (True, {word: 1}, False)


def test_nine_tunnels_end_at_the_eighth(tmp_path: Path) -> None:
    frame = INNER
    for vni in range(9):
        frame = vxlan(vni, frame)
    (row,), report = replay([("made.pcap", pcap([(START, frame)]))], tmp_path)
    assert (row["encapsulated"], dict(report.noted), report.whole()) == (True, {"too_deep": 1}, False)


def test_arp_inside_costs_nothing(tmp_path: Path) -> None:
    (row,), report = replay([("made.pcap", pcap([(START, vxlan(7, ethernet(bytes(28), 0x0806)))]))], tmp_path)
    assert (row["encapsulated"], report.whole()) == (True, True)


def test_other_traffic_on_a_tunnels_port_is_no_tunnel(tmp_path: Path) -> None:
    """No flag that a VNI is there, or no room for a header; and answers to whom masquerade gave that port."""
    plain = [
        (0, ethernet(ipv4(*NODES, 17, udp(50000, 4789, bytes(20))))),
        (1, ethernet(ipv4(*NODES, 17, udp(50001, 4789, b"\x08")))),
        (2, ethernet(ipv4(*NODES, 17, udp(4789, 53, bytes(20))))),
        (3, ethernet(ipv4(*reversed(NODES), 17, udp(53, 4789, b"\x08" + bytes(40))))),
    ]
    rows = conversations(plain, tmp_path)
    assert [(row["src_port"], row["encapsulated"]) for row in rows] == [(50000, False), (50001, False), (4789, False)]


def test_only_rows_with_what_was_not_read_are_marked(tmp_path: Path) -> None:
    """A conversation that is cut by time: the mark stays where it belongs."""
    good = ethernet(ipv4(*NODES, 17, udp(50000, 4789)))
    bad = ethernet(ipv4(*NODES, 17, udp(50000, 4789, struct.pack(">II", 8 << 24, 0))))
    rows = conversations([(0, bad), (1, good), (60, good)], tmp_path, active_timeout_seconds=30)
    assert [row["encapsulated"] for row in rows] == [True, False]


def test_each_reason_is_costly_or_named_costless() -> None:
    assert set(COSTLESS) <= {*REFUSED.values(), *NOTED.values()}
    report = Report()
    report.refused["non_ip"] = report.noted["tunnel_payload_non_ip"] = 5
    assert report.whole()
    report.refused["cut_short"] = 1
    assert (report.whole(), dict(report.unread())) == (False, {"cut_short": 1})
    report = Report()
    report.refused_records["bad_start_time"] = 1
    assert not report.whole()

"""What stands before the IP header by link type: PPP, 802.11, netfilter's log, what capturing programs made up."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.crafted_packets import START, decoded, ethernet, pcap, replay
from support.crafted_tunnels import FOUR, FRAME, PODS, PPP_FOUR, PPP_SIX, SIX, SIX_PODS

SNAP_FOUR = b"\xaa\xaa\x03\0\0\0\x08\0" + FOUR
SNAP_SIX = b"\xaa\xaa\x03\0\0\xf8\x86\xdd" + SIX
A, B, C = (bytes((2, 0, 0, 0, 0, number)) for number in (1, 2, 3))


def wlan(kind: int, flags: int, body: bytes, more: bytes = b"") -> bytes:
    """A data frame of a subtype: addresses 1 to 3, then what depends on flags and subtype."""
    return bytes((8 | kind << 4, flags)) + bytes(2) + A + B + C + bytes(2) + more + body


def attribute(kind: int, body: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def nflog(family: int, body: bytes, order: str = "<") -> bytes:
    return bytes((family, 0, 0, 1)) + attribute(10, b"in\0", order) + attribute(9, body, order)


RADIOTAP = struct.pack("<BBHI", 0, 0, 12, 0) + bytes(4)
SHARED = A + B + struct.pack(">H", len(SNAP_FOUR)) + SNAP_FOUR


@pytest.mark.parametrize(("link", "data"), [
    (9, PPP_FOUR), (9, b"\xff\x03" + PPP_FOUR), (9, b"\x21" + FOUR), (50, b"\xff\x03" + PPP_FOUR),
    (50, b"\x0f\0\x08\0" + FOUR), (104, b"\x8f\0\x08\0" + FOUR), (166, b"\0\x03" + PPP_FOUR), (204, b"\1" + PPP_FOUR),
    (204, b"\0\xff\x03" + PPP_FOUR), (51, struct.pack(">HHH", 0x1100, 3, len(PPP_FOUR)) + PPP_FOUR),
    (105, wlan(0, 1, SNAP_FOUR)), (105, wlan(0, 2, SNAP_FOUR)), (105, wlan(8, 1, SNAP_FOUR, bytes(2))),
    (105, wlan(8, 3, SNAP_FOUR, bytes(8))), (105, wlan(8, 0x81, SNAP_FOUR, bytes(6))),
    (105, wlan(8, 1, SNAP_FOUR, bytes(4))), (127, RADIOTAP + wlan(0, 1, SNAP_FOUR)),
    (192, struct.pack("<BBHI", 0, 0, 8, 105) + wlan(0, 1, SNAP_FOUR)), (219, struct.pack(">I", 0x64101) + FOUR),
    (239, nflog(2, FOUR)), (239, nflog(2, FOUR, ">")), (109, struct.pack("<III", 2, 0, 0) + FOUR),
    (109, struct.pack(">III", 2, 0, 0) + FOUR), (117, bytes((61, 2)) + bytes(62) + FOUR),
    (258, struct.pack("<III", 16, 1, 1) + bytes(4) + FRAME), (113, struct.pack(">HHHQH", 0, 512, 0, 0, 7) + PPP_FOUR),
    (1, ethernet(bytes(4) + b"\x08\0" + FOUR, 0x8926)), (1, ethernet(bytes(6) + b"\x08\0" + FOUR, 0x8909)),
])  # fmt: skip
def test_the_packet_is_found(link: int, data: bytes, tmp_path: Path) -> None:
    row = decoded(data, tmp_path, link)
    assert (row["src_ip"], row["dst_ip"], row["dst_port"], row["ip_bytes"]) == (*PODS, 80, 40)
    assert row["noted"] is None


@pytest.mark.parametrize(("link", "data"), [
    (9, PPP_SIX), (105, wlan(0, 1, SNAP_SIX)), (239, nflog(10, SIX)), (117, bytes((61, 24)) + bytes(62) + SIX),
])  # fmt: skip
def test_the_same_with_ipv6(link: int, data: bytes, tmp_path: Path) -> None:
    row = decoded(data, tmp_path, link)
    assert (row["src_ip"], row["dst_ip"], row["dst_port"], row["ip_bytes"]) == (*SIX_PODS, 80, 60)


@pytest.mark.parametrize(("link", "data", "reason"), [
    (9, b"\xc0\x21" + bytes(20), "non_ip"), (9, b"\x00\xfd" + bytes(20), "encapsulation_not_opened"),
    (9, b"\x00\x3d" + bytes(20), "encapsulation_not_opened"), (9, b"", "cut_short"), (9, b"\xff\x03", "cut_short"),
    (105, bytes((0x80, 0)) + bytes(60), "non_ip"), (105, wlan(4, 1, b""), "non_ip"),
    (105, wlan(0, 0x41, SNAP_FOUR), "encapsulation_not_opened"), (105, wlan(0, 1, SNAP_FOUR)[:26], "cut_short"),
    (105, wlan(0, 1, bytes(40)), "non_ip"), (127, bytes(12), "non_ip"), (239, bytes((2, 0, 0, 1)) + bytes(8), "non_ip"),
    (239, nflog(7, FOUR), "non_ip"),
    (192, struct.pack("<BBHI", 0, 0, 8, 189) + bytes(40), "encapsulation_not_opened"),
    (1, ethernet(bytes(60), 0x88E5), "encapsulation_not_opened"), (1, ethernet(bytes(60), 0x8863), "non_ip"),
])  # fmt: skip
def test_what_is_not_read_is_told(link: int, data: bytes, reason: str, tmp_path: Path) -> None:
    _, report = replay([("made.pcap", pcap([(START, data)], link))], tmp_path)
    assert dict(report.refused) == {reason: 1}


def test_of_several_packets_in_a_frame_one_is_read_and_that_is_told(tmp_path: Path) -> None:
    shared = wlan(8, 1, SHARED + bytes(-len(SHARED) % 4) + SHARED, b"\x80\0")
    row = decoded(shared, tmp_path, 105)
    assert (row["src_ip"], row["ip_bytes"], row["noted"]) == (PODS[0], 40, "several_packets_in_a_frame")
    assert decoded(wlan(8, 1, SHARED, b"\x80\0"), tmp_path, 105)["noted"] is None


def test_who_sent_over_the_air_is_known_to_a_station_alone(tmp_path: Path) -> None:
    rows = [replay([("made.pcap", pcap([(START, wlan(0, way, SNAP_FOUR))], 105))], tmp_path)[0][0] for way in (1, 2)]
    assert [(row["src_mac"], row["dst_mac"]) for row in rows] == [("02:00:00:00:00:02", None), (None, None)]

"""Every encapsulation: opened down to the packet inside, or recognised and told, or left alone where it is none."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import ACK, START, SYN, conversations, decoded, ethernet, ipv4, pcap, replay, tcp
from support.crafted_tunnels import (
    EXAMPLES,
    FOUR,
    FRAME,
    NODES,
    PODS,
    SEALED,
    SIX_NODES,
    SIX_PODS,
    Example,
    gre,
    in_udp,
)

from ingest.packets import PacketOptions
from ingest.packets.decode import OPENED, OPENED_BY_DEFAULT
from whowas.errors import ConfigError

BY_NAME = pytest.mark.parametrize("one", EXAMPLES.values(), ids=EXAMPLES.keys())


def ends(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["src_ip"], row["dst_ip"], row["src_port"], row["dst_port"]


@BY_NAME
def test_the_packet_inside_is_found(one: Example, tmp_path: Path) -> None:
    row = decoded(one.frame, tmp_path)
    assert ends(row) == (*(SIX_PODS if one.six else PODS), 4000, 80)
    assert (row["tunnels"], row["vni"], row["vlan"] or []) == (one.chain, one.vni, list(one.vlan))
    assert (row["ip_bytes"], row["tcp_flags"], row["noted"]) == (60 if one.six else 40, SYN, None)
    outer = (row["outer_src_ip"], row["outer_dst_ip"])
    assert outer == ((None, None) if one.one_header else outer)
    assert one.one_header or outer in (NODES, SIX_NODES)


@BY_NAME
def test_a_row_tells_the_chain(one: Example, tmp_path: Path) -> None:
    (row,) = conversations([(0, one.frame)], tmp_path)
    assert ends(row)[2:] == (4000, 80)
    assert (row["tunnels"], row["vni"], row["encapsulated"]) == (one.chain, one.vni, False)
    assert (row["outer_src_ip"] is None) == one.one_header


@BY_NAME
def test_a_cut_costs_the_inside_and_invents_none(one: Example, tmp_path: Path) -> None:
    """At every length: the whole, or what stands outside of it, or nothing; never other ends."""
    lengths = range(14, len(one.frame))
    data = pcap([]) + b"".join(
        struct.pack("<IIII", int(START), place, size, len(one.frame)) + one.frame[:size]
        for place, size in enumerate(lengths)
    )
    rows, _ = replay([("cut.pcap", data)], tmp_path)
    known = {*NODES, *SIX_NODES, *PODS, *SIX_PODS, "172.16.0.1", "172.16.0.2"}
    assert {row["src_ip"] for row in rows} | {row["dst_ip"] for row in rows} <= known


@BY_NAME
def test_what_nobody_asked_for_stays_closed(one: Example, tmp_path: Path) -> None:
    """Without its last kind the ends are those outside; where nothing is outside, the packet is refused."""
    last = one.chain.split(">")[-1]
    kinds = tuple(word for word in OPENED_BY_DEFAULT if word != last)
    row = decoded(one.frame, tmp_path, tunnels=kinds)
    if one.one_header:
        assert row["refused"] in ("encapsulation_not_opened", "unsupported_mpls", "unsupported_pppoe")
    else:
        assert row["src_ip"] in (*NODES, *SIX_NODES, "172.16.0.1")
        assert last not in (row["tunnels"] or "").split(">")


@pytest.mark.parametrize(("frame", "word"), SEALED.values(), ids=SEALED.keys())
def test_what_is_encrypted_is_told_and_not_opened(frame: bytes, word: str, tmp_path: Path) -> None:
    (row,), report = replay([("made.pcap", pcap([(START, frame)]))], tmp_path)
    assert (row["src_ip"], row["tunnels"], row["encapsulated"]) == (NODES[0], word, True)
    assert (row["outer_src_ip"], dict(report.noted)) == (None, {"tunnel_not_opened": 1})


def test_hbone_is_told_and_its_ends_are_the_pods(tmp_path: Path) -> None:
    frames = [
        (0, ethernet(ipv4(*PODS, 6, tcp(4000, 15008, SYN)))),
        (1, ethernet(ipv4(*reversed(PODS), 6, tcp(15008, 4000, SYN | ACK)))),
    ]
    (row,) = conversations(frames, tmp_path)
    assert (row["src_ip"], row["tunnels"], row["encapsulated"], row["packets_in"]) == (PODS[0], "hbone", False, 1)


@pytest.mark.parametrize("frame", [
    in_udp(4500, bytes(4) + bytes(40), 4500), in_udp(4500, b"\xff"), in_udp(51820, b"\1" + bytes(148)),
    in_udp(51820, b"\4" + bytes(30)), in_udp(51820, b"\5" + bytes(63)),
    in_udp(2152, struct.pack(">BBHI", 0x30, 1, 0, 0)), in_udp(53, FRAME, 4789),
    in_udp(2152, struct.pack(">BBHI", 0x30, 255, len(FOUR) + 1, 0) + FOUR), in_udp(1701, b"\xc8\x02" + bytes(40)),
    in_udp(3544, FOUR), in_udp(53, FOUR, 3544), in_udp(4790, bytes(8) + FRAME), in_udp(8285, FOUR),
])  # fmt: skip
def test_other_traffic_on_a_port_is_no_tunnel(frame: bytes, tmp_path: Path) -> None:
    (row,) = conversations([(0, frame)], tmp_path)
    assert (row["src_ip"], row["tunnels"], row["encapsulated"]) == (NODES[0], None, False)


@pytest.mark.parametrize("body", [
    struct.pack(">HH", 0x0002, 0x0800) + FOUR, struct.pack(">HH", 0x0001, 0x0800) + FOUR,
    struct.pack(">HH", 0, 0x0806) + bytes(28), struct.pack(">HHHHI", 0x3001, 0x880B, 4, 9, 1) + b"\x00\xfd\x01\x02",
])  # fmt: skip
def test_a_gre_that_is_not_opened_is_marked(body: bytes, tmp_path: Path) -> None:
    (row,) = conversations([(0, ethernet(ipv4(*NODES, 47, body)))], tmp_path)
    assert (row["src_ip"], row["tunnels"], row["encapsulated"]) == (NODES[0], None, True)


def test_flannels_udp_is_opened_when_asked(tmp_path: Path) -> None:
    row = decoded(in_udp(8285, FOUR), tmp_path, tunnels=OPENED)
    assert (row["src_ip"], row["tunnels"]) == (PODS[0], "flannel_udp")
    assert decoded(in_udp(8285, bytes(40)), tmp_path, tunnels=OPENED)["noted"] == "no_tunnel_on_its_port"


def test_a_chosen_port_is_known_from_either_side(tmp_path: Path) -> None:
    frame = in_udp(50001, struct.pack(">II", 8 << 24, 7 << 8) + FRAME, 6080)
    assert decoded(frame, tmp_path)["tunnels"] is None
    assert decoded(frame, tmp_path, vxlan_ports=(6080,))["tunnels"] == "vxlan"
    usual = in_udp(50001, struct.pack(">II", 8 << 24, 7 << 8) + FRAME, 4789)
    assert decoded(usual, tmp_path)["tunnels"] is None


def test_keys_keep_tenants_apart(tmp_path: Path) -> None:
    frames = [gre(FOUR, proto=0x0800, key_present=1, key=key) for key in (0, 1, 1, 0xFFFFFFFF)]
    frames.append(gre(FOUR, proto=0x0800))
    rows = conversations([(0, one) for one in frames], tmp_path)
    assert sorted(row["packets_out"] for row in rows) == [1, 1, 1, 2]
    assert [row["vni"] for row in rows] == [None] * 4
    assert len({row["flow_id"] for row in rows}) == 4


def test_eight_kinds_deep_and_no_deeper(tmp_path: Path) -> None:
    body = FOUR
    for _ in range(9):
        body = ipv4(*NODES, 4, body)
    row = decoded(ethernet(body), tmp_path)
    assert (row["tunnels"], row["noted"], row["src_ip"]) == (">".join(["ipip"] * 8), "too_deep", NODES[0])


def test_the_mac_of_a_router_is_no_pods(tmp_path: Path) -> None:
    (routed,) = conversations([(0, EXAMPLES["mpls in udp"].frame)], tmp_path)
    assert (routed["src_mac"], routed["dst_mac"]) == (None, None)
    (wired,) = conversations([(0, EXAMPLES["etherip"].frame)], tmp_path)
    assert wired["src_mac"] == "02:00:00:00:00:01"


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot open tunnels of kind 'vxlam'"):
        PacketOptions(tunnels=("vxlam",))


def test_damage_never_leaves_the_packet(tmp_path: Path) -> None:
    """A thousand damaged packets of all kinds: what is read is folded or refused, and replay holds the sums."""
    rolled, frames = random.Random(1), []
    kinds = [one.frame for one in EXAMPLES.values()] + [frame for frame, _ in SEALED.values()]
    for number in range(1000):
        frame = bytearray(rolled.choice(kinds))
        for _ in range(rolled.randrange(1, 5)):
            frame[rolled.randrange(12, len(frame))] = rolled.choice((0, 1, 4, 0x7F, 0xFF, rolled.randrange(256)))
        frames.append((START + number, bytes(frame[: rolled.randrange(14, len(frame) + 1)])))
    _, report = replay([("made.pcap", pcap(frames))], tmp_path)
    assert report.packets == 1000

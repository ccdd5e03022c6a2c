"""Conversations: who opened them, when they end, what keeps them apart, and that nothing is lost."""

from __future__ import annotations

import gzip
import random
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.crafted_packets import (
    ACK,
    FIN,
    RST,
    START,
    SYN,
    conversations,
    ethernet,
    ipv4,
    pcap,
    replay,
    segment,
    udp,
    vxlan,
)

from ingest.packets import CaptureSource, PacketOptions
from ingest.progress import Progress
from whowas.errors import ConfigError

A, B = "10.0.0.1", "10.0.0.2"


def out(flags: int, sequence: int = 1, size: int = 0) -> bytes:
    return segment(A, B, 4000, 80, flags, sequence, size)


def back(flags: int, sequence: int = 1, size: int = 0) -> bytes:
    return segment(B, A, 80, 4000, flags, sequence, size)


def whole(start: float, sequence: int) -> list[tuple[float, bytes]]:
    """A connection of seven packets, closed from both sides."""
    steps = [
        out(SYN, sequence),
        back(SYN | ACK),
        out(ACK),
        out(ACK, size=10),
        back(FIN | ACK),
        out(FIN | ACK),
        back(ACK),
    ]
    return [(start + place / 100, step) for place, step in enumerate(steps)]


def test_a_connection_is_one_row_with_both_directions(tmp_path: Path) -> None:
    (row,) = conversations(whole(0, 7), tmp_path)
    assert (row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]) == (A, 4000, B, 80)
    assert (row["packets_out"], row["packets_in"]) == (4, 3)
    assert (row["bytes_out"], row["bytes_in"]) == (4 * 40 + 10, 3 * 40)
    assert (row["tcp_flags_out"], row["tcp_flags_in"], row["tcp_flags"]) == (SYN | ACK | FIN, SYN | ACK | FIN, 0x13)
    assert (row["initiator_basis"], row["end_reason"], row["protocol"]) == ("syn", "fin", "tcp")
    assert row["start_time"] == datetime.fromtimestamp(START, UTC)
    assert row["src_ip16"] == bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 1])
    assert (row["src_mac"], row["dst_mac"]) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert (row["vni"], row["vlan"], row["tunnels"], row["outer_src_ip"]) == (None, None, None, None)
    assert (row["observer"], row["source_format"]) == ("made.pcap", "pcap")


@pytest.mark.parametrize(
    ("packets", "src", "basis"),
    [
        ([back(ACK), out(ACK)], B, "first_packet"),
        ([back(SYN | ACK), out(ACK)], A, "syn"),
        ([back(ACK), out(SYN), back(SYN | ACK)], A, "syn"),
        ([out(SYN), back(SYN)], A, "syn"),
        ([back(RST | ACK), out(ACK)], B, "first_packet"),
    ],
    ids=["middle", "answer first", "late syn", "both open", "reset"],
)
def test_who_opened(packets: list[bytes], src: str, basis: str, tmp_path: Path) -> None:
    (row,) = conversations([(place / 10, data) for place, data in enumerate(packets)], tmp_path)
    assert (row["src_ip"], row["initiator_basis"]) == (src, basis)


def test_a_port_used_again_is_a_new_conversation(tmp_path: Path) -> None:
    rows = conversations([*whole(0, 7), *whole(1, 8)], tmp_path)
    assert [(row["packets_out"], row["packets_in"], row["end_reason"]) for row in rows] == [(4, 3, "fin")] * 2
    assert len({row["flow_id"] for row in rows}) == 2
    assert len({row["community_id"] for row in rows}) == 1


def test_a_refused_connection_and_its_next_try(tmp_path: Path) -> None:
    tries = [(0, out(SYN, 5)), (0.1, back(RST | ACK)), (0.2, out(SYN, 5)), (0.3, back(RST | ACK)), (1, out(SYN, 6))]
    rows = conversations(tries, tmp_path)
    assert [(row["packets_out"], row["packets_in"], row["end_reason"]) for row in rows] == [
        (2, 2, "rst"),
        (1, 0, "end_of_capture"),
    ]


def test_a_syn_that_comes_late_belongs_to_the_connection_it_opened(tmp_path: Path) -> None:
    late = whole(0, 7)
    rows = conversations([*late[1:], late[0]], tmp_path)
    assert [(row["packets_out"], row["packets_in"], row["initiator_basis"]) for row in rows] == [(4, 3, "syn")]


def test_late_packets_of_a_closed_connection_stay_with_it(tmp_path: Path) -> None:
    rows = conversations([*whole(0, 7), (3, out(ACK)), (30, out(ACK))], tmp_path)
    assert [row["packets_out"] for row in rows] == [5, 1]


def test_silence_ends_a_conversation(tmp_path: Path) -> None:
    rows = conversations([(0, out(ACK)), (59, back(ACK)), (120, out(ACK))], tmp_path, idle_timeout_seconds=60)
    assert [(row["packets_out"], row["packets_in"], row["end_reason"]) for row in rows] == [
        (1, 1, "idle_timeout"),
        (1, 0, "end_of_capture"),
    ]


def test_a_long_conversation_is_cut_and_keeps_its_direction(tmp_path: Path) -> None:
    packets = [(0, out(SYN)), *[(second, back(ACK)) for second in range(1, 100)]]
    rows = conversations(packets, tmp_path, active_timeout_seconds=30)
    assert [row["end_reason"] for row in rows] == ["active_timeout"] * 3 + ["end_of_capture"]
    assert {(row["src_ip"], row["initiator_basis"]) for row in rows} == {(A, "syn")}
    assert sum(row["packets_in"] for row in rows) == 99


def test_one_network_is_not_another(tmp_path: Path) -> None:
    inner = out(ACK)
    tagged = [inner[:12] + struct.pack(">HH", 0x8100, vlan) + inner[12:] for vlan in (0, 5)]
    packets = [
        (0, inner),
        (0.1, vxlan(7, inner)),
        (0.2, vxlan(8, inner)),
        (0.3, vxlan(0, inner)),
        *[(1, one) for one in tagged],
    ]
    rows = conversations(packets, tmp_path)
    assert [(row["vni"], row["vlan"]) for row in rows] == [
        (None, None), (7, None), (8, None), (0, None), (None, [0]), (None, [5]),
    ]  # fmt: skip
    assert {(row["src_ip"], row["dst_ip"]) for row in rows} == {(A, B)}
    assert (rows[1]["tunnels"], rows[1]["outer_src_ip"], rows[1]["outer_dst_ip"]) == (
        "vxlan",
        "192.168.0.1",
        "192.168.0.2",
    )


def test_an_ipv6_address_is_not_the_ipv4_address_it_embeds(tmp_path: Path) -> None:
    mapped = [bytes(10) + b"\xff\xff" + bytes([10, 0, 0, last]) for last in (1, 2)]
    body = udp(4000, 53)
    six = ethernet(struct.pack(">IHBB", 6 << 28, len(body), 17, 64) + mapped[0] + mapped[1] + body, 0x86DD)
    rows = conversations([(0, six), (1, ethernet(ipv4(A, B, 17, body)))], tmp_path)
    assert [row["src_ip"] for row in rows] == ["::ffff:10.0.0.1", "10.0.0.1"]
    assert rows[0]["src_ip16"] == rows[1]["src_ip16"]


def test_a_tunnel_that_carries_no_ip_is_its_own_outer_packet(tmp_path: Path) -> None:
    arp = ethernet(bytes(28), 0x0806)
    rows, report = replay([("made.pcap", pcap([(START, vxlan(7, arp)), (START, arp)]))], tmp_path)
    (row,) = rows
    assert (row["src_ip"], row["dst_port"], row["vni"], row["tunnels"]) == ("192.168.0.1", 4789, None, None)
    assert report.noted == {"tunnel_payload_non_ip": 1}
    assert report.refused == {"non_ip": 1}


def test_fragments_take_the_ports_of_the_first(tmp_path: Path) -> None:
    first, later = ipv4(A, B, 17, udp(1, 2), 0x2000, 9), ipv4(A, B, 17, bytes(8), 1, 9)
    stray = ipv4(A, B, 17, bytes(8), 1, 10)
    rows, report = replay([("made.pcap", pcap([(START, ethernet(one)) for one in (first, later, stray)]))], tmp_path)
    assert [(row["src_port"], row["packets_out"]) for row in rows] == [(1, 2), (None, 1)]
    assert report.noted == {"fragment_without_ports": 1}


def test_icmp_between_two_hosts_is_one_conversation(tmp_path: Path) -> None:
    ask, answer = ipv4(A, B, 1, b"\x08\0\0\0\0\1\0\1"), ipv4(B, A, 1, b"\0\0\0\0\0\1\0\1")
    gone = ipv4(B, A, 1, b"\x03\1\0\0\0\0\0\0")
    (row,) = conversations([(place, ethernet(one)) for place, one in enumerate((ask, answer, gone))], tmp_path)
    assert (row["src_port"], row["dst_port"], row["packets_out"], row["packets_in"]) == (None, None, 1, 2)


def test_a_full_table_writes_rows_out(tmp_path: Path) -> None:
    packets = [(number / 1000, segment(A, B, 1000 + number, 80, ACK)) for number in range(500)]
    rows = conversations(packets, tmp_path, max_conversations=16, batch_rows=7)
    assert len(rows) == 500
    assert sum(row["end_reason"] == "table_full" for row in rows) == 484


def many(count: int, seed: int) -> list[tuple[float, bytes]]:
    rolled = random.Random(seed)
    times = sorted(rolled.uniform(0, 400) for _ in range(count))
    found = []
    for when in times:
        src = f"10.0.{rolled.randrange(3)}.{rolled.randrange(40)}"
        found.append((when, segment(src, B, rolled.randrange(20), 80, ACK, size=rolled.randrange(9))))
    return found


def test_the_same_input_gives_the_same_rows(tmp_path: Path) -> None:
    """The hash table's secret differs from run to run: it must not show."""
    packets = many(3000, 1)
    runs = [conversations(packets, tmp_path, max_conversations=300, idle_timeout_seconds=20) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len({row["flow_id"] for row in runs[0]}) == len(runs[0])


@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(1, 60), st.integers(1, 50), st.floats(0.5, 200))
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost_whatever_the_bounds(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, most: int, rows: int, idle: float
) -> None:
    packets = many(count, seed)
    random.Random(seed).shuffle(packets)
    found = conversations(
        packets, tmp_path_factory.mktemp("any"), max_conversations=most, batch_rows=rows, idle_timeout_seconds=idle
    )
    assert sum(row["bytes_out"] + row["bytes_in"] for row in found) == sum(len(data) - 14 for _, data in packets)


def brute(packets: list[tuple[float, bytes]], idle: float) -> list[tuple[Any, ...]]:
    """Packets in order of time, cut where a key is silent for longer than `idle`; as simple as can be."""
    open_: dict[bytes, list[Any]] = {}
    done = []
    for when, data in packets:
        key, when = data[26:38], round((START + when) * 1e6)
        if key in open_ and when - open_[key][1] > idle * 1e6:
            done.append(open_.pop(key))
        row = open_.setdefault(key, [when, when, 0, key])
        row[1], row[2] = when, row[2] + 1
    return sorted((row[0], row[1], row[2], row[3][:4], row[3][8:10]) for row in [*done, *open_.values()])


@given(st.integers(0, 10**6), st.integers(1, 600), st.floats(1, 100))
@settings(max_examples=30, deadline=None)
def test_idle_timeouts_equal_the_simplest_program(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, idle: float
) -> None:
    packets = many(count, seed)
    rows = conversations(packets, tmp_path_factory.mktemp("any"), idle_timeout_seconds=idle)
    got = sorted(
        (
            round(row["start_time"].timestamp() * 1e6), round(row["end_time"].timestamp() * 1e6),
            row["packets_out"], row["src_ip16"][12:], struct.pack(">H", row["src_port"]),
        )
        for row in rows
    )  # fmt: skip
    assert got == brute(packets, idle)


def test_a_clock_that_jumps_ends_nothing_else(tmp_path: Path) -> None:
    """One packet from the year 2033 and one from 1970 among many: the others stay together."""
    packets = [(number / 100, out(ACK)) for number in range(300)]
    wild = [(3e8, segment("10.9.9.9", B, 1, 2, ACK)), (-START, segment("10.9.9.8", B, 1, 2, ACK))]
    rows = conversations([*packets[:100], wild[0], *packets[100:200], wild[1], *packets[200:]], tmp_path)
    assert sorted(row["packets_out"] for row in rows) == [1, 1, 300]


def test_files_are_apart_unless_they_are_one_capture(tmp_path: Path) -> None:
    files = [(f"{number}.pcap", pcap([(START + number, out(ACK))])) for number in range(3)]
    apart, report = replay(files, tmp_path)
    assert [(row["observer"], row["packets_out"]) for row in apart] == [(f"{number}.pcap", 1) for number in range(3)]
    assert [one.packets for one in report.files] == [1, 1, 1]
    (together,) = replay(files, tmp_path, continuous=True)[0]
    assert (together["observer"], together["packets_out"]) == ("0.pcap", 3)


def test_compressed_is_the_same_and_progress_is_told(tmp_path: Path) -> None:
    data = pcap([(START + when, frame) for when, frame in many(500, 3)])
    rows, _ = replay([("made.pcap", data)], tmp_path)
    path = tmp_path / "packed" / "made.pcap"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(data))
    told: list[Progress] = []
    source = CaptureSource([str(path)], PacketOptions(), told.append)
    assert [row for batch, _ in source.batches() for row in batch.to_pylist()] == rows
    size = path.stat().st_size
    assert told[-1] == Progress(str(path), size, size, 500)
    assert source.report.bytes == size


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"vxlan_ports": (0,)}, "not a UDP port"),
        ({"geneve_ports": (4789,)}, "two kinds"),
        ({"idle_timeout_seconds": 0}, "timeouts"),
        ({"max_conversations": 0}, "bounds"),
    ],
)
def test_options_that_cannot_be_are_refused(told: dict[str, Any], cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        PacketOptions(**told)


def test_community_ids_are_those_of_the_specification(tmp_path: Path) -> None:
    """Pairs published with the specification (its baseline for seed 0)."""
    cases = {
        "1:LQU9qZlK+B5F3KDmev6m5PMibrg=": ("128.232.110.120", "66.35.250.204", 34855, 80, 6),
        "1:d/FP5EW3wiY1vCndhwleRRKHowQ=": ("192.168.1.52", "8.8.8.8", 54585, 53, 17),
    }
    for wanted, (src, dst, sport, dport, protocol) in cases.items():
        body = struct.pack(">HH", sport, dport) + bytes(16)
        body = body[:12] + struct.pack(">H", 0x5010) + body[14:] if protocol == 6 else body
        (row,) = conversations([(0, ethernet(ipv4(src, dst, protocol, body)))], tmp_path)
        assert row["community_id"] == wanted

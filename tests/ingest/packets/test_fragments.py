"""Later fragments belong to their datagram's conversation in any order; none is lost, none waits for ever."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import START, conversations, ethernet, ipv4, pcap, replay, udp

from ingest.packets.flow_table import HELD_MOST

A, B = "10.0.0.1", "10.0.0.2"
FIRST, MORE = 0x2000, 0x2000


def datagram(ident: int, sport: int = 4000, count: int = 4, src: str = A) -> list[bytes]:
    """A datagram in so many fragments, in order: the first has the ports."""
    rest = [ipv4(src, B, 17, bytes(8), place | (MORE if place < count - 1 else 0), ident) for place in range(1, count)]
    return [ethernet(one) for one in (ipv4(src, B, 17, udp(sport, 53), FIRST, ident), *rest)]


def six(ident: int, offset: int, body: bytes) -> bytes:
    head = struct.pack(">BBHI", 17, 0, offset << 3 | 1, ident)
    ip = struct.pack(">IHBB", 6 << 28, len(head + body), 44, 64) + bytes(15) + b"\1" + bytes(15) + b"\2"
    return ethernet(ip + head + body, 0x86DD)


def totals(rows: list[dict[str, Any]]) -> list[tuple[int | None, int, int]]:
    return sorted(
        ((row["src_port"], row["packets_out"], row["bytes_out"]) for row in rows), key=lambda one: one[0] or 0
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 1, 0)])
def test_in_any_order(order: tuple[int, ...], tmp_path: Path) -> None:
    pieces = datagram(7)
    data = pcap([(START + at / 1000, pieces[which]) for at, which in enumerate(order)])
    rows, report = replay([("made.pcap", data)], tmp_path)
    assert totals(rows) == [(4000, 4, 4 * 28)]
    assert dict(report.noted) == {}


def test_many_datagrams_between_each_other(tmp_path: Path) -> None:
    rolled, packets = random.Random(3), []
    for number in range(60):
        packets += [(number / 100 + rolled.random(), one) for one in datagram(number, 1000 + number % 7)]
    packets.sort(key=lambda one: one[0])
    rows = conversations(packets, tmp_path)
    assert [(port, count) for port, count, _ in totals(rows)] == [
        (1000 + place, 4 * len(range(place, 60, 7))) for place in range(7)
    ]


def test_the_same_with_ipv6(tmp_path: Path) -> None:
    (row,) = conversations([(0, six(9, 1, bytes(8))), (1, six(9, 0, udp(4000, 53)))], tmp_path)
    assert (row["src_port"], row["packets_out"]) == (4000, 2)


def test_times_are_the_packets_own(tmp_path: Path) -> None:
    pieces = datagram(7, count=2)
    (row,) = conversations([(0, pieces[1]), (2, pieces[0])], tmp_path)
    assert (row["end_time"] - row["start_time"]).total_seconds() == 2
    assert row["src_mac"] == "02:00:00:00:00:01"


@pytest.mark.parametrize("away", [31, -31])
def test_who_waits_in_vain_is_counted_without_ports(away: float, tmp_path: Path) -> None:
    """The number of a datagram is used again: after half a minute it is another one's."""
    first, later = datagram(7, count=2)
    data = pcap([(START + 100, later), (START + 100 + away, first)])
    rows, report = replay([("made.pcap", data)], tmp_path)
    assert totals(rows) == [(None, 1, 28), (4000, 1, 28)]
    assert dict(report.noted) == {"fragment_without_ports": 1}


def test_other_hosts_fragments_are_theirs(tmp_path: Path) -> None:
    mine, other = datagram(7, count=2), datagram(7, count=2, src="10.0.0.9")
    rows, report = replay([("made.pcap", pcap([(START, other[1]), (START, mine[0])]))], tmp_path)
    assert totals(rows) == [(None, 1, 28), (4000, 1, 28)]
    assert report.noted["fragment_without_ports"] == 1


@pytest.mark.parametrize("count", [HELD_MOST - 1, HELD_MOST, HELD_MOST + 1, 3 * HELD_MOST])
def test_more_than_can_wait_are_counted(count: int, tmp_path: Path) -> None:
    packets = [(number / 1e5, datagram(number, count=2)[1]) for number in range(count)]
    rows, report = replay([("made.pcap", pcap([(START + at, one) for at, one in packets]))], tmp_path, batch_rows=5)
    assert sum(row["packets_out"] for row in rows) == count
    assert report.noted["fragment_without_ports"] == count


def test_a_full_table_holds_the_sums(tmp_path: Path) -> None:
    rolled = random.Random(5)
    packets = [
        (at / 50, one)
        for at in range(400)
        for one in rolled.sample(datagram(at, at, src=f"10.0.{at % 3}.{at % 90}"), rolled.randrange(1, 5))
    ]
    data = pcap([(START + at, one) for at, one in packets])
    rows, _ = replay([("made.pcap", data)], tmp_path, max_conversations=16, batch_rows=4, idle_timeout_seconds=1)
    assert sum(row["packets_out"] for row in rows) == len(packets)


def test_a_first_in_the_next_file_counts_in_a_rotated_capture(tmp_path: Path) -> None:
    first, later = datagram(7, count=2)
    files = [("a.pcap", pcap([(START, later)])), ("b.pcap", pcap([(START + 1, first)]))]
    assert totals(replay(files, tmp_path, continuous=True)[0]) == [(4000, 2, 56)]
    assert totals(replay(files, tmp_path)[0]) == [(None, 1, 28), (4000, 1, 28)]

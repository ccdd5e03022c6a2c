"""ICMP errors: told on the conversation that they quote, and counted nowhere but in their own."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import ACK, SYN, Timed, conversations, ethernet, ipv4, segment, tcp, udp, vxlan

A, B, ROUTER = "10.0.0.1", "10.0.0.2", "10.0.0.254"


def error(quoted: bytes, src: str = ROUTER, dst: str = A, kind: tuple[int, int] = (3, 3)) -> bytes:
    """An ICMP error as an IP packet; a word that only some kinds use stands before the quote."""
    return ipv4(src, dst, 1, struct.pack(">BBHI", *kind, 0, 0) + quoted)


def rows_by_protocol(packets: list[Timed], folder: Path) -> dict[str, dict[str, Any]]:
    rows = conversations(packets, folder)
    assert len({row["protocol"] for row in rows}) == len(rows)
    return {row["protocol"]: row for row in rows}


@pytest.mark.parametrize(
    ("kind", "word"),
    [((3, 3), "port_unreachable"), ((3, 1), "host_unreachable"), ((3, 4), "too_big"), ((11, 0), "ttl_exceeded"),
     ((3, 7), "type 3 code 7")],
)  # fmt: skip
def test_an_error_is_told_on_its_conversation(kind: tuple[int, int], word: str, tmp_path: Path) -> None:
    asked = ipv4(A, B, 17, udp(5000, 53, b"question"))
    told = [(0.0, ethernet(asked)), (0.1, ethernet(error(asked[:28], B, kind=kind))), (0.2, ethernet(error(asked, B)))]
    rows = rows_by_protocol(told, tmp_path)
    assert (rows["udp"]["icmp_errors"], rows["udp"]["icmp_error"]) == (2, word)
    assert (rows["udp"]["packets_out"], rows["udp"]["packets_in"]) == (1, 0)
    assert (rows["icmp"]["packets_out"], rows["icmp"]["icmp_errors"], rows["icmp"]["icmp_error"]) == (2, None, None)


def test_of_tcp_and_of_an_echo_and_in_a_tunnel(tmp_path: Path) -> None:
    opened = ipv4(A, B, 6, tcp(4000, 80, SYN))
    rows = rows_by_protocol([(0.0, ethernet(opened)), (0.1, ethernet(error(opened[:28])))], tmp_path)
    assert (rows["tcp"]["icmp_errors"], rows["tcp"]["tcp_flags"]) == (1, SYN)
    echo = ipv4(A, B, 1, struct.pack(">BBHI", 8, 0, 0, 7))
    rows_of_icmp = conversations([(0.0, ethernet(echo)), (0.1, ethernet(error(echo)))], tmp_path)
    assert sorted((row["dst_ip"], row["icmp_errors"]) for row in rows_of_icmp) == [(A, None), (B, 1)]
    inside = [(0.0, vxlan(7, ethernet(opened))), (0.1, vxlan(7, ethernet(error(opened)))), (0.2, ethernet(opened))]
    found = {(row["protocol"], row["vni"]): row["icmp_errors"] for row in conversations(inside, tmp_path)}
    assert found == {("tcp", 7): 1, ("icmp", 7): None, ("tcp", None): None}


def test_of_ipv6(tmp_path: Path) -> None:
    a, b = bytes(15) + b"\x01", bytes(15) + b"\x02"

    def six(src: bytes, dst: bytes, following: int, payload: bytes) -> bytes:
        return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + src + dst + payload

    asked = six(a, b, 0, struct.pack(">BBHI", 17, 0, 0, 0) + udp(5000, 53, b"?"))
    answer = six(b, a, 58, struct.pack(">BBHI", 1, 4, 0, 0) + asked)
    rows = rows_by_protocol([(0.0, ethernet(asked, 0x86DD)), (0.1, ethernet(answer, 0x86DD))], tmp_path)
    assert (rows["udp"]["icmp_errors"], rows["udp"]["icmp_error"]) == (1, "port_unreachable")


def test_what_was_not_seen_or_did_not_go_to_the_sender_is_told_nowhere(tmp_path: Path) -> None:
    opened, other = ipv4(A, B, 6, tcp(4000, 80, SYN)), ipv4(A, B, 6, tcp(4001, 80, SYN))
    packets = [
        (0.0, ethernet(opened)),
        (0.1, ethernet(error(other))),
        (0.2, ethernet(error(opened, dst="10.9.9.9"))),
        (0.3, ethernet(error(opened[:20]))),
        (0.4, ethernet(error(b"\x46" + opened[1:]))),
        (0.5, ethernet(error(opened[:6] + b"\x20\x01" + opened[8:]))),
    ]
    assert [row["icmp_errors"] for row in conversations(packets, tmp_path) if row["protocol"] == "tcp"] == [None]


def test_hostile_quotes_change_no_count(tmp_path: Path) -> None:
    rolled = random.Random(4)
    opened = ipv4(A, B, 6, tcp(4000, 80, ACK))
    packets = [(0.0, segment(A, B, 4000, 80, ACK))]
    for number in range(400):
        quoted = bytearray(opened[: rolled.randrange(len(opened) + 1)])
        for _ in range(rolled.randrange(3)):
            if quoted:
                quoted[rolled.randrange(len(quoted))] = rolled.randrange(256)
        packets.append((0.001 * number, ethernet(error(bytes(quoted), kind=(rolled.choice((3, 4, 11, 12)), 0)))))
    packets += [(1.0, ethernet(error(opened)))] * 5000
    rows = rows_by_protocol(packets, tmp_path)
    assert (rows["tcp"]["packets_out"], rows["tcp"]["icmp_errors"]) == (1, 4095)
    assert rows["icmp"]["packets_out"] == 5400

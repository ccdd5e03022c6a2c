"""When each end first sent a packet of its own: not what others may send in its stead."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.crafted_packets import ACK, RST, START, SYN, conversations, ethernet, ipv4, segment, udp

A, B = "10.0.0.1", "10.0.0.2"


def out(flags: int) -> bytes:
    return segment(A, B, 4000, 80, flags, 1, 0)


def back(flags: int) -> bytes:
    return segment(B, A, 80, 4000, flags, 1, 0)


def after(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def spoke(tmp_path: Path, *packets: tuple[float, bytes]) -> list[tuple[datetime | None, datetime | None]]:
    rows = conversations([(at, one) for at, one in packets], tmp_path)
    return [(row["src_spoke_time"], row["dst_spoke_time"]) for row in rows]


def test_each_end_speaks_with_its_own_first_packet(tmp_path: Path) -> None:
    told = spoke(tmp_path, (0, out(SYN)), (1, out(SYN)), (3, back(SYN | ACK)), (4, out(ACK)), (5, back(ACK)))
    assert told == [(after(0), after(3))]


def test_who_sends_nothing_does_not_speak(tmp_path: Path) -> None:
    assert spoke(tmp_path, (0, out(SYN)), (1, out(SYN))) == [(after(0), None)]


@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_a_reset_may_be_anybodys(tmp_path: Path, flags: int) -> None:
    """A firewall and a proxy reset in the name of whom they keep from answering."""
    assert spoke(tmp_path, (0, out(SYN)), (1, back(flags))) == [(after(0), None)]
    assert spoke(tmp_path, (0, out(SYN)), (1, back(flags)), (1.1, back(ACK))) == [(after(0), after(1.1))]


def test_a_datagram_is_its_senders(tmp_path: Path) -> None:
    told = spoke(
        tmp_path, (0, ethernet(ipv4(A, B, 17, udp(4000, 53, b"?")))), (2, ethernet(ipv4(B, A, 17, udp(53, 4000, b"!"))))
    )
    assert told == [(after(0), after(2))]


def test_the_direction_may_be_learned_late(tmp_path: Path) -> None:
    """The answer was captured before its SYN: src is still who sent the SYN."""
    told = spoke(tmp_path, (0, back(SYN | ACK)), (0.001, out(SYN)), (1, out(ACK)))
    assert told == [(after(0.001), after(0))]


def test_the_next_conversation_of_the_same_ends_begins_anew(tmp_path: Path) -> None:
    told = spoke(tmp_path, (0, out(SYN)), (1, back(SYN | ACK)), (2, out(RST)), (600, out(SYN)), (601, back(RST | ACK)))
    assert told == [(after(0), after(1)), (after(600), None)]

"""Damage in the middle of a capture costs what is damaged, is told with its place, and invents no packets."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import ACK, START, enhanced, interface, pcap, replay, section, segment

from ingest.packets.resync import DAMAGES_MOST
from ingest.packets.window import WINDOW_BYTES
from whowas.stages import Report

RECORD = 16 + 54


def frame(number: int, size: int = 0) -> bytes:
    return segment("10.0.0.1", "10.0.0.2", 1000 + number, 80, ACK, size=size)


def classic(count: int, order: str = "<", size: int = 0) -> bytearray:
    return bytearray(pcap([(START + number / 10, frame(number, size)) for number in range(count)], order=order))


def newer(count: int, order: str = "<") -> bytearray:
    head = section(order) + interface(order)
    return bytearray(
        head + b"".join(enhanced(frame(number), round((START + number) * 1e6), order) for number in range(count))
    )


def read(data: bytes, folder: Path, name: str = "made.pcap") -> tuple[list[int], Report]:
    rows, report = replay([(name, bytes(data))], folder)
    return sorted(row["src_port"] - 1000 for row in rows), report


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("claim", [0xFFFFFFFF, 1 << 30])
def test_a_record_with_a_broken_length_is_passed_over(order: str, claim: int, tmp_path: Path) -> None:
    data = classic(9, order)
    struct.pack_into(order + "I", data, 24 + 3 * RECORD + 8, claim)
    found, report = read(data, tmp_path)
    assert found == [0, 1, 2, 4, 5, 6, 7, 8]
    (told,) = report.files[0].unreadable
    assert told.offset == 24 + 3 * RECORD
    assert f"claims {claim} bytes; {RECORD} bytes are lost" in told.reason
    assert not report.whole()


def test_bytes_that_were_overwritten_or_lost(tmp_path: Path) -> None:
    whole = classic(30)
    over = whole[: 24 + 5 * RECORD] + b"\xee" * (3 * RECORD + 7) + whole[24 + 8 * RECORD + 7 :]
    assert read(over, tmp_path)[0] == [*range(5), *range(9, 30)]
    gone = whole[: 24 + 5 * RECORD] + b"\xff" * 40 + whole[24 + 6 * RECORD - 3 :]
    assert read(gone, tmp_path)[0] == [*range(5), *range(6, 30)]


def test_a_length_beyond_the_end(tmp_path: Path) -> None:
    """Everything behind it would be one packet that was cut short."""
    data = classic(9)
    struct.pack_into("<I", data, 24 + 3 * RECORD + 8, 1 << 25)
    found, report = read(data, tmp_path)
    assert found == [0, 1, 2, 4, 5, 6, 7, 8]
    assert report.files[0].unreadable[0].offset == 24 + 3 * RECORD


def test_damage_that_is_longer_than_the_window(tmp_path: Path) -> None:
    data = classic(4) + random.Random(1).randbytes(3 * WINDOW_BYTES) + classic(9)[24 + 4 * RECORD :]
    struct.pack_into("<I", data, 24 + 4 * RECORD + 8, 0xFFFFFFFF)
    found, report = read(data, tmp_path)
    assert found == list(range(9))
    assert f"{3 * WINDOW_BYTES:,} bytes are lost" in report.files[0].unreadable[0].reason


def test_a_capture_inside_a_packet_that_was_cut_is_no_capture(tmp_path: Path) -> None:
    """Whoever copies a capture over the network: its records are not ours."""
    inside = segment("10.0.0.1", "10.0.0.2", 2000, 80, ACK) + bytes(classic(9))
    data = pcap([(START, frame(0)), (START + 1, inside)])[:-30]
    found, report = read(bytearray(data), tmp_path)
    assert found == [0]
    assert [one.reason for one in report.files[0].unreadable] == ["cut short in the middle of a packet"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_damaged_block_is_passed_over(order: str, tmp_path: Path) -> None:
    head, size = len(newer(0, order)), len(newer(1)) - len(newer(0))
    for at, value in ((4, 1 << 31), (4, 13), (4, 8), (size - 4, 5), (8, 77), (20, 1 << 20)):
        data = newer(9, order)
        struct.pack_into(order + "I", data, head + 3 * size + at, value)
        found, report = read(data, tmp_path, "made.pcapng")
        assert found == [0, 1, 2, 4, 5, 6, 7, 8]
        (told,) = report.files[0].unreadable
        assert (told.offset, f"; {size} bytes are lost" in told.reason) == (head + 3 * size, True)


def test_a_section_behind_the_damage_begins_anew(tmp_path: Path) -> None:
    data = newer(3)[:-4] + bytes(9) + newer(5, ">")[:]
    rows, _ = replay([("made.pcapng", bytes(data))], tmp_path)
    assert [(row["src_port"] - 1000, row["packets_out"]) for row in rows] == [(0, 2), (1, 2), (2, 1), (3, 1), (4, 1)]


def test_a_file_full_of_damage_ends(tmp_path: Path) -> None:
    data = bytearray()
    for number in range(DAMAGES_MOST + 20):
        data += classic(number + 2)[24 + number * RECORD :] + b"\xff" * 20
    _, report = read(classic(0) + data, tmp_path)
    assert 1 < len(report.files[0].unreadable) <= DAMAGES_MOST + 1


def test_all_damage_is_counted(tmp_path: Path) -> None:
    """replay holds the sums; a packet that is read is one that was there, as long as its own bytes are whole."""
    rolled = random.Random(7)
    for number in range(150):
        data = classic(20) if number & 1 else newer(20)
        for _ in range(rolled.randrange(1, 6)):
            place = rolled.randrange(24, len(data))
            data[place : place + rolled.randrange(9)] = rolled.randbytes(rolled.randrange(9))
        _, report = replay([("made.pcap", bytes(data))], tmp_path)
        assert report.packets <= 25


def snoop(packets: list[tuple[float, bytes]], link: int = 4) -> bytes:
    out = b"snoop\0\0\0" + struct.pack(">II", 2, link)
    for seconds, data in packets:
        body = data + bytes(-len(data) % 4)
        head = struct.pack(">IIII", len(data) + 6, len(data), 24 + len(body), 0)
        out += head + struct.pack(">II", int(seconds), round(seconds % 1 * 1e6)) + body
    return out


def test_solaris_captures_are_read(tmp_path: Path) -> None:
    data = snoop([(START + number + 0.25, frame(number)) for number in range(5)])
    rows, report = replay([("made.snoop", data)], tmp_path)
    assert [row["src_port"] for row in rows] == [1000, 1001, 1002, 1003, 1004]
    assert rows[0]["source_format"] == report.files[0].format == "snoop"
    assert rows[0]["start_time"].timestamp() == START + 0.25
    assert report.whole()


@pytest.mark.parametrize(("data", "packets", "reason"), [
    (snoop([(START, frame(0))], 8), 0, "link type 8"), (snoop([(START, frame(0))]) + bytes(24), 1, "claims 0 bytes"),
    (snoop([(START, frame(0))])[:-1], 0, "cut short"), (snoop([(START, frame(0))]) + b"\0", 1, "cut short"),
])  # fmt: skip
def test_solaris_captures_that_break(data: bytes, packets: int, reason: str, tmp_path: Path) -> None:
    rows, report = replay([("made.snoop", data)], tmp_path)
    assert len(rows) == packets
    assert reason in report.files[0].unreadable[0].reason


def ports(rows: list[dict[str, Any]]) -> list[int]:
    return [row["src_port"] - 1000 for row in rows]


def test_a_ring_is_replayed_in_time_order(tmp_path: Path) -> None:
    """`tcpdump -C -W 3` began its first file anew; the conversation goes on from the last."""

    def piece(at: int) -> bytes:
        return pcap([(START + at, frame(1)), (START + at + 1, frame(2)), (START + at + 2, frame(at))])

    files = [("ring.pcap0", piece(60)), ("ring.pcap1", piece(20)), ("ring.pcap2", piece(40)), ("broken", b"?")]
    rows, report = replay(files, tmp_path, continuous=True)
    assert [Path(one.path).name for one in report.files] == ["ring.pcap1", "ring.pcap2", "broken", "ring.pcap0"]
    assert sorted(ports(rows)) == [1, 2, 20, 40, 60]
    (one,) = [row for row in rows if row["src_port"] == 1001]
    assert (one["packets_out"], one["observer"]) == (3, "ring.pcap1")
    assert [Path(one.path).name for one in replay(files, tmp_path)[1].files] == [name for name, _ in files]

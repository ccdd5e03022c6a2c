"""Capture files: every variant reads alike; broken ones give what was readable and say where they break."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.crafted_packets import START, block, enhanced, interface, option, pcap, replay, section, segment

from ingest.files import Input
from ingest.packets import CaptureSource, PacketOptions, pcapng
from ingest.packets.capture import Capture
from ingest.packets.pcapng import moment, resolution
from ingest.packets.resync import DAMAGES_MOST
from ingest.packets.window import WINDOW_BYTES, Window

FRAME = segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10)
MICROS = round(START * 1e6)


def read(data: bytes) -> tuple[list[tuple[bytes, int, int]], Capture]:
    """Packets (bytes, us, link type) of a capture held in memory."""
    capture = Capture(Input("made-up", io.BytesIO(data), len(data)), Window(), [], "made-up")
    found = []
    for one in capture.blocks():
        for at, size, _, time, interface_row in one.packets:
            found.append((one.data[at : at + size].tobytes(), int(time), int(one.interfaces[interface_row, 0])))
    return found, capture


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanos", [False, True])
@pytest.mark.parametrize("link", [1, 276])
def test_pcap_variants(order: str, nanos: bool, link: int) -> None:
    packets, capture = read(pcap([(START, FRAME), (START + 0.25, FRAME[:20])], link, order, nanos))
    assert packets == [(FRAME, MICROS, link), (FRAME[:20], MICROS + 250_000, link)]
    assert (capture.format, capture.unreadable) == ("pcap", [])


def test_kuznetzov_and_old_length_orders() -> None:
    head = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIIIIHBB", 5, 6, len(FRAME), len(FRAME), 0, 0, 0, 0) + FRAME
    assert read(head + record * 2)[0] == [(FRAME, 5_000_006, 1)] * 2
    old = (
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 2, 0, 0, 65535, 1) + struct.pack("<IIII", 5, 6, 900, len(FRAME)) + FRAME
    )
    assert read(old)[0] == [(FRAME, 5_000_006, 1)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_interfaces_sections_and_unknown_blocks(order: str) -> None:
    nano = option(order, 2, b"eth7") + option(order, 9, b"\x09") + option(order, 14, struct.pack(order + "q", 100))
    obsolete = struct.pack(order + "HHIIII", 0, 0, MICROS >> 32, MICROS & 0xFFFFFFFF, len(FRAME), len(FRAME)) + FRAME
    data = (
        section(order) + interface(order) + interface(order, 101, nano) + block(order, 0x0BAD, bytes(50))
        + enhanced(FRAME, MICROS, order) + enhanced(FRAME[14:], MICROS * 1000, order, 1) + block(order, 2, obsolete)
        + block(order, 3, struct.pack(order + "I", len(FRAME)) + FRAME)
    )  # fmt: skip
    packets, capture = read(data + section(">") + interface(">") + enhanced(FRAME, 7, ">"))
    assert packets == [
        (FRAME, MICROS, 1), (FRAME[14:], MICROS + 100_000_000, 101), (FRAME, MICROS, 1), (FRAME, -1, 1), (FRAME, 7, 1),
    ]  # fmt: skip
    assert (capture.format, capture.unreadable) == ("pcapng", [])


def test_interfaces_are_named_as_observers(tmp_path: Path) -> None:
    data = section() + interface(options=option("<", 2, b"eth7")) + enhanced(FRAME, MICROS)
    (row,) = replay([("node1.pcapng", data)], tmp_path)[0]
    assert (row["observer"], row["source_format"]) == ("node1.pcapng:eth7", "pcapng")


@given(st.integers(0, 255), st.integers(0, 2**64 - 1), st.integers(-(10**10), 10**10))
@settings(max_examples=600, deadline=None)
def test_time_stamps_equal_exact_arithmetic(power: int, ticks: int, offset: int) -> None:
    per_second, shift = resolution(power)
    row = np.array([1, 0, per_second, shift, offset, 0], dtype=np.int64)
    got = int(moment(ticks >> 32, ticks & 0xFFFFFFFF, row))
    unit = 2 ** (power & 0x7F) if power & 0x80 else 10**power
    last = 253402300799 * 10**6 + 999_999
    exact = ticks * 10**6 // unit + offset * 10**6
    if ticks >> 63:
        assert got == 253402300799 * 10**6
    elif 0 <= exact <= last and unit <= 10**18:
        # Clocks finer than 2^-40 s are cut to that first.
        assert abs(got - exact) <= 1
    else:
        assert 0 <= got <= last


def test_a_packet_larger_than_the_window_is_read() -> None:
    huge = FRAME + bytes(3 * WINDOW_BYTES)
    assert [len(data) for data, _, _ in read(pcap([(START, FRAME), (START, huge), (START, FRAME)]))[0]] == [
        len(FRAME), len(huge), len(FRAME),
    ]  # fmt: skip
    skipped = section() + interface() + block("<", 0x0BAD, bytes(3 * WINDOW_BYTES)) + enhanced(FRAME, 1)
    assert len(read(skipped)[0]) == 1


GOOD = pcap([(START, FRAME)])
NG = section() + interface() + enhanced(FRAME, MICROS)


@pytest.mark.parametrize(
    ("data", "packets", "offset", "reason"),
    [
        (b"", 0, 0, "the file is empty"),
        (b"hello, I am text", 0, 0, "this is no capture, and no flow log that is known: it begins with 68 65 6c"),
        (b"snoop\0\0\0" + bytes(30), 0, 0, "Solaris snoop"),
        (GOOD[:20], 0, 0, "cut short in the middle of the file's header"),
        (GOOD + GOOD[24:50], 1, len(GOOD), "cut short in the middle of a packet"),
        (GOOD + struct.pack("<IIII", 0, 0, 1 << 31, 0), 1, len(GOOD), "claims 2147483648 bytes"),
        (NG + NG[48:70], 1, len(NG), "cut short in the middle of a block"),
        (NG + struct.pack("<III", 6, 1 << 31, 0), 1, len(NG), "claims 2147483648 bytes"),
        (NG + struct.pack("<III", 6, 11, 0), 1, len(NG), "length of 11"),
        (NG + enhanced(FRAME, 1)[:-4] + bytes(4), 1, len(NG), "second length differs"),
        (NG + enhanced(FRAME, 1, number=5), 1, len(NG), "names interface 5"),
        (NG + section()[:8] + bytes(20), 1, len(NG), "byte order cannot be told"),
        (NG + block("<", 1, b""), 1, len(NG), "too short"),
    ],
)
def test_broken_files_say_where(data: bytes, packets: int, offset: int, reason: str, tmp_path: Path) -> None:
    _, report = replay([("bad.pcap", data), ("good.pcap", GOOD)], tmp_path)
    assert [one.packets for one in report.files] == [packets, 1]
    (found,) = report.files[0].unreadable
    assert found.offset == offset
    assert reason in found.reason
    assert not report.whole()


def test_a_missing_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.pcap").write_bytes(GOOD)
    source = CaptureSource([str(tmp_path / "none.pcap"), str(tmp_path / "good.pcap")], PacketOptions())
    assert sum(batch.num_rows for batch, _ in source.batches()) == 1
    assert "no such file" in source.report.files[0].unreadable[0].reason


def mutated(data: bytes, rolled: random.Random) -> bytes:
    """Some bytes changed, some doubled, the end perhaps cut."""
    changed = bytearray(data)
    for _ in range(rolled.randrange(1, 8)):
        place = rolled.randrange(len(changed))
        changed[place] = rolled.choice([0, 1, 0x7F, 0xFF, rolled.randrange(256)])
    if rolled.random() < 0.3:
        place = rolled.randrange(len(changed))
        changed[place:place] = changed[place : place + rolled.randrange(60)]
    return bytes(changed[: rolled.randrange(len(changed))] if rolled.random() < 0.3 else changed)


SEEDS = [
    pcap([(START + number, FRAME) for number in range(5)]),
    section() + interface(options=option("<", 2, b"a") + option("<", 9, b"\x06")) + enhanced(FRAME, MICROS) * 4 + NG,
]


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
@settings(max_examples=600, deadline=None)
def test_damaged_files_never_crash(data: bytes, rolled: random.Random) -> None:
    packets, capture = read(mutated(data, rolled))
    assert len(packets) < 200
    assert len(capture.unreadable) <= DAMAGES_MOST


@given(st.binary(max_size=300), st.sampled_from([b"", GOOD[:24], section(), section() + interface()]))
@settings(max_examples=400, deadline=None)
def test_random_files_never_crash(data: bytes, head: bytes) -> None:
    packets, _ = read(head + data)
    assert sum(len(one) for one, _, _ in packets) <= len(data)


@given(st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_damaged_files_are_counted_in_full(tmp_path_factory: pytest.TempPathFactory, rolled: random.Random) -> None:
    """replay holds that packets read are packets folded or refused."""
    files = [(f"{place}.pcap", mutated(seed, rolled)) for place, seed in enumerate(SEEDS)]
    folder: Any = tmp_path_factory.mktemp("any")
    rows, report = replay(files, folder)
    assert len(report.files) == 2
    assert len(rows) <= report.packets


def test_interfaces_between_packets_cost_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of interfaces that are made or copied: twice the interfaces, twice the rows."""
    made = 0

    def counting(what: Any) -> Any:
        def counted(*told: Any, **named: Any) -> Any:
            nonlocal made
            rows = what(*told, **named)
            made += len(rows)
            return rows

        return counted

    def work(count: int) -> int:
        nonlocal made
        made = 0
        packets, capture = read(section() + (interface() + enhanced(FRAME, MICROS)) * count)
        assert (len(packets), capture.unreadable) == (count, [])
        return made

    for name in ("zeros", "concatenate", "ascontiguousarray"):
        monkeypatch.setattr(np, name, counting(getattr(np, name)))
    base = work(1)
    assert work(4000) - base < 3 * (work(2000) - base)
    assert work(4000) - base < 8 * 4000


def test_a_section_has_so_many_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "INTERFACES_MOST", 10)
    _, capture = read(section() + interface() * 10 + section() + interface() * 11)
    assert [one.reason for one in capture.unreadable] == ["more than 10 interfaces in a section"]

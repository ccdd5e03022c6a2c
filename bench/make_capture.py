"""Make the benchmark's capture: VXLAN packets of many conversations, interleaved as a mirror port sees them.

    python bench/make_capture.py OUT [--packets 4000000] [--conversations 100000] [--holds 100000]

Writes OUT/capture.pcap and OUT/history.jsonl. The same numbers give the same bytes.

How it is made. Every packet is Ethernet, IPv4, UDP 4789, VXLAN (VNI 4096), Ethernet, IPv4, TCP or UDP, cut at
130 bytes as by a snap length; data packets say an original length of up to 1,550. Packets without payload carry
zeros behind the inner IP packet up to the 130 bytes, as padding. Outer source ports are a hash of the inner
five-tuple, as Linux sets them. Conversations start at a steady rate (100,000 in 600 s) and live 0.1 to 300 s, so
that some thousands are open at any time; a capture of ten times the packets is ten times as long, not denser.
85 % of the TCP conversations (80 % of all) end by FIN, 10 % by RST, the rest stay open; sizes are lognormal.
Checksums are zero.
Both ends are pods that held their addresses for the whole conversation.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cluster_day import DAY_START_US, PODS_PER_NODE, Day, make_day, write_evidence
from numpy.typing import NDArray

CAPTURED = 130
RECORD = 16 + CAPTURED
SLICE_US = 5_000_000
TRIES = 200
STARTS_PER_SECOND = 100_000 / 600
VNI = 4096
NOON_US = DAY_START_US + 12 * 3_600_000_000
PORTS = np.array([443, 8080, 5432, 6379, 9092, 53, 8443, 3306], dtype=np.int64)
SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16
Ints = NDArray[np.int64]
# Offsets within a record: 16 bytes of pcap, then outer Ethernet, IPv4, UDP, VXLAN, inner Ethernet, IPv4, TCP or UDP.
OUTER_IP, OUTER_UDP, VXLAN, INNER_IP, INNER_L4 = 30, 50, 58, 80, 100


@dataclass(frozen=True)
class Traffic:
    """Conversations, one a row, sorted by start (us since epoch)."""

    start: Ints
    length_us: Ints
    packets: Ints
    src: Ints
    dst: Ints
    sport: Ints
    dport: Ints
    udp: NDArray[np.bool_]
    ending: NDArray[np.int8]  # 0: FIN, 1: RST, 2: stays open


def sizes(random: np.random.Generator, packets: int, conversations: int) -> Ints:
    """Packets of each conversation: lognormal, 8 at least, exactly `packets` in sum."""
    drawn = random.lognormal(0.0, 1.2, conversations)
    room = packets - 8 * conversations
    if room < 0:
        raise SystemExit(f"cannot make {conversations} conversations of {packets} packets: each needs 8 or more")
    whole: Ints = 8 + np.floor(drawn / drawn.sum() * room).astype(np.int64)
    whole[: packets - int(whole.sum())] += 1
    return whole


def make_traffic(day: Day, packets: int, conversations: int, seed: int = 3) -> Traffic:
    """Draw all conversations; both ends hold their addresses from start to end."""
    random = np.random.default_rng(seed)
    count = sizes(random, packets, conversations)
    span = int(conversations / STARTS_PER_SECOND * 1e6)
    # Never more than 3 s a packet: no idle timeout cuts what is one conversation.
    length = np.minimum(random.exponential(25e6, conversations), count * 3e6)
    length = np.clip(length, 1e5, min(300e6, span / 2)).astype(np.int64)
    start = NOON_US + (random.random(conversations) * (span - length)).astype(np.int64)
    order = np.argsort(start, kind="stable")
    start, length, count = start[order], length[order], count[order]
    src = _ends(random, day, start, length)
    dst = _ends(random, day, start, length, apart=src)
    udp = random.random(conversations) < 0.2
    return Traffic(
        *(start, length, count, src, dst),
        sport=32_768 + np.arange(conversations) % 28_000,
        dport=PORTS[dst % len(PORTS)],
        udp=udp,
        ending=random.choice(3, conversations, p=[0.85, 0.10, 0.05]).astype(np.int8),
    )


def _ends(random: np.random.Generator, day: Day, start: Ints, length: Ints, apart: Ints | None = None) -> Ints:
    """Draw slots until each is held by one pod during its whole conversation.

    With `apart`, the other ends: one slot of five accepts conversations, and never those of its own node.
    """
    chosen = np.zeros(len(start), dtype=np.int64)
    open_rows = np.arange(len(start))
    for _ in range(TRIES):
        if apart is None:
            drawn = random.integers(0, day.slots, len(open_rows))
        else:
            drawn = random.integers(0, (day.slots + 4) // 5, len(open_rows)) * 5
        first = day.holder(drawn, start[open_rows])
        last = day.holder(drawn, start[open_rows] + length[open_rows])
        fits = (first >= 0) & (first == last)
        if apart is not None:
            fits &= drawn // PODS_PER_NODE != apart[open_rows] // PODS_PER_NODE
        chosen[open_rows] = drawn
        open_rows = open_rows[~fits]
        if not len(open_rows):
            return chosen
    raise SystemExit(
        f"cannot find pods for {len(open_rows)} conversations: {day.slots} addresses are too few or too busy"
    )


def records(traffic: Traffic) -> Iterator[bytes]:
    """Yield pcap records in time order, a slice of time at once; memory stays bounded."""
    template, random = _template(), np.random.default_rng(4)
    last = int((traffic.start + traffic.length_us).max()) + 1
    edges = np.arange(int(traffic.start[0]), last + SLICE_US, SLICE_US)
    rows = np.searchsorted(traffic.start, edges)
    waiting = np.empty((3, 0), dtype=np.int64)
    for number in range(len(edges) - 1):
        waiting = np.concatenate([waiting, _packets(traffic, random, rows[number], rows[number + 1])], axis=1)
        due = waiting[0] < edges[number + 1]
        now, waiting = waiting[:, due], waiting[:, ~due]
        if now.shape[1]:
            now = now[:, np.argsort(now[0], kind="stable")]
            yield _bytes(template, traffic, now).tobytes()


def _packets(traffic: Traffic, random: np.random.Generator, low: int, high: int) -> Ints:
    """(3, n): time, conversation and place in it, of every packet of conversations low .. high."""
    count = traffic.packets[low:high]
    row = np.repeat(np.arange(low, high), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    share = (place + 0.8 * random.random(len(row))) / traffic.packets[row]
    return np.stack([traffic.start[row] + (share * traffic.length_us[row]).astype(np.int64), row, place])


def _flags(traffic: Traffic, row: Ints, place: Ints) -> tuple[Ints, NDArray[np.bool_], NDArray[np.bool_]]:
    """TCP flags, whether the packet goes out, and whether it carries data."""
    left = traffic.packets[row] - 1 - place
    flags = np.full(len(row), PSH | ACK, dtype=np.int64)
    # The opener asks in one packet of two; every fifth packet is a bare acknowledgement.
    out = (place * 7 + row) % 2 == 0
    flags[(place + row) % 5 == 0] = ACK
    for at, word, way in ((0, SYN, True), (1, SYN | ACK, False), (2, ACK, True)):
        here = place == at
        flags[here], out[here] = word, way
    fin, rst = traffic.ending[row] == 0, traffic.ending[row] == 1
    for at, word, way in ((2, FIN | ACK, True), (1, FIN | ACK, False), (0, ACK, True)):
        here = fin & (left == at)
        flags[here], out[here] = word, way
    flags[rst & (left == 0)] = RST
    return flags, out, flags == PSH | ACK


def _bytes(template: NDArray[np.uint8], traffic: Traffic, now: Ints) -> NDArray[np.uint8]:
    """Fill one record a packet: (n, RECORD) uint8."""
    moment, row, place = now
    flags, out, data = _flags(traffic, row, place)
    udp = traffic.udp[row]
    out = np.where(udp, place % 2 == 0, out)
    data = data | udp
    payload = np.where(data, 26 + (row * 131 + place * 977) % 1395, 0)
    inner_length = 20 + np.where(udp, 8, 20) + payload
    frame = np.empty((len(row), RECORD), dtype=np.uint8)
    frame[:] = template
    _put(frame, 0, moment // 1_000_000, 4, little=True)
    _put(frame, 4, moment % 1_000_000, 4, little=True)
    # Shorter packets are padded to what is captured; longer ones are cut.
    _put(frame, 12, np.maximum(inner_length + 64, CAPTURED), 4, little=True)
    src, dst = (
        np.where(out, a, b) for a, b in ((traffic.src[row], traffic.dst[row]), (traffic.dst[row], traffic.src[row]))
    )
    sport, dport = (
        np.where(out, a, b)
        for a, b in ((traffic.sport[row], traffic.dport[row]), (traffic.dport[row], traffic.sport[row]))
    )
    _put(frame, OUTER_IP + 2, np.maximum(inner_length + 50, CAPTURED - 14), 2)
    _put(frame, OUTER_UDP + 4, np.maximum(inner_length + 30, CAPTURED - 34), 2)
    for at, slot in ((OUTER_IP + 12, src), (OUTER_IP + 16, dst)):
        node = slot // PODS_PER_NODE
        _put(frame, at + 2, node // 250, 1)
        _put(frame, at + 3, node % 250 + 1, 1)
    _put(frame, OUTER_UDP, 32_768 + (src * 31 + dst * 17 + sport * 7 + dport) % 28_000, 2)
    for at, slot in ((INNER_IP + 12, src), (INNER_IP + 16, dst)):
        _put(frame, at + 2, slot // PODS_PER_NODE, 1)
        _put(frame, at + 3, slot % PODS_PER_NODE + 10, 1)
    _put(frame, INNER_IP + 2, inner_length, 2)
    _put(frame, INNER_IP + 9, np.where(udp, 17, 6), 1)
    _put(frame, INNER_L4, sport, 2)
    _put(frame, INNER_L4 + 2, dport, 2)
    _transport(frame, udp, flags, place, row, payload)
    return frame


def _transport(
    frame: NDArray[np.uint8], udp: NDArray[np.bool_], flags: Ints, place: Ints, row: Ints, payload: Ints
) -> None:
    """Rest of the TCP header; UDP's length and payload where it is UDP."""
    _put(frame, INNER_L4 + 4, row * 7919 + place * 1400, 4)
    _put(frame, INNER_L4 + 8, np.where(flags == SYN, 0, row * 6131 + place * 1400), 4)
    _put(frame, INNER_L4 + 12, np.full(len(row), 0x50), 1)
    _put(frame, INNER_L4 + 13, flags, 1)
    frame[:, INNER_L4 + 14 : INNER_L4 + 20] = (0x10, 0x00, 0, 0, 0, 0)
    short = np.flatnonzero(udp)
    frame[short, INNER_L4 + 4 :] = 0
    length = 8 + payload[short]
    frame[short, INNER_L4 + 4] = length >> 8
    frame[short, INNER_L4 + 5] = length & 255


def _put(frame: NDArray[np.uint8], at: int, values: Ints, width: int, *, little: bool = False) -> None:
    for number in range(width):
        shift = 8 * (number if little else width - 1 - number)
        frame[:, at + number] = (values >> shift) & 255


def _template() -> NDArray[np.uint8]:
    """A record with everything that is the same in all."""
    ether = bytes.fromhex("0a580af40001 0a580af40002 0800")
    outer = struct.pack("!BBHHHBBHBBHBBH", 0x45, 0, 0, 0, 0, 64, 17, 0, 192, 168, 0, 192, 168, 0)
    tunnel = struct.pack("!HHHH", 0, 4789, 0, 0) + struct.pack("!II", 0x08 << 24, VNI << 8)
    inner = struct.pack("!BBHHHBBHBBHBBH", 0x45, 0, 0, 7, 0x4000, 64, 6, 0, 10, 244, 0, 10, 244, 0)
    body = ether + outer + tunnel + ether + inner
    head = struct.pack("<IIII", 0, 0, CAPTURED, 0)
    return np.frombuffer((head + body).ljust(RECORD, b"\0"), dtype=np.uint8)


def write_capture(path: Path, traffic: Traffic) -> int:
    """Write the capture. Returns: packets written."""
    written = 0
    with path.open("wb", buffering=1 << 20) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, CAPTURED, 1))
        for block in records(traffic):
            out.write(block)
            written += len(block) // RECORD
    return written


def concurrency(traffic: Traffic) -> tuple[int, int]:
    """Conversations open at the median moment of a start, and at the busiest."""
    ends = np.sort(traffic.start + traffic.length_us)
    open_now = np.arange(1, len(traffic.start) + 1) - np.searchsorted(ends, traffic.start)
    return int(np.median(open_now)), int(open_now.max())


def main() -> int:
    """Make capture and history, and say what was made."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--packets", type=int, default=4_000_000)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--pods", type=int, default=2_000, help="addresses in use at a time")
    parser.add_argument("--holds", type=int, default=100_000, help="pods that held them, over the day")
    parser.add_argument("--capture-only", action="store_true", help="write no history")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    day = make_day(told.holds, told.pods)
    traffic = make_traffic(day, told.packets, told.conversations)
    packets = write_capture(told.out / "capture.pcap", traffic)
    median, most = concurrency(traffic)
    print(f"{packets:,} packets, {len(traffic.start):,} conversations, {median:,} open at a time (most {most:,})")
    if not told.capture_only:
        print(f"{write_evidence(told.out / 'history.jsonl', day):,} evidence lines of {told.holds:,} pods")
    print(f"made in {time.perf_counter() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Packets and capture files made by hand or by scapy, for the tests of this room."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ingest.packets import CaptureSource, PacketOptions, decode_packets
from whowas.stages import Report

START = 1_700_000_000.0
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
Timed = tuple[float, bytes]


def pcap(packets: Iterable[Timed], link: int = 1, order: str = "<", nanos: bool = False, version: int = 4) -> bytes:
    """A classic capture file of (seconds, bytes)."""
    unit = 10**9 if nanos else 10**6
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nanos else 0xA1B2C3D4, 2, version, 0, 0, 262144, link)
    for seconds, data in packets:
        ticks = round(seconds * 10**6) * (unit // 10**6)
        out += struct.pack(order + "IIII", ticks // unit, ticks % unit, len(data), len(data)) + data
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str = "<", link: int = 1, options: bytes = b"", snap: int = 0) -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options)


def enhanced(data: bytes, ticks: int, order: str = "<", number: int = 0) -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(order, 6, head + data + bytes(-len(data) % 4))


def ipv4(src: str, dst: str, protocol: int, payload: bytes, fragment: int = 0, ident: int = 1) -> bytes:
    ends = bytes(int(part) for part in f"{src}.{dst}".split("."))
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0) + ends + payload


def tcp(sport: int, dport: int, flags: int, sequence: int = 1, payload: bytes = b"") -> bytes:
    return struct.pack(">HHIIHHHH", sport, dport, sequence, 0, 0x5000 | flags, 1000, 0, 0) + payload


def udp(sport: int, dport: int, payload: bytes = b"") -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def ethernet(ip: bytes, ethertype: int = 0x0800) -> bytes:
    return bytes.fromhex("0200000000020200000000 01".replace(" ", "")) + struct.pack(">H", ethertype) + ip


def vxlan(vni: int, frame: bytes, src: str = "192.168.0.1", dst: str = "192.168.0.2", port: int = 4789) -> bytes:
    return ethernet(ipv4(src, dst, 17, udp(50000, port, struct.pack(">II", 0x08000000, vni << 8) + frame)))


def segment(src: str, dst: str, sport: int, dport: int, flags: int, sequence: int = 1, size: int = 0) -> bytes:
    return ethernet(ipv4(src, dst, 6, tcp(sport, dport, flags, sequence, bytes(size))))


def replay(files: Sequence[tuple[str, bytes]], folder: Path, **options: Any) -> tuple[list[dict[str, Any]], Report]:
    """Write the files, read them as one source; return the rows and the report. Holds that nothing is lost."""
    paths = []
    for name, data in files:
        (folder / name).write_bytes(data)
        paths.append(str(folder / name))
    source = CaptureSource(paths, PacketOptions(**options))
    rows = [row for batch, _ in source.batches() for row in batch.to_pylist()]
    folded = sum(row["packets_out"] + row["packets_in"] for row in rows)
    assert source.report.packets == folded + sum(source.report.refused.values()) + source.report.repeated
    assert source.report.packets == sum(one.packets for one in source.report.files)
    assert source.report.conversations == len(rows)
    assert all(row["end_time"] >= row["start_time"] for row in rows)
    return rows, source.report


def conversations(packets: Iterable[Timed], folder: Path, **options: Any) -> list[dict[str, Any]]:
    """Rows of one capture of Ethernet frames, each (seconds after START, bytes)."""
    timed = [(START + seconds, data) for seconds, data in packets]
    return replay([("made.pcap", pcap(timed))], folder, **options)[0]


def decoded(data: bytes, folder: Path, link: int = 1, **options: Any) -> dict[str, Any]:
    """What the decoder makes of one packet."""
    path = folder / "one.pcap"
    path.write_bytes(pcap([(START, data)], link))
    (row,) = [row for batch in decode_packets(str(path), PacketOptions(**options)) for row in batch.to_pylist()]
    return dict(row)

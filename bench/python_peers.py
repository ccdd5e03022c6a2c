"""What people write in Python to get flows out of a capture: one function a library.

    python bench/python_peers.py dpkt|scapy|nfstream CAPTURE

Each takes the innermost five-tuple of VXLAN packets and counts packets and bytes a direction, in a dict; that
is less than whowas does (no ends, no timeouts, no names, no files). nfstream does its own.
"""

from __future__ import annotations

import sys
from typing import Any

Flows = dict[tuple[Any, ...], list[int]]


def count(flows: Flows, src: Any, sport: int, dst: Any, dport: int, protocol: int, size: int) -> None:
    """Add a packet to its conversation."""
    there = (src, sport, dst, dport, protocol)
    back = (dst, dport, src, sport, protocol)
    key, way = (there, 0) if there in flows or back not in flows else (back, 2)
    totals = flows.setdefault(key, [0, 0, 0, 0])
    totals[way] += 1
    totals[way + 1] += size


def by_dpkt(path: str) -> tuple[int, int]:
    import dpkt

    flows: Flows = {}
    packets = 0
    with open(path, "rb") as handle:
        for _, data in dpkt.pcap.Reader(handle):
            packets += 1
            ip = dpkt.ethernet.Ethernet(data).data
            if isinstance(ip.data, dpkt.udp.UDP) and ip.data.dport == 4789:
                ip = dpkt.ethernet.Ethernet(ip.data.data[8:]).data
            count(flows, ip.src, ip.data.sport, ip.dst, ip.data.dport, ip.p, ip.len)
    return packets, len(flows)


def by_scapy(path: str) -> tuple[int, int]:
    from scapy.config import conf

    conf.use_pcap = False
    from scapy.layers.inet import IP
    from scapy.layers.vxlan import VXLAN
    from scapy.utils import PcapReader

    flows: Flows = {}
    packets = 0
    for packet in PcapReader(path):
        packets += 1
        inner = packet[VXLAN].payload if VXLAN in packet else packet
        ip = inner[IP]
        count(flows, ip.src, ip.payload.sport, ip.dst, ip.payload.dport, ip.proto, ip.len)
    return packets, len(flows)


def by_nfstream(path: str) -> tuple[int, int]:
    from nfstream import NFStreamer

    flows = packets = 0
    # No deep inspection, no statistics, one meter: the fastest it can be on one core.
    for flow in NFStreamer(source=path, n_dissections=0, statistical_analysis=False, n_meters=1):
        flows += 1
        packets += flow.bidirectional_packets
    return packets, flows


if __name__ == "__main__":
    seen, kept = {"dpkt": by_dpkt, "scapy": by_scapy, "nfstream": by_nfstream}[sys.argv[1]](sys.argv[2])
    print(f"{seen} packets, {kept} flows")

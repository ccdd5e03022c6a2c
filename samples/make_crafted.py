"""Make samples/crafted: what the overlay's kernel cannot send, built packet by packet.

    python samples/make_crafted.py [OUT]

Needs scapy. The same bytes come out at every run: times, ports and sequence numbers are written here.
Addresses are those of the overlay's pods or of the documentation ranges (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from lab.capture_files import EPOCH_US, Timed, pcap, pcapng
from lab.objects import Owner, Uids, node
from lab.pods import PodObject
from lab.record import Recorder
from scapy.config import conf
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData, SCTPChunkInit, SCTPChunkInitAck
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

HERE = Path(__file__).resolve().parent
MACS = {"src": "0a:58:0a:f4:01:14", "dst": "0a:58:0a:f4:02:14"}
NODES = ("192.168.50.1", "192.168.50.2")
WEB, DB = "10.244.1.20", "10.244.2.21"
WEB6, DB6 = "2001:db8:1::20", "2001:db8:2::21"


def ether(*layers: Any, back: bool = False) -> Any:
    """Ethernet around layers."""
    src, dst = (MACS["dst"], MACS["src"]) if back else (MACS["src"], MACS["dst"])
    whole = Ether(src=src, dst=dst)
    for layer in layers:
        whole = whole / layer
    return whole


def network(src: str, dst: str) -> Any:
    """The IP header of a pair; IPv4 ids are fixed, as scapy's defaults are."""
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst, id=4242)


def stream(src: str, dst: str, sport: int, dport: int, *, start: int = 1000, payload: int = 100) -> list[Any]:
    """A whole TCP connection, IP layer up: handshake, one message each way, close."""
    there = {"sport": sport, "dport": dport}
    back = {"sport": dport, "dport": sport}
    other = start + 50_000
    asked, answered = Raw(b"q" * payload), Raw(b"a" * (2 * payload))
    end, other_end = start + 1 + payload, other + 1 + 2 * payload
    segments = [
        (True, TCP(**there, flags="S", seq=start), None),
        (False, TCP(**back, flags="SA", seq=other, ack=start + 1), None),
        (True, TCP(**there, flags="A", seq=start + 1, ack=other + 1), None),
        (True, TCP(**there, flags="PA", seq=start + 1, ack=other + 1), asked),
        (False, TCP(**back, flags="PA", seq=other + 1, ack=end), answered),
        (True, TCP(**there, flags="FA", seq=end, ack=other_end), None),
        (False, TCP(**back, flags="FA", seq=other_end, ack=end + 1), None),
        (True, TCP(**there, flags="A", seq=end + 1, ack=other_end + 1), None),
    ]
    packets = []
    for out, segment, data in segments:
        head = network(src, dst) if out else network(dst, src)
        packets.append(head / segment / data if data else head / segment)
    return packets


def timed(packets: Iterable[Any], *, first_us: int = 0, step_us: int = 1000) -> list[Timed]:
    """Give packets a steady beat."""
    return [Timed(packet, first_us + number * step_us) for number, packet in enumerate(packets)]


def vxlan(inner: Any, vni: int, *, back: bool) -> Any:
    """A tunnelled frame between the nodes (RFC 7348)."""
    src, dst = NODES[::-1] if back else NODES
    outer = IP(src=src, dst=dst, id=77) / UDP(sport=49_152 + vni, dport=4789, chksum=0)
    return ether(outer, VXLAN(vni=vni, flags=0x08), ether(inner, back=back), back=back)


def leaves(packet: Any, src: str) -> bool:
    """Say whether a packet of `stream` goes from the pair's first address."""
    return bool(packet.src == src)


def two_vnis() -> list[Timed]:
    """The same five-tuple at the same time in two networks: two conversations."""
    found = []
    for number, packet in enumerate(stream(WEB, DB, 40_000, 5432)):
        for place, vni in enumerate((100, 200)):
            frame = vxlan(packet, vni, back=not leaves(packet, WEB))
            found.append(Timed(frame, number * 1000 + place * 300))
    return found


def vlans() -> list[Timed]:
    """One tag, two tags as QinQ (0x8100 twice), two as 802.1ad (0x88a8): three conversations of one five-tuple."""
    stacks = ([Dot1Q(vlan=7)], [Dot1Q(vlan=7), Dot1Q(vlan=42)], [Dot1AD(vlan=7), Dot1Q(vlan=42)])
    found = []
    for place, stack in enumerate(stacks):
        sport = 40_100 + place
        frames = [ether(*stack, packet, back=not leaves(packet, WEB)) for packet in stream(WEB, DB, sport, 443)]
        found += timed(frames, first_us=place * 100_000)
    return found


def geneve_options() -> list[Timed]:
    """Geneve (RFC 8926) with two options of different length before the inner frame."""
    options = [
        GeneveOptions(classid=0x0102, type=0x80, data=b"\0\1\0\2"),
        GeneveOptions(classid=0x0103, type=1, data=b"12345678"),
    ]
    found = []
    for packet in stream(WEB, DB, 40_200, 8080):
        back = not leaves(packet, WEB)
        src, dst = NODES[::-1] if back else NODES
        outer = IP(src=src, dst=dst, id=78) / UDP(sport=50_000, dport=6081, chksum=0)
        found.append(ether(outer, GENEVE(vni=300, proto=0x6558, options=options), ether(packet, back=back), back=back))
    return timed(found)


def sctp() -> list[Timed]:
    """An SCTP association: INIT, INIT ACK, data."""
    chunks = (
        (True, SCTPChunkInit(init_tag=1, a_rwnd=65_535, n_out_streams=1, n_in_streams=1, init_tsn=1)),
        (False, SCTPChunkInitAck(init_tag=2, a_rwnd=65_535, n_out_streams=1, n_in_streams=1, init_tsn=1)),
        (True, SCTPChunkData(data=b"signalling", tsn=1)),
    )
    frames = []
    for out, chunk in chunks:
        ports = {"sport": 36_412, "dport": 38_412} if out else {"sport": 38_412, "dport": 36_412}
        head = network(WEB, DB) if out else network(DB, WEB)
        frames.append(ether(head, SCTP(**ports, tag=2 if out else 1), chunk, back=not out))
    return timed(frames)


def extension_headers() -> list[Timed]:
    """IPv6 with hop-by-hop, routing and destination options, and a first fragment, before TCP and UDP."""
    chains = (
        [IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4))],
        [IPv6ExtHdrHopByHop(), IPv6ExtHdrRouting(addresses=[DB6]), IPv6ExtHdrDestOpt()],
        [IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment(offset=0, m=1, id=99)],
    )
    frames = []
    for place, chain in enumerate(chains):
        for last in (TCP(sport=40_300 + place, dport=443, flags="S", seq=1), UDP(sport=40_300 + place, dport=53)):
            head: Any = IPv6(src=WEB6, dst=DB6)
            for extension in chain:
                head = head / extension
            frames.append(ether(head, last, Raw(b"x" * 24) if isinstance(last, UDP) else Raw(b"")))
    return timed(frames)


def fragments() -> list[Timed]:
    """A 4,000-byte UDP datagram in fragments, in order; a second one whose last fragment comes first."""
    first = fragment(IP(src=WEB, dst=DB, id=501) / UDP(sport=40_400, dport=9000) / Raw(b"f" * 4000), fragsize=1400)
    second = fragment(IP(src=WEB, dst=DB, id=502) / UDP(sport=40_401, dport=9000) / Raw(b"g" * 4000), fragsize=1400)
    return timed([ether(piece) for piece in [*first, *reversed(second)]])


def disorder() -> list[Timed]:
    """One connection whose packets lie in the file in another order than their times: SYN-ACK and data first."""
    frames = timed([ether(p, back=not leaves(p, WEB)) for p in stream(WEB, DB, 40_500, 5432)])
    return [frames[number] for number in (1, 3, 0, 2, 4, 6, 5, 7)]


def reborn() -> list[Timed]:
    """A SYN after FIN, and one after RST, on the same five-tuple: three conversations. A repeated SYN: no fourth."""
    first = stream(WEB, DB, 40_600, 5432, start=1000)
    second = stream(WEB, DB, 40_600, 5432, start=900_000)[:5]
    reset = network(DB, WEB) / TCP(sport=5432, dport=40_600, flags="R", seq=950_201)
    third = stream(WEB, DB, 40_600, 5432, start=2_000_000)
    third.insert(1, third[0])
    packets = [*first, *second, reset, *third]
    return timed([ether(p, back=not leaves(p, WEB)) for p in packets])


def two_interfaces() -> list[Timed]:
    """Two interfaces, microseconds and nanoseconds; the same conversation at each, and one only at eth1."""
    found = []
    for number, packet in enumerate(stream(WEB, DB, 40_700, 443)):
        frame = ether(packet, back=not leaves(packet, WEB))
        found += [Timed(frame, number * 1000, 0, 0), Timed(frame, number * 1000 + 2, 345, 1)]
    found.append(Timed(ether(network(DB, WEB), UDP(sport=514, dport=514), Raw(b"<13>hello")), 9000, 999, 1))
    return found


def truncated(packets: list[Timed]) -> bytes:
    """A capture whose last packet is cut in the middle, as by a full disk."""
    return pcap(packets)[:-37]


def history() -> bytes:
    """Who held the pods' addresses then: two pods that had run for hours. No VNI is said to be the cluster's."""
    recorder, uids, began = Recorder("demo", seed=1), Uids(1), EPOCH_US / 1e6 - 60
    created = began - 5 * 3600
    for number, address in enumerate(NODES, 1):
        told = {"number": number, "address": address, "zone": "ab"[number - 1]}
        mac = f"0a:58:0a:f4:00:{number:02x}"
        recorder.listed(began, partial(node, f"worker-{number}", uids(), created, tunnel_mac=mac, **told))
    for space, name, held in (("shop", "web-0", [WEB, WEB6]), ("data", "db-0", [DB, DB6])):
        owner = Owner("apps/v1", "StatefulSet", name[:-2], uids())
        pod = PodObject(space, name, uids(), {"app": name[:-2]}, f"registry.example/{name[:-2]}:1", created, owner)
        number = 1 if space == "shop" else 2
        pod.bound(f"worker-{number}", created + 1)
        pod.accepted(NODES[number - 1], created + 1)
        pod.running(held, created + 3, created + 5)
        recorder.listed(began, pod.now)
    # An apiserver sends them each minute; a longer silence would say that the recording had stood still.
    for minute in (60, 120):
        recorder.bookmarks(began + minute)
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in recorder.lines()).encode()


FILES: dict[str, Callable[[], bytes]] = {
    "two-vnis.pcap": lambda: pcap(two_vnis()),
    "vlans.pcap": lambda: pcap(vlans()),
    "geneve-options.pcap": lambda: pcap(geneve_options()),
    "sctp.pcap": lambda: pcap(sctp()),
    "ipv6-extensions.pcap": lambda: pcap(extension_headers()),
    "fragments.pcap": lambda: pcap(fragments()),
    "disorder.pcap": lambda: pcap(disorder()),
    "reborn.pcap.gz": lambda: gzip.compress(pcap(reborn()), 9, mtime=0),
    "nanoseconds.pcap": lambda: pcap([Timed(one.packet, one.after_us, 789) for one in sctp()], nanos=True),
    "big-endian.pcap": lambda: pcap(disorder(), order=">"),
    "two-interfaces.pcapng": lambda: pcapng(two_interfaces()),
    "truncated.pcap": lambda: truncated(reborn()),
    "history.jsonl": history,
}


def main() -> int:
    """Write every file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=HERE / "crafted", help="folder to write to")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    conf.use_pcap = False  # build only: no socket is opened
    for name, make in FILES.items():
        (out / name).write_bytes(make())
        print(f"{(out / name).stat().st_size:>9,}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

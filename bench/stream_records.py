"""Flow records for the benches of streams, topics full of them, and the history that knows their pods.

The same numbers give the same bytes at every run: 2,000 addresses in the hands of pods, a tenth of the destinations
outside, ten minutes past noon of the made-up day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cluster_day import DAY_START_US, DAY_US, address, make_day, write_evidence

SLOTS, HOLDS = 2_000, 20_000
OUTSIDE, ELSEWHERE = 0.1, 5_000
NOON_US = DAY_START_US + DAY_US // 2 + 600_000_000
FLOWS_A_SECOND = 10_000


class Drawn(NamedTuple):
    """One flow. Times are us since 1970; bytes may be a serial number."""

    src: str
    dst: str
    src_port: int
    dst_port: int
    bytes: int
    packets: int
    flags: int
    node: int
    start: int
    end: int


def draw(count: int, seed: int = 3) -> Iterator[Drawn]:
    """Yield flows that end one after another."""
    random = np.random.default_rng(seed)
    words = [address(slot) for slot in range(SLOTS)]
    words += [f"{one >> 8 & 255 | 96}.{one & 255}.7.9" for one in random.permutation(1 << 13)[:ELSEWHERE]]
    src = random.integers(0, SLOTS, count)
    outside = random.random(count) < OUTSIDE
    dst = np.where(outside, SLOTS + random.integers(0, ELSEWHERE, count), random.integers(0, SLOTS, count))
    end = NOON_US + np.arange(count) * 1_000_000 // FLOWS_A_SECOND
    columns = (
        src, dst, random.integers(32_768, 61_000, count), random.choice([53, 80, 443, 5432, 8080, 9090], count),
        random.lognormal(7, 2, count).astype(np.int64) + 60, random.integers(1, 30, count),
        random.choice([2, 16, 18, 24, 25, 27], count), src // 50,
        end - random.exponential(2e6, count).astype(np.int64), end,
    )  # fmt: skip
    for one in zip(*(column.tolist() for column in columns), strict=True):
        yield Drawn(words[one[0]], words[one[1]], *one[2:])


NETOBSERV = (
    '{"AgentIP":"192.168.0.%d","Bytes":%d,"DstAddr":"%s","DstMac":"0a:58:0a:f4:01:02","DstPort":%d,'
    '"Etype":2048,"Flags":%d,"IfDirections":[0],"Interfaces":["eth0"],"Packets":%d,"Proto":6,"Sampling":50,'
    '"SrcAddr":"%s","SrcMac":"0a:58:0a:f4:01:03","SrcPort":%d,"TimeFlowEndMs":%d,"TimeFlowRttNs":10000,'
    '"TimeFlowStartMs":%d,"TimeReceived":%d}'
)
GOFLOW2 = (
    '{"type":"NETFLOW_V9","time_received_ns":%d,"sequence_num":%d,"sampling_rate":1,"sampler_address":"192.168.0.%d",'
    '"time_flow_start_ns":%d,"time_flow_end_ns":%d,"bytes":%d,"packets":%d,"src_addr":"%s","dst_addr":"%s",'
    '"etype":"IPv4","proto":"TCP","src_port":%d,"dst_port":%d,"tcp_flags":%d'
)
# What goflow2 2.2 says beyond that when nobody chose fields, as softflowd's flows come out of it.
ALL_FIELDS = (
    ',"in_if":0,"out_if":0,"src_mac":"00:00:00:00:00:00","dst_mac":"00:00:00:00:00:00","src_vlan":0,"dst_vlan":0,'
    '"vlan_id":0,"ip_tos":0,"forwarding_status":0,"ip_ttl":0,"ip_flags":0,"icmp_type":0,"icmp_code":0,'
    '"ipv6_flow_label":0,"fragment_id":0,"fragment_offset":0,"src_as":0,"dst_as":0,"next_hop":"","next_hop_as":0,'
    '"src_net":"0.0.0.0/0","dst_net":"0.0.0.0/0","bgp_next_hop":"","bgp_communities":[],"as_path":[],"mpls_ttl":[],'
    '"mpls_label":[],"mpls_ip":[],"observation_domain_id":0,"observation_point_id":0,"layer_stack":[],'
    '"layer_size":[],"ipv6_routing_header_addresses":[],"ipv6_routing_header_seg_left":0'
)


def netobserv(one: Drawn) -> bytes:
    """As NetObserv's pipeline writes it before names are added."""
    told = (
        one.node, one.bytes, one.dst, one.dst_port, one.flags, one.packets, one.src, one.src_port, one.end // 1000,
        one.start // 1000, one.end // 1_000_000 + 1,
    )  # fmt: skip
    return (NETOBSERV % told).encode()


def _goflow2(one: Drawn) -> str:
    received = (one.end + 500_000) * 1000
    return GOFLOW2 % (
        received, one.bytes, one.node, one.start * 1000, one.end * 1000, one.bytes, one.packets, one.src, one.dst,
        one.src_port, one.dst_port, one.flags,
    )  # fmt: skip


def goflow2(one: Drawn) -> bytes:
    """Some fields of goflow2's, as its own documents show it."""
    return (_goflow2(one) + "}").encode()


def goflow2_all(one: Drawn) -> bytes:
    """All fields, as goflow2 writes them when it is told nothing."""
    return (_goflow2(one) + ALL_FIELDS + "}").encode()


def goflow2_protobuf(one: Drawn) -> bytes:
    """As goflow2 writes `-format=bin`: a message behind its length."""
    body = b"".join([
        _whole(1, 3), _whole(3, 1), _whole(4, one.bytes), _piece(6, _octets(one.src)), _piece(7, _octets(one.dst)),
        _whole(9, one.bytes), _whole(10, one.packets), _piece(11, _octets(f"192.168.0.{one.node}")), _whole(20, 6),
        _whole(21, one.src_port), _whole(22, one.dst_port), _whole(26, one.flags), _whole(30, 0x0800),
        _whole(110, (one.end + 500_000) * 1000), _whole(111, one.start * 1000), _whole(112, one.end * 1000),
    ])  # fmt: skip
    return _varint(len(body)) + body


def _octets(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _piece(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


FORMS: dict[str, Callable[[Drawn], bytes]] = {
    "NetObserv JSON": netobserv,
    "goflow2 JSON": goflow2,
    "goflow2 JSON, all fields": goflow2_all,
    "goflow2 protobuf": goflow2_protobuf,
}
POOL = 200_000
"""So many records are made; a topic with more holds them again, at other offsets, and so with other flow ids."""


def pool(form: str, count: int = POOL) -> list[bytes]:
    """Return records of a form."""
    return [FORMS[form](one) for one in draw(count)]


def produce(broker: Any, topic: str, values: Iterable[bytes], compression: str = "none") -> None:
    """Send values, spread over the partitions; on return the broker has them."""
    from confluent_kafka import Producer

    options = {"linger.ms": 50, "batch.num.messages": 5000, "compression.type": compression, "log_level": 0}
    producer = Producer({**broker.options(), **options})
    for number, value in enumerate(values):
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 10_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise RuntimeError(f"the broker has not taken all of {topic}")


def topic_of(broker: Any, name: str, made: list[bytes], records: int, partitions: int = 4, **how: str) -> str:
    """Make a topic and fill it."""
    broker.create(name, partitions, **{"segment.bytes": str(256 << 20)})
    produce(broker, name, islice(cycle(made), records), **how)
    return name


def _heard(kind: str) -> bytes:
    """At the day's end the recorder still listens: names up to there are final."""
    told = {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "900000"}}
    received = datetime.fromtimestamp((DAY_START_US + DAY_US) // 1_000_000 + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"type": "BOOKMARK", "object": told, "received": received, "cluster": "bench"}).encode()


def store_of_day(folder: Path) -> Path:
    """Write the history of the made-up day as the store that `whowas watch` fills."""
    from fill_store import fill

    evidence, store = folder / "evidence.jsonl", folder / "history.db"
    write_evidence(evidence, make_day(HOLDS, SLOTS))
    with evidence.open("rb") as lines:
        fill(store, chain(lines, (_heard(kind) for kind in ("Pod", "Node", "Service"))))
    evidence.unlink()
    return store

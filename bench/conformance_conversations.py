"""Conversations by key: what was sent in each, on tshark's side and in packets that were compared one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from conformance_packets import CLAIMED, Ends, Packet, Row, ends_of, number

Key = tuple[Any, ...]


def key_of(ends: Ends, vni: int | None) -> Key:
    """A conversation's key whoever sent, and ports left out where there are none."""
    src, dst, protocol, src_port, dst_port = ends
    return (*sorted([(src, src_port or 0), (dst, dst_port or 0)]), protocol, vni)


@dataclass
class Total:
    """Packets and bytes by sender, flags, and times of a conversation."""

    sent: Counter[tuple[str, int]] = field(default_factory=Counter)
    octets: Counter[tuple[str, int]] = field(default_factory=Counter)
    flags: int = 0

    def same(self, other: Total) -> bool:
        return +self.sent == +other.sent and +self.octets == +other.octets and self.flags == other.flags


@dataclass
class Seen:
    """Conversations as the sum of packets that were compared one by one."""

    totals: dict[Key, Total] = field(default_factory=lambda: defaultdict(Total))
    # Keys of packets that a rule explained, on either side, and pairs of hosts that sent later fragments.
    ruled: set[Key] = field(default_factory=set)
    fragmented: set[Key] = field(default_factory=set)

    def add(self, ours: Packet, theirs: Row, rule: str) -> None:
        if not ours["refused"]:
            key = key_of(ends_of(ours), ours["vni"])
            total, sender = self.totals[key], (ours["src_ip"], ours["src_port"] or 0)
            total.sent[sender] += 1
            total.octets[sender] += ours["ip_bytes"]
            total.flags |= ours["tcp_flags"] or 0
            if rule:
                self.ruled.add(key)
            if ours["fragment"] == 2:
                self.fragmented.add(without_ports(key))
        if rule and theirs["proto"]:
            ends = (
                theirs["src"],
                theirs["dst"],
                int(theirs["proto"]),
                number(theirs["sport"]),
                number(theirs["dport"]),
            )
            self.ruled.add(key_of(ends, number(theirs["vni"])))


def theirs_by_key(flows: list[Row]) -> dict[Key, tuple[Total, Row]]:
    """The oracle's conversations that whowas claims. The same ends appear once more as tun_nonip: left out."""
    found: dict[Key, tuple[Total, Row]] = {}
    for row in flows:
        chains = {word for chain in row["tunnels"].replace("|", ",").split(",") for word in chain.split(">")} - {""}
        if row["kind"] != "ip" or not chains <= CLAIMED:
            continue
        ends = (row["src"], row["dst"], int(row["proto"]), number(row["sport"]), number(row["dport"]))
        total = Total(flags=int(row["tcp_flags"] or "0", 16))
        for way, host, port in (("fwd", "src", "sport"), ("rev", "dst", "dport")):
            sender = (row[host], number(row[port]) or 0)
            total.sent[sender] += int(row[f"pkts_{way}"])
            total.octets[sender] += int(row[f"bytes_{way}"])
        found[key_of(ends, number(row["vni"]))] = (total, row)
    return found


def without_ports(key: Key) -> Key:
    return (key[0][0], key[1][0], key[2], key[3])


def hosts_total(totals: dict[Key, Total], wanted: Key) -> tuple[Counter[str], Counter[str]]:
    """Packets and bytes by sending host of all conversations between two hosts, ports ignored."""
    sent, octets = Counter[str](), Counter[str]()
    for key, total in totals.items():
        if without_ports(key) == wanted:
            for (host, _), count in total.sent.items():
                sent[host] += count
            for (host, _), count in total.octets.items():
                octets[host] += count
    return +sent, +octets

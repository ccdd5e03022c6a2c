"""Names and numbers of IP protocols. Source: IANA, Assigned Internet Protocol Numbers."""

from __future__ import annotations

from ingest.columns.arrow import (
    PROTOCOL_WORDS,
)
from ingest.records.flow_columns import NONE

# Words that formats write for protocols, beyond those that whowas writes itself.
PROTOCOLS = {word: number for number, word in PROTOCOL_WORDS.items()} | {
    "hopopt": 0, "igmp": 2, "ggp": 3, "ipencap": 4, "ip-in-ip": 4, "ipip": 4, "ipv4": 4, "st": 5, "egp": 8, "igp": 9,
    "dccp": 33, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51,
    "ipv6-icmp": 58, "icmp6": 58, "ipv6_icmp": 58, "icmpv4": 1, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88,
    "ospf": 89, "ospfigp": 89, "ospfv2": 89, "etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "vrrp": 112,
    "l2tp": 115, "isis": 124, "fc": 133, "udplite": 136, "mpls-in-ip": 137,
}  # fmt: skip


def protocol_number(word: str) -> int:
    """IANA number of a name, or of a number as text; NONE where it is neither."""
    if word.isascii() and word.isdecimal() and len(word) <= 3:
        return int(word)
    return PROTOCOLS.get(word.lower(), NONE)

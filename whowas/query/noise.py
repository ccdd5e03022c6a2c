"""Flows that every network makes by itself: multicast, broadcast, link-local discovery, DHCP."""

from __future__ import annotations

from whowas.addresses import MAPPED
from whowas.query.filters import Filter, Not, between, equals, every, some
from whowas.query.functions import bounds

DHCP = (67, 68, 546, 547)
NOBODY = MAPPED + bytes(4)
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")


def _in(column: str, net: str) -> Filter:
    return between(column, *bounds(net))


def _link_local() -> Filter:
    """Both ends on the link itself. One end alone may be much: 169.254.169.254 hands out a cloud's credentials."""
    both = [every([_in("src_ip16", net), _in("dst_ip16", net)]) for net in LINK_LOCAL]
    return every([some(both), Not(equals("protocol", "tcp"))])


NOISE: Filter = some(
    [
        _in("dst_ip16", "224.0.0.0/4"),
        _in("dst_ip16", "ff00::/8"),
        _in("dst_ip16", "255.255.255.255"),
        equals("dst_mac", "ff:ff:ff:ff:ff:ff"),
        every([equals("src_ip16", NOBODY), equals("protocol", "udp")]),
        every([equals("protocol", "udp"), some(equals("dst_port", port) for port in DHCP)]),
        _link_local(),
    ]
)

"""Networks of rules. Stored objects may be older than today's checks: host bits are masked, every spelling is read."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Any, NamedTuple

from detect.policy.fields import Unreadable, as_list, as_map, as_text
from whowas.addresses import MAPPED


class Network(NamedTuple):
    """A network in the space of 16 bytes, IPv4 mapped. mask, bits: as whole numbers. four: it is of IPv4 alone."""

    bits: int
    mask: int
    four: bool
    text: str

    def holds(self, address: bytes) -> bool:
        """Say whether an address of 16 bytes lies in it."""
        return int.from_bytes(address) & self.mask == self.bits and address.startswith(MAPPED) == self.four


class Block(NamedTuple):
    """An ipBlock."""

    network: Network
    excepted: tuple[Network, ...] = ()

    def holds(self, address: bytes) -> bool:
        """Say whether an address lies in it, and in no exception."""
        return self.network.holds(address) and not any(one.holds(address) for one in self.excepted)

    def __str__(self) -> str:
        less = ", ".join(one.text for one in self.excepted)
        return f"{self.network.text} but for {less}" if less else self.network.text


@lru_cache(maxsize=1 << 14)
def _network(text: str) -> Network | None:
    address, slash, length = text.strip().partition("/")
    try:
        if "." in address and ":" not in address:
            # Leading zeros: once taken as decimal, now refused at the door; what is stored stays in force.
            address = ".".join(str(int(part)) for part in address.split(".") if part.isascii() and part.isdigit())
        made = ipaddress.ip_network(f"{address}/{int(length)}" if slash else "", strict=False)
    except ValueError:
        return None
    four = made.version == 4
    if not four and made.network_address in MAPPED_NET and made.prefixlen >= 96:
        four, made = True, ipaddress.ip_network((int(made.network_address) & 0xFFFFFFFF, made.prefixlen - 96))
    packed = MAPPED + made.network_address.packed if four else made.network_address.packed
    length16 = made.prefixlen + (96 if four else 0)
    mask = ((1 << length16) - 1) << (128 - length16)
    return Network(int.from_bytes(packed) & mask, mask, four, text)


MAPPED_NET = ipaddress.ip_network("::ffff:0:0/96")


def read_network(told: Any, where: str) -> Network:
    """Read a network. Raises: Unreadable."""
    text = as_text(told, where)
    found = _network(text)
    if found is None:
        raise Unreadable(f"{where} is '{text[:60]}', which is no network like 10.0.0.0/8")
    return found


def read_block(told: Any, where: str) -> Block:
    """Read an ipBlock. Raises: Unreadable."""
    one = as_map(told, where)
    network = read_network(one.get("cidr"), f"{where}.cidr")
    excepted = [read_network(each, f"{where}.except") for each in as_list(one.get("except"), f"{where}.except")]
    for each in excepted:
        if each.mask <= network.mask or each.bits & network.mask != network.bits:
            raise Unreadable(f"{where}.except has {each.text}, which does not lie strictly inside {network.text}")
    return Block(network, tuple(excepted))

"""Names for addresses that no object of the cluster holds: a small TOML file, and what the RFCs set apart."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from enrich.naming.interning import Interner
from whowas.arrays import Indices, Words
from whowas.errors import ConfigError
from whowas.toml_files import read_toml

What = tuple[str, str]
Nets = dict[int, dict[int, str]]
"""Names of ranges: bits behind the prefix -> prefix -> name."""
Net = ipaddress.IPv4Network | ipaddress.IPv6Network
FORM = 'write [networks] and lines like office = ["198.51.100.0/24"]'

# RFC 6890, 5771, 4291; 169.254.169.254 and fd00:ec2::254 are where clouds serve instance metadata.
SET_APART = (
    ("cloud metadata service", ("169.254.169.254/32", "fd00:ec2::254/128")),
    ("broadcast", ("255.255.255.255/32",)),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("unspecified", ("0.0.0.0/32", "::/128")),
    ("link-local", ("169.254.0.0/16", "fe80::/10")),
)


@dataclass(frozen=True)
class Network:
    """A named range. `built_in`: set apart by an RFC, not by the user."""

    name: str
    net: Net
    built_in: bool = False


BUILT_IN = tuple(Network(name, ipaddress.ip_network(cidr), True) for name, cidrs in SET_APART for cidr in cidrs)


def load_networks(path: str) -> tuple[Network, ...]:
    """Read a TOML file: a table [networks] of name = "cidr" or name = ["cidr", …].

    Raises: ConfigError naming the file, the line where TOML breaks, or the entry that is no range.
    """
    named = read_toml(path, "networks", FORM).get("networks")
    if not isinstance(named, dict):
        raise ConfigError(f"cannot read networks '{path}': there is no table [networks]; {FORM}")
    return tuple(one for name, cidrs in named.items() for one in _networks(path, name, cidrs))


def _networks(path: str, name: str, cidrs: Any) -> list[Network]:
    try:
        words = [cidrs] if isinstance(cidrs, str) else list(cidrs)
        return [Network(name, ipaddress.ip_network(word)) for word in words]
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cannot read networks '{path}': '{name}' = {cidrs!r}: {error}; {FORM}") from error


def plain(address: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Turn 16 bytes into the address people mean: IPv4 where it is mapped."""
    one = ipaddress.IPv6Address(address)
    return one.ipv4_mapped or one


class Ranges:
    """Says what an address is that nobody held."""

    def __init__(self, networks: tuple[Network, ...], cluster_ranges: tuple[str, ...]) -> None:
        self.told = (networks, cluster_ranges)
        # By version of the address and length of the prefix, longest first: a cluster has a range for each node.
        self._named: dict[int, Nets] = {4: {}, 6: {}}
        self._inside: dict[int, Nets] = {4: {}, 6: {}}
        for network in sorted((*networks, *BUILT_IN), key=lambda one: (-one.net.prefixlen, one.built_in)):
            _enter(self._named, network.net, network.name)
        for net in map(_range, cluster_ranges):
            if net is not None:
                _enter(self._inside, net, "")

    def what(self, address: bytes) -> What:
        """Return ("external", name or ""), ("inside", ""), or ("private", "") for 16 bytes of an address."""
        return self._look(plain(address))

    def _look(self, one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> What:
        if _within(self._inside, one) is not None:
            return "inside", ""
        name = _within(self._named, one)
        if name is not None:
            return "external", name
        # Ranges for documentation (203.0.113.0/24 …) are not the cluster's either.
        return ("external" if one.is_global else "private"), ""


def _enter(nets: dict[int, Nets], net: Net, name: str) -> None:
    """Enter a range; the first of two that are the same stays."""
    shift = net.max_prefixlen - net.prefixlen
    nets[net.version].setdefault(shift, {}).setdefault(int(net.network_address) >> shift, name)


def _within(nets: dict[int, Nets], one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    """Return the name of the range, entered longest first, that an address lies in."""
    number = int(one)
    for shift, names in nets[one.version].items():
        if number >> shift in names:
            return names[number >> shift]
    return None


class OutsideAddresses:
    """Says the same of many addresses at once. Each is looked at once; the cache is bounded.

    words: what addresses were found to be; `labels` are numbers of these.
    """

    CACHED = 1 << 20

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self.words: list[What] = []
        self._numbers: dict[What, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._addresses = Interner()
        self._label_of = np.empty(1 << 10, dtype=np.int32)

    def labels(self, addresses: npt.NDArray[np.uint8]) -> tuple[Indices, npt.NDArray[np.bool_]]:
        """Return the label of each address, and whether it is outside the cluster. Args: addresses: (n, 16) uint8."""
        asked = np.ascontiguousarray(addresses).view(np.int64)
        found = self._addresses.find(asked[:, 0], asked[:, 1])
        missing = found < 0
        if missing.any():
            if len(self._addresses) >= self.CACHED:
                self._forget()
                missing[:] = True
            self._add(np.unique(asked[missing], axis=0))
            found[missing] = self._addresses.find(asked[missing, 0], asked[missing, 1])
        labels = self._label_of[found]
        external = np.array([what == "external" for what, _ in self.words], dtype=bool)
        return labels, external[labels]

    def _add(self, fresh: Words) -> None:
        begin, size = len(self._addresses), len(self._addresses) + len(fresh)
        if size > len(self._label_of):
            self._label_of = np.concatenate([self._label_of, np.empty(size, dtype=np.int32)])
        self._label_of[begin:size] = [self._number(self.ranges.what(one.tobytes())) for one in fresh]
        self._addresses.add(fresh[:, 0], fresh[:, 1])

    def _number(self, what: What) -> int:
        if what not in self._numbers:
            self._numbers[what] = len(self.words)
            self.words.append(what)
        return self._numbers[what]


def _range(cidr: str) -> Net | None:
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None

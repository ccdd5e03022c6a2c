"""Names for addresses that no object of the cluster holds: a small TOML file, and what the RFCs set apart."""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass
from typing import Any

from whowas.errors import ConfigError

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
    try:
        with open(path, "rb") as handle:
            told = tomllib.load(handle)
    except OSError as error:
        raise ConfigError(f"cannot read networks '{path}': {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read networks '{path}': {error}; {FORM}") from error
    named = told.get("networks")
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
    """Says what an address is that nobody held. Answers are cached; the cache is bounded."""

    CACHED = 1 << 20

    def __init__(self, networks: tuple[Network, ...], cluster_ranges: tuple[str, ...]) -> None:
        self._named = sorted((*networks, *BUILT_IN), key=lambda one: (-one.net.prefixlen, one.built_in))
        self._inside = [net for net in map(_range, cluster_ranges) if net is not None]
        self._cache: dict[bytes, tuple[str, str]] = {}

    def what(self, address: bytes) -> tuple[str, str]:
        """Return ("external", name or ""), ("inside", ""), or ("private", "") for 16 bytes of an address."""
        known = self._cache.get(address)
        if known is None:
            if len(self._cache) >= self.CACHED:
                self._cache.clear()
            known = self._cache[address] = self._look(plain(address))
        return known

    def _look(self, one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[str, str]:
        if any(one in net for net in self._inside if net.version == one.version):
            return "inside", ""
        for network in self._named:
            if network.net.version == one.version and one in network.net:
                return "external", network.name
        # Ranges for documentation (203.0.113.0/24 …) are not the cluster's either.
        return ("external" if one.is_global else "private"), ""


def _range(cidr: str) -> Net | None:
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None

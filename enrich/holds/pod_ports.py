"""Ports that a pod opens on its node, as words: all of a host-network pod, host ports of any other.

`53/udp` is a port of a host-network pod; `8444/tcp@` a host port on every address of the node, `8444/tcp@192.0.2.11` on
that one alone. A Service's own ports are spelled as those of a host-network pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from whowas.addresses import MAPPED, address16
from whowas.observation import Container

# What stands for every address of the node.
ANY = (MAPPED + bytes(4), bytes(16), None)
PortKey = tuple[int, str]
"""A port and its protocol's word."""


class HostPort(NamedTuple):
    """A host port. address: 16 bytes of the one that it is open on, None for all."""

    port: PortKey
    address: bytes | None


@lru_cache(maxsize=1 << 16)
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return one and the same object for equal ports: thousands of pods have the same few."""
    return words


def port_words(boxes: Iterable[Container], host_network: bool) -> tuple[str, ...]:
    """Return the words of what containers declare."""
    found = []
    for port in (port for one in boxes for port in one.ports or ()):
        protocol = (port.protocol or "TCP").lower()
        if host_network:
            found.append(f"{port.hostPort or port.containerPort or 0}/{protocol}")
        elif port.hostPort:
            found.append(f"{port.hostPort}/{protocol}@{''.join((port.hostIP or '').split())}")
    return _shared(tuple(found))


@lru_cache(maxsize=1 << 12)
def read_ports(words: tuple[str, ...]) -> tuple[PortKey, ...]:
    """Return the ports of a host-network pod or a Service."""
    parts = (one.partition("/") for one in words if "@" not in one)
    return tuple((int(port), protocol) for port, _, protocol in parts)


@lru_cache(maxsize=1 << 12)
def read_host_ports(words: tuple[str, ...]) -> tuple[HostPort, ...]:
    """Return the host ports of a pod with an address of its own."""
    found = []
    for one in words:
        word, marked, on = one.partition("@")
        port, _, protocol = word.partition("/")
        if marked:
            address = address16(on)
            found.append(HostPort((int(port), protocol), None if address in ANY else address))
    return tuple(found)

"""Addresses as text and as 16 bytes, IPv4 mapped into IPv6."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache

MAPPED = b"\0" * 10 + b"\xff\xff"


@lru_cache(maxsize=1 << 16)
def address16(text: str | None) -> bytes | None:
    """Return an address in 16 bytes, IPv4 mapped; None for what is no address. A prefix length is cut off."""
    if not text:
        return None
    plain = text.partition("/")[0].strip()
    try:
        if ":" in plain:
            return socket.inet_pton(socket.AF_INET6, plain)
        return MAPPED + socket.inet_pton(socket.AF_INET, plain)
    except (OSError, ValueError):
        return None


def is_address(text: str) -> bool:
    """Say whether `text` is one IPv4 or IPv6 address in any spelling, without an interface behind it."""
    try:
        return "%" not in text and bool(ipaddress.ip_address(text).version)
    except ValueError:
        return False


def sixteen(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    """Return an address in 16 bytes, IPv4 mapped."""
    return MAPPED + address.packed if isinstance(address, ipaddress.IPv4Address) else address.packed


def spelled(octets: bytes) -> str:
    """Return the text of an address of 16 bytes; one that is mapped is IPv4."""
    if octets.startswith(MAPPED):
        return socket.inet_ntop(socket.AF_INET, octets[12:])
    return socket.inet_ntop(socket.AF_INET6, octets)

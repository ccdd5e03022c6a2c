"""Addresses in 16 bytes come back as the text that people mean."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from whowas.addresses import MAPPED, address16, is_address, sixteen, spelled


@given(st.ip_addresses())
def test_there_and_back(address: IPv4Address | IPv6Address) -> None:
    octets = sixteen(address)
    assert len(octets) == 16
    assert address16(str(address)) == octets
    assert ip_address(spelled(octets)) == (getattr(address, "ipv4_mapped", None) or address)
    assert is_address(spelled(octets))


def test_mapped_is_ipv4() -> None:
    assert sixteen(ip_address("10.0.0.1")) == MAPPED + bytes([10, 0, 0, 1]) == address16("::ffff:10.0.0.1")
    assert spelled(MAPPED + bytes([10, 0, 0, 1])) == "10.0.0.1"

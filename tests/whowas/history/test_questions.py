"""What a word asks about: addresses in every spelling, and near misses that are never searched for as names."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whowas.errors import ConfigError
from whowas.history.questions import read_question

TCP, UDP = "tcp", "udp"


@pytest.mark.parametrize(
    ("asked", "address", "port"),
    [
        ("10.244.1.12", "10.244.1.12", None), ("FD00::0:1", "fd00::1", None), ("[fd00::1]", "fd00::1", None),
        ("10.244.1.12:8080", "10.244.1.12", (8080, TCP)), ("10.244.1.12:53/udp", "10.244.1.12", (53, UDP)),
        ("[fd00::1]:443", "fd00::1", (443, TCP)), ("[::ffff:10.0.0.1]:53/UDP", "10.0.0.1", (53, UDP)),
        ("fd00::1:8080", "fd00::1:8080", None),
    ],
)  # fmt: skip
def test_addresses_with_and_without_ports(asked: str, address: str, port: tuple[int, str] | None) -> None:
    found = read_question(asked)
    assert (found.address, found.port, found.network, found.name) == (address, port, None, "")


@pytest.mark.parametrize(("asked", "network"), [("10.244.1.0/24", "10.244.1.0/24"), ("10.244.1.7/24", "10.244.1.0/24"),
                                                ("fd00::/64", "fd00::/64"),
                                                ("10.0.0.0/255.0.0.0", "10.0.0.0/8")])  # fmt: skip
def test_networks(asked: str, network: str) -> None:
    assert read_question(asked).network == ipaddress.ip_network(network)


@pytest.mark.parametrize("asked", ["shop/web-6c9f7d-abcde", "deploy/shop/web", "svc/web", "no/worker-1.example.org",
                                   "ns/shop", "shop", "node/10-0-0-1", "kube-system/kube-proxy-10.0.0.1"])  # fmt: skip
def test_names(asked: str) -> None:
    assert read_question(asked).name == asked


@pytest.mark.parametrize(
    "asked",
    ["10.244.1.999", "10.244.1", "10.244.1.1.1", "::g", "fd00:::1", "010.1.1.1", "10.244.1.12:99999", "10.244.1.12:0",
     "10.244.1.999:80", "[fd00::g]:80", "10.244.1.0/33", "fd00::/129", "10.244.1.12:53/icmp", "fe80::1%eth0", "1.",
     "10.244.1.12:", ":8080", "::1/x", "", "  "],
)  # fmt: skip
def test_near_misses_are_no_names(asked: str) -> None:
    with pytest.raises(ConfigError, match="cannot look up") as raised:
        read_question(asked)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=60))
def test_whatever_is_asked_is_one_thing_or_refused(asked: str) -> None:
    try:
        found = read_question(asked)
    except ConfigError:
        return
    assert bool(found.address) + bool(found.name) + (found.network is not None) == 1


@given(st.ip_addresses(), st.integers(1, 65535))
@example(ipaddress.ip_address("::ffff:0:0"), 1)
def test_every_address_is_read_with_its_port(address: ipaddress.IPv4Address, port: int) -> None:
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    # IPv4 that is mapped into IPv6 is IPv4.
    spelled = str(getattr(address, "ipv4_mapped", None) or address)
    assert read_question(text)[1:3] == (spelled, (port, "tcp"))
    assert read_question(str(address)).address == spelled

"""What is an address in free text, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whowas.addresses import address16
from whowas.annotation.text.found_addresses import Finder


def texts(line: bytes) -> list[str]:
    return [one.text for one in Finder().find(line)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"from 10.1.2.3 port 22", ["10.1.2.3"]),
        (
            b"peer=10.1.2.3:443, x=[10.1.2.4]:80 (10.1.2.5) '10.1.2.6' 10.1.2.7.",
            [f"10.1.2.{one}" for one in range(3, 8)],
        ),
        (b'"10.1.2.3, 10.4.5.6" 10.7.7.7,10.8.8.8', ["10.1.2.3", "10.4.5.6", "10.7.7.7", "10.8.8.8"]),
        (b"http://10.1.2.3/x ssh://me@10.4.5.6 10.1.2.3->10.4.5.6", ["10.1.2.3", "10.4.5.6", "10.1.2.3", "10.4.5.6"]),
        (b"src inside:10.1.2.3/54321 dst outside/10.4.5.6(443)", ["10.1.2.3", "10.4.5.6"]),
        (b"server 10.1.2.3, driver: 10.4.5.6 android=10.7.7.7", ["10.1.2.3", "10.4.5.6", "10.7.7.7"]),
        (b"TCP_MISS/200 HIER_DIRECT/10.1.2.3 text/html", ["10.1.2.3"]),
        (b"addr 10.1.2.3/24 of net 10.1.2.0/24 and 10.9.9.9/32, 0.0.0.0/0", ["10.1.2.3", "10.9.9.9"]),
        (
            b"[fd00::1]:443 fe80::1%eth0 2001:DB8::9 ::1 from fd00::2: refused",
            ["fd00::1", "fe80::1", "2001:DB8::9", "::1", "fd00::2"],
        ),
        (
            b"::ffff:10.1.2.3 2001:db8:1:2:3:4:5:6 fd00::/8 fd00::1/64",
            ["::ffff:10.1.2.3", "2001:db8:1:2:3:4:5:6", "fd00::1"],
        ),
        # Words that stand before versions stand before addresses too.
        (b"rules 10.1.2.3 accept, rule 192.0.2.7, signature 10.1.2.4", ["10.1.2.3", "192.0.2.7", "10.1.2.4"]),
        (b"plugin 1.1.1.1 engine=8.8.8.8 package 9.9.9.9", ["1.1.1.1", "8.8.8.8", "9.9.9.9"]),
        (b"version 1.2.3.4 from 10.1.2.3, release 2.0.0.1: 10.1.2.4", ["10.1.2.3", "10.1.2.4"]),
        (b"version 1.2.3.4 to 10.1.2.3 via 5.6.7.8", ["10.1.2.3", "5.6.7.8"]),
        (b"receiver 5.6.7.8 driver 5.6.7.9 observer=5.6.7.10", ["5.6.7.8", "5.6.7.9", "5.6.7.10"]),
        (b"upgraded 5.6.7.8 to 5.6.7.9", ["5.6.7.8", "5.6.7.9"]),
    ],
)
def test_addresses_are_found(line: bytes, found: list[str]) -> None:
    assert texts(line) == found
    assert [line[one.start : one.end].decode() for one in Finder().find(line)] == found


@pytest.mark.parametrize(
    "line",
    [
        b"nginx/1.2.3.4 Chrome/99.0.48.51 lib-1.2.3.4 v1.2.3.4 openssl_1.1.1.1 foo==1.2.3.4 foo>=1.2.3.4",
        b"version 1.2.3.4 Version: 1.2.3.4 ver=1.2.3.4 release 1.2.3.4 build='1.2.3.4' firmware 1.2.3.4",
        b"version is 1.2.3.4, versions: 1.2.3.4 version number 1.2.3.4 revision 1.2.3.4 (v 1.2.3.4)",
        b"loaded rules 1.2.3.4; ruleset=2.1.0.7 signatures update 3.4.5.6 package 2.7.18.3 engine: '1.1.2.3'",
        b"from version 1.2.3.4 to 1.2.3.5, firmware '2.3.4.5' -> 2.3.4.6",
        b"1.3.6.1.4.1.9 .1.3.6.1 iso.3.6.1.4 OID: 1.3.6.1 oid=1.3.6.1 mask 255.255.255.0",
        b"08:39:36 2026-11-21T08:39:36Z 00:11:22:33:44:55 aa:bb:cc:dd:ee:ff:00:11 11:22:33:44:55:66:77:88",
        b"std::abc a::b Foo::1 x[1::2] 12::34 dead::beefs :: ::: a:b:c",
        b"256.1.1.1 1.2.3 01.2.3.4567 10.1.2.3.nip.io 3.2.1.10.in-addr.arpa x10.1.2.3 10.1.2.3x",
        b"90:ab:12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc fingerprint",
    ],
)
def test_what_only_looks_like_one_is_left(line: bytes) -> None:
    assert texts(line) == []


@given(
    st.lists(
        st.sampled_from([b"10.1.2.3", b":", b"::", b"fd00", b".", b"/", b" ", b"ffff", b"1", b"a", b"\0"]), max_size=30
    )
)
def test_whatever_is_found_is_an_address_as_it_stands_there(parts: list[bytes]) -> None:
    block = b"".join(parts)
    ends = 0
    for one in Finder().find(block):
        assert block[one.start : one.end].decode() == one.text
        assert address16(one.text) is not None
        assert one.start >= ends
        ends = one.end


@pytest.mark.parametrize(
    "piece", [b"1.", b":", b"a:", b"::", b"1.2.3.4", b"fe80::", b"1:", b"/1.2.3.4", b"version ", b"0"]
)
def test_hostile_text_is_read_to_its_end(piece: bytes) -> None:
    """A quadratic pattern would take hours for these."""
    block = piece * ((4 << 20) // len(piece)) + b" at 10.9.9.9"
    assert [one.text for one in Finder().find(block)][-1:] == ["10.9.9.9"]

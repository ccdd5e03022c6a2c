"""ClientHello: names, protocols, versions, JA4 by the published examples; and what is not one."""

from __future__ import annotations

import contextlib
import random

import pytest
from support.hellos import client_hello, made_hello, vector, words
from support.mutate import mutated

from ingest.names.client_hello import ja4_hashes, read_client_hello
from ingest.names.reading import Refused, Short
from ingest.names.server_hello import read_server_hello
from ingest.names.tls_records import handshake_bytes, messages

# The example of the published description of JA4.
CIPHERS = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F,
           0x35)  # fmt: skip
KINDS = (0x1B, 0, 0x33, 0x10, 0x4469, 0x17, 0x2D, 0xD, 5, 0x23, 0x12, 0x2B, 0xFF01, 0xB, 0xA, 0x15)
SIGNATURES = (0x403, 0x804, 0x401, 0x503, 0x805, 0x501, 0x806, 0x601)
NAME = vector(2, b"\0" + vector(2, b"Shop.Example.COM"))


def published(first: bytes = b"h2") -> bytes:
    told = {0: NAME, 0x10: vector(2, vector(1, first)), 0xD: vector(2, words(SIGNATURES)),
            0x2B: vector(1, words((0x5A5A, 0x0304, 0x0303)))}  # fmt: skip
    grease = [(0x2A2A, b"")]
    return made_hello((0xBABA, *CIPHERS), grease + [(kind, told.get(kind, b"")) for kind in KINDS] + [(0xCACA, b"\0")])


def test_the_published_example() -> None:
    assert ja4_hashes(CIPHERS, KINDS, SIGNATURES) == "8daaf6152771_e5627efa2ab1"
    hello = read_client_hello(published())
    assert hello.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert read_client_hello(published(), "q").ja4[0] == "q"
    assert (hello.sni, hello.alpn, hello.version, hello.ech) == ("shop.example.com", ("h2",), 0x0304, False)


@pytest.mark.parametrize(("first", "ends"), [
    (b"h2", "h2"), (b"http/1.1", "h1"), (b"istio-peer-exchange", "ie"), (b"a", "aa"),
    (b"\xab", "ab"), (b"\xab\xcd", "ad"), (b"0\xab", "3b"), (b"0_1\xff", "3f"),
])  # fmt: skip
def test_ends_of_the_first_protocol(first: bytes, ends: str) -> None:
    """Hex digits where the first or last byte is no letter and no digit."""
    assert read_client_hello(published(first)).ja4[8:10] == ends


@pytest.mark.parametrize(("version", "word"), [(0x0300, "s3"), (0x0301, "10"), (0x0302, "11"), (0x0303, "12")])
def test_old_clients_without_extensions(version: int, word: str) -> None:
    hello = read_client_hello(made_hello((0x2F,), None, version))
    assert hello.ja4 == f"t{word}i010000_{ja4_hashes((0x2F,), (), ()).split('_')[0]}_000000000000"
    assert hello.sni is None


def test_no_signature_algorithms_no_underscore() -> None:
    from hashlib import sha256

    assert ja4_hashes((), (0x0A, 0x0B), ()) == "000000000000_" + sha256(b"000a,000b").hexdigest()[:12]


def test_a_real_client() -> None:
    ((kind, body),) = messages(handshake_bytes(client_hello())[0])
    hello = read_client_hello(body)
    assert kind == 1
    assert (hello.sni, hello.alpn, hello.version) == ("shop.example.com", ("h2", "http/1.1"), 0x0304)
    assert hello.ja4.startswith("t13d")


def test_ech_is_marked() -> None:
    assert read_client_hello(made_hello((0x1301,), [(0, NAME), (65037, b"\0")])).ech


def test_a_name_of_strange_bytes_is_spelt() -> None:
    name = vector(2, b"\0" + vector(2, b"a\x1b[31m\n\\b"))
    assert read_client_hello(made_hello((0x1301,), [(0, name)])).sni == "a\\x1b[31m\\x0a\\x5cb"


def test_whatever_comes_nothing_else_is_raised() -> None:
    chance = random.Random(5)
    seeds = [published(), made_hello((0x2F,), None), messages_of(client_hello())]
    read = 0
    for one in (mutated(chance.choice(seeds), seeds, chance) for _ in range(3000)):
        for reader in (read_client_hello, read_server_hello):
            with contextlib.suppress(Short, Refused):
                reader(one)
                read += 1
    assert read > 100


def messages_of(stream: bytes) -> bytes:
    return next(messages(handshake_bytes(stream)[0]))[1]

"""QUIC Initials: keys and packets of the RFCs' examples, and hellos in pieces that come in any order."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
from support.hellos import client_hello
from support.mutate import mutated
from support.quic_bytes import crypto, initial

from ingest.names.aes import counter_mode, encrypt
from ingest.names.quic import V1, V2, Initials, client_keys, frames
from ingest.names.reading import Refused, Short
from ingest.names.talk import Talk
from ingest.names.tls_records import handshake_bytes

HELLO = handshake_bytes(client_hello(protocols=["h3"]))[0]


@pytest.mark.parametrize(("key", "plain", "secret"), [
    ("2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"),
])  # fmt: skip
def test_blocks_of_the_standards(key: str, plain: str, secret: str) -> None:
    block = np.frombuffer(bytes.fromhex(plain) * 3, dtype=np.uint8).reshape(3, 16)
    assert bytes(encrypt(bytes.fromhex(key), block)).hex() == secret * 3


def test_counter_mode_by_the_example_of_gcm() -> None:
    """Test case 2 of the GCM specification: sixteen zeros under a key of zeros."""
    assert counter_mode(bytes(16), bytes(12), bytes(16)).hex() == "0388dace60b6a392f328c2b971b2fe78"


def test_keys_of_the_rfcs() -> None:
    """RFC 9001 A.1 and RFC 9369 A.1."""
    connection = bytes.fromhex("8394c8f03e515708")
    first, second = client_keys(V1, connection), client_keys(V2, connection)
    assert first.key.hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert (first.iv.hex(), first.header.hex()) == ("fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2")
    assert second.key.hex() == "8b1a0bc121284290a29e0971b5cd045d"


@pytest.mark.parametrize("version", [V1, V2])
def test_a_hello_in_two_packets_in_pieces_in_any_order(version: int) -> None:
    pieces = [(at, HELLO[at : at + 61]) for at in range(0, len(HELLO), 61)]
    for seed in range(4):
        random.Random(seed).shuffle(pieces)
        half = len(pieces) // 2
        talk = Talk()
        for number, some in enumerate((pieces[:half], pieces[half:])):
            payload = b"\1" + b"".join(crypto(*one) for one in some) + bytes(9)
            talk.take_quic(0, initial(version, b"8 octets", payload, number))
        assert (talk.told.sni, talk.told.alpn, talk.done) == ("shop.example.com", ("h3",), [True, True])
        assert talk.told.ja4 is not None
        assert talk.told.ja4.startswith("q13d")


def test_later_packets_to_the_servers_id_open_by_the_first() -> None:
    initials = Initials()
    assert initials.take(initial(V1, b"8 octets", crypto(0, HELLO[:100]), 0))
    later = initial(V1, b"server's", crypto(100, HELLO[100:]), 1, keyed=b"8 octets")
    assert initials.take(later + bytes(30))
    assert initials.crypto.joined == HELLO


def test_after_a_retry_the_client_begins_with_another_id() -> None:
    initials = Initials()
    assert initials.take(initial(V1, b"8 octets", crypto(0, HELLO), 0))
    assert initials.take(initial(V1, b"retried!", crypto(0, HELLO), 1, token=b"token"))


def test_what_is_under_another_key_is_given_up() -> None:
    talk = Talk()
    for number in range(3):
        talk.take_quic(1, initial(V1, b"8 octets", crypto(0, HELLO), number, keyed=b"unknown!"))
    assert talk.done == [False, True]


@pytest.mark.parametrize("payload", [b"\x08", b"\x06\0\x05abc", b"\2\0\0\x7f\xff\0", b"\1" * 600])
def test_what_no_initial_may_hold(payload: bytes) -> None:
    with pytest.raises((Short, Refused)):
        frames(payload)


def test_whatever_comes_nothing_is_raised() -> None:
    chance = random.Random(9)
    seeds = [
        initial(V1, b"8 octets", crypto(0, HELLO), 0),
        initial(V2, b"8 octets", b"\2\0\0\0\0" + crypto(0, HELLO), 0),
    ]
    opened = sum(Initials().take(mutated(chance.choice(seeds), seeds, chance)) for _ in range(600))
    assert opened > 20
    plain = [crypto(5, b"abc") + b"\2\1\0\1\3\4" + bytes(7), b"\x1c" + bytes(9)]
    for _ in range(3000):
        with contextlib.suppress(Short, Refused):
            frames(mutated(chance.choice(plain), plain, chance))

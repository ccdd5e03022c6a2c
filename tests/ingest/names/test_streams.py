"""Streams put together from segments; hosts out of requests; handshakes out of records."""

from __future__ import annotations

import random

import pytest
from support.hellos import client_hello, message, record

from ingest.names.http_head import host_of
from ingest.names.stretch import MOST, SEGMENTS_MOST, Stretch
from ingest.names.tls_records import handshake_bytes, messages


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("first", [1000, (1 << 32) - 700])
def test_any_order_gives_the_same_bytes(known: bool, first: int) -> None:
    """Also around the end of the sequence numbers, with parts that come twice and overlap."""
    random.seed(3)
    whole = random.randbytes(3000)
    parts = [(at, whole[at : at + 400]) for at in range(0, 3000, 300)] + [(600, whole[600:900])]
    for _ in range(50):
        random.shuffle(parts)
        stretch = Stretch(first if known else -1)
        for at, part in parts:
            stretch.add((first + at) % (1 << 32), part)
        assert stretch.joined == whole


def test_what_is_far_away_is_not_kept() -> None:
    stretch = Stretch(0)
    for number in range(200):
        stretch.add(1 + number * 2, b"x")
        stretch.add((1 << 32) - 1 - number, b"x")
        stretch.add(MOST + number, b"y" * 9000)
    assert stretch.held() <= SEGMENTS_MOST
    stretch.add(0, b"z" * 100_000)
    assert stretch.held() <= MOST


@pytest.mark.parametrize(("head", "host"), [
    (b"GET / HTTP/1.1\r\nA: b\r\nHost: Shop.example.com:8080\r\n", "shop.example.com:8080"),
    (b"GET / HTTP/1.1\nhost:a\n\n", "a"),
    (b"GET http://u@b.example/x HTTP/1.1\r\n\r\n", "b.example"),
    (b"CONNECT c.example:443 HTTP/1.1\r\n\r\n", "c.example:443"),
    (b"GET / HTTP/1.0\r\n\r\nHost: body\r\n", None),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: a\x1b[0m\r\n", "a\\x1b[0m"),
])  # fmt: skip
def test_hosts(head: bytes, host: str | None) -> None:
    assert host_of(head) == (host, True)


def test_a_head_without_an_end_may_still_tell() -> None:
    assert host_of(b"GET / HTTP/1.1\r\nHost: sho") == (None, False)


def test_a_message_in_many_records_and_many_in_one() -> None:
    whole = client_hello()
    body = handshake_bytes(whole)[0]
    split = b"".join(record(body[at : at + 7]) for at in range(0, len(body), 7))
    assert handshake_bytes(split) == (body, False)
    several = record(message(2, b"ab") + message(11, b"c") + message(14, b""))
    assert list(messages(handshake_bytes(several)[0])) == [(2, b"ab"), (11, b"c"), (14, b"")]
    assert handshake_bytes(several + record(b"\1", 20)) == (
        message(2, b"ab") + message(11, b"c") + message(14, b""),
        True,
    )

"""Digests, and what is spelt of them, against hashlib."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.columns.community_id import ICMP_ANSWERS, ICMPV6_ANSWERS, WITH_PORTS, community_ids
from ingest.columns.sha1 import hex_ids, sha1_rows


@given(st.integers(0, 200), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_sha1_is_that_of_hashlib(size: int, number: int, rolled: object) -> None:
    messages = np.frombuffer(rolled.randbytes(size * number), dtype=np.uint8).reshape(number, size)  # type: ignore[attr-defined]
    digests = sha1_rows(messages)
    assert [row.tobytes() for row in digests] == [hashlib.sha1(row.tobytes()).digest() for row in messages]


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=10, max_size=10), max_size=5))
@settings(max_examples=100, deadline=None)
def test_ids_are_the_head_of_the_digest_in_hex(rows: list[list[int]]) -> None:
    told = np.array(rows, dtype=np.int64).reshape(-1, 10)
    found = [bytes(one).decode() for one in hex_ids(told)]
    assert found == [hashlib.sha1(one.astype("<i8").tobytes()).hexdigest()[:32] for one in told]


def plainly(src: bytes, dst: bytes, protocol: int, ports: tuple[int, int] | None, icmp: int) -> str:
    """A Community ID as its specification says it. Args: src, dst: 4 or 16 bytes. icmp: -1 or type << 8 | code."""
    one_way = False
    if icmp >= 0 and protocol in (1, 58):
        answers = ICMP_ANSWERS if protocol == 1 else ICMPV6_ANSWERS
        kind, code = icmp >> 8, icmp & 0xFF
        one_way = kind not in answers
        ports = kind, answers.get(kind, code)
    if protocol not in WITH_PORTS:
        ports = None
    ends = [(src, ports[0] if ports else 0), (dst, ports[1] if ports else 0)]
    if not one_way:
        ends.sort()
    tail = b"".join(port.to_bytes(2, "big") for _, port in ends) if ports else b""
    message = bytes(2) + ends[0][0] + ends[1][0] + bytes([protocol, 0]) + tail
    return "1:" + base64.b64encode(hashlib.sha1(message).digest()).decode()


ADDRESSES = st.tuples(st.sampled_from([4, 6]), st.integers(0, 2), st.integers(0, 2))


@given(
    st.lists(
        st.tuples(
            ADDRESSES, st.sampled_from([1, 6, 17, 47, 58, 132, 255]), st.sampled_from([0, 1, 443, 65535]),
            st.sampled_from([0, 1, 443, 65535]), st.booleans(), st.sampled_from([-1, 0x0800, 0x0301, 0x8000, 0xFFFF]),
        ),
        max_size=8,
    )
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_community_ids_are_those_of_a_plain_reading(rows: list[Any]) -> None:
    octets = np.zeros((2, len(rows), 16), dtype=np.uint8)
    wanted = []
    for row, ((family, *ends), protocol, low, high, has_ports, icmp) in enumerate(rows):
        size = 4 if family == 4 else 16
        addresses = [bytes([one]) * size for one in ends]
        for side, one in enumerate(addresses):
            whole = bytes(10) + b"\xff\xff" + one if family == 4 else one
            octets[side, row] = np.frombuffer(whole, dtype=np.uint8)
        ports = (low, high) if has_ports or icmp >= 0 else None
        wanted.append(plainly(*addresses, protocol, ports, icmp))
    family, protocol, low, high, icmp = (
        np.array([one[place] if place else one[0][0] for one in rows], dtype=np.int64) for place in (0, 1, 2, 3, 5)
    )
    has_ports = np.array([one[4] for one in rows], dtype=np.bool_)
    assert community_ids(octets[0], octets[1], family, protocol, (low, high, has_ports), icmp).to_pylist() == wanted

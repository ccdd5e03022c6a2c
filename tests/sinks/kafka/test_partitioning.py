"""The partition of a key is the one that the clients choose: a key must not move when we count it ourselves."""

from __future__ import annotations

import random

import numpy as np
import pytest
from kafka.partitioner.default import murmur2 as of_the_client

from sinks.kafka.partitioning import murmur2, partitions_of


@pytest.mark.parametrize("length", range(1, 40))
def test_a_hash_is_that_of_the_client(length: int) -> None:
    dice = random.Random(length)
    keys = [dice.randbytes(length) for _ in range(200)]
    held = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), length)
    assert murmur2(held).tolist() == [of_the_client(one) for one in keys]


def test_a_partition_is_that_of_the_client() -> None:
    keys = [f"{number:032x}".encode() for number in range(5000)]
    for count in (1, 3, 4, 12, 100):
        assert partitions_of(keys, count) == [(of_the_client(one) & 0x7FFFFFFF) % count for one in keys]


@pytest.mark.parametrize("keys", [[], [None, b"ab"], [b"ab", None], [b"ab", b"abc"], [b"", b""]])
def test_where_keys_are_not_alike_the_client_says(keys: list[bytes | None]) -> None:
    assert partitions_of(keys, 4) == [None] * len(keys)

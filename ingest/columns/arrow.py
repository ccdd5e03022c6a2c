"""Columns of numbers to Arrow columns: addresses, VLANs, tunnels, hex. One text a distinct value, not one a row."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from whowas.arrays import Flags, Octets, Words

PROTOCOL_WORDS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
HEX = np.frombuffer(bytes.fromhex("".join(f"{ord(c):02x}" for n in range(256) for c in f"{n:02x}")), dtype=np.uint16)


def address_octets(high: Words, low: Words) -> Octets:
    """(n, 16) bytes in network order of two halves."""
    halves = np.empty((len(high), 2), dtype=">i8")
    halves[:, 0], halves[:, 1] = high, low
    return halves.view(np.uint8).reshape(len(high), 16)


def fixed(octets: Octets) -> Any:
    """(n, k) bytes as an Arrow column of k bytes each."""
    whole = np.ascontiguousarray(octets)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(octets.shape[1]), len(octets), [None, pa.py_buffer(whole)])


@lru_cache(1 << 16)  # pods of a cluster come up in every batch
def _text(address: bytes) -> str:
    """16 bytes and the family: ::ffff:10.0.0.1 as an IPv6 address is not 10.0.0.1."""
    if address[16] == 4:
        return socket.inet_ntop(socket.AF_INET, address[12:16])
    return socket.inet_ntop(socket.AF_INET6, address[:16])


def address_words(octets: Octets, families: Words, absent: Flags | None = None) -> Any:
    """Dictionary column of addresses as text. Args: octets (n, 16), families (n,) 4 or 6, absent (n,) nulls."""
    whole = np.empty((len(octets), 17), dtype=np.uint8)
    whole[:, :16] = octets
    whole[:, 16] = families
    encoded = fixed(whole).dictionary_encode()
    words = pa.array([_text(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return dictionary(encoded.indices.to_numpy(), words, absent)


def dictionary(indices: Any, words: Any, absent: Flags | None = None) -> Any:
    """Dictionary column of `words` by index."""
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32(), mask=absent), words)


def distinct(values: Words, spell: Callable[[int], str], absent: Flags | None = None) -> Any:
    """Dictionary column of the texts of numbers, each spelt once."""
    encoded = pa.array(values).dictionary_encode()
    spelt = encoded.dictionary.to_pylist()
    known = [not (absent is not None and value == -1) for value in spelt]
    words = pa.array([spell(value) if good else "" for value, good in zip(spelt, known, strict=True)], pa.string())
    return dictionary(encoded.indices.to_numpy(), words, absent)


def spell_mac(value: int) -> str:
    """48 bits as six pairs of hex digits."""
    return ":".join(f"{value >> shift & 0xFF:02x}" for shift in range(40, -1, -8))


def spell_protocol(number: int) -> str:
    """Name of the protocols whowas opens, else the number."""
    return PROTOCOL_WORDS.get(number, str(number))


def strings(octets: Octets) -> Any:
    """(n, k) ASCII bytes as a column of strings of k characters each."""
    number, size = octets.shape
    offsets = np.arange(number + 1, dtype=np.int32) * size
    return pa.StringArray.from_buffers(
        number, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(octets))
    )


def hexes(octets: Octets) -> Any:
    """(n, k) bytes as a column of 2k hex digits."""
    return strings(HEX[octets].view(np.uint8))


def numbers(values: Words, kind: Any, absent: Flags | None = None) -> Any:
    """Column of numbers of an Arrow type, null where `absent`."""
    # Integers are called the same there and here; Arrow's own translation wants pandas to be installed.
    return pa.array(np.ascontiguousarray(values).astype(str(kind), copy=False), kind, mask=absent)


def times(values: Words) -> Any:
    """Column of times of us since 1970 UTC."""
    return pa.array(np.ascontiguousarray(values)).cast(pa.timestamp("us", tz="UTC"))

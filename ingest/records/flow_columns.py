"""Makes single columns of flows: ids, times, addresses as text."""

from __future__ import annotations

import hashlib
import socket
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.columns.arrow import (
    dictionary,
    hexes,
)
from ingest.records.fields import Texts, table_size
from ingest.records.kernels import distinct
from ingest.records.reader import SECRET, Ids
from whowas.arrays import Words

NONE = -1


# Year 2200: later is no time of a flow, and would not fit where times are nanoseconds.
LAST_US = 7_258_118_400_000_000


def constant(word: str, size: int) -> Any:
    return dictionary(np.zeros(size, dtype=np.int32), pa.array([word]))


def nullable_times(values: Words) -> Any:
    known = (values >= 0) & (values <= LAST_US)
    return pa.array(np.where(known, values, 0), mask=~known).cast(pa.timestamp("us", tz="UTC"))


def address_words(octets: Any, families: Any) -> Any:
    """Dictionary column of addresses as text: each distinct one spelt once. Family 0 = null."""
    size = len(octets)
    halves = octets.view(">i8").astype(np.int64)
    table, numbered = np.empty(table_size(size), np.int64), np.empty(size, np.int64)
    firsts = np.empty(size, dtype=np.int64)
    with np.errstate(over="ignore"):  # hashing wraps; compiled code never warns
        count = distinct.distinct_pairs(
            np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]), SECRET, table, numbered, firsts
        )
    firsts = firsts[:count]
    # One address has one family here: ::ffff:a.b.c.d is IPv4 in every record.
    four = octets[firsts, 10] == 255
    four &= (octets[firsts, :10] == 0).all(axis=1) & (octets[firsts, 11] == 255)
    raw = octets[firsts].tobytes()
    spelt = [
        socket.inet_ntop(socket.AF_INET, raw[16 * place + 12 : 16 * place + 16])
        if is_four
        else socket.inet_ntop(socket.AF_INET6, raw[16 * place : 16 * place + 16])
        for place, is_four in enumerate(four.tolist())
    ]
    return dictionary(numbered.astype(np.int32), pa.array(spelt, pa.string()), families == 0)


def flow_ids(ids: Ids, rows: Words, parts: Words | None) -> Any:
    """64 bits for the origin (and the place within a value), 64 for the place: unique by the place, not by content."""
    origin = int.from_bytes(hashlib.sha256(ids.origin.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    made = np.empty((len(rows), 2), dtype=">u8")
    made[:, 0] = origin
    if parts is not None:
        with np.errstate(over="ignore"):
            mixed = (np.uint64(origin) ^ parts.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
            made[:, 0] = np.where(parts == 0, np.uint64(origin), mixed ^ (mixed >> np.uint64(29)))
    made[:, 1] = ids.numbers[rows].astype(np.uint64)
    return hexes(np.frombuffer(made.tobytes(), dtype=np.uint8).reshape(-1, 16))


def joined(first: Texts, second: Texts, form: str = "{}/{}") -> Texts:
    """Two columns of words as one: the first alone where the second says nothing."""
    pairs = (first.indices + 1) * (len(second.words) + 1) + second.indices + 1
    distinct_pairs, indices = np.unique(pairs, return_inverse=True)
    words: list[str] = []
    absent = []
    for one in distinct_pairs.tolist():
        left, right = divmod(one, len(second.words) + 1)
        told = [first.words[left - 1] if left else "", second.words[right - 1] if right else ""]
        words.append(form.format(*told) if all(told) else told[0] or told[1])
        absent.append(not any(told))
    places = np.where(np.array(absent, dtype=np.bool_), NONE, np.arange(len(words)))
    return Texts(places[indices.reshape(-1)].astype(np.int64), words)

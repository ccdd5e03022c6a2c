"""Protobuf messages as columns: the counterpart of fields.py for bytes that are no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ingest.records.fields import Addresses, Fields, Numbers, Texts
from ingest.records.kernels import protobuf as scan
from ingest.records.kernels.spots import BAD, GOOD, NOTHING
from ingest.records.reader import Bytes, Values
from whowas.arrays import Flags, Words


class MessagePlan:
    """Which fields are wanted, by the path of their numbers."""

    def __init__(self, paths: Mapping[str, tuple[int, ...]]) -> None:
        self.columns = {name: place for place, name in enumerate(paths)}
        inner: dict[tuple[int, ...], int] = {(): 0}
        for path in paths.values():
            for depth in range(1, len(path)):
                inner.setdefault(path[:depth], len(inner))
        self.nodes = np.full((len(inner), scan.FIELDS, 2), -1, dtype=np.int64)
        for name, path in paths.items():
            self.nodes[inner[path[:-1]], path[-1], 0] = self.columns[name]
        for path, node in inner.items():
            if path:
                self.nodes[inner[path[:-1]], path[-1], 1] = node


@dataclass
class Messages:
    """values, seen (n, columns) of messages; whole (n,): it could be taken apart."""

    data: Bytes
    values: Words
    seen: Bytes
    whole: Flags
    columns: dict[str, int]

    def __len__(self) -> int:
        return len(self.values)

    def numbers(self, name: str) -> Numbers:
        """Numbers; what is absent is zero, as protobuf has it. Beyond 2^63 they are BAD."""
        column = self.columns[name]
        values, seen = self.values[:, column], self.seen[:, column]
        bad = (seen == scan.PIECE) | (values < 0)
        return Numbers(np.where(bad, 0, values), np.where(bad, BAD, GOOD).astype(np.uint8))

    def told(self, name: str) -> Flags:
        """Where a field is there."""
        found: Flags = self.seen[:, self.columns[name]] != scan.ABSENT
        return found

    def addresses(self, name: str) -> Addresses:
        """Addresses of 4 or 16 bytes."""
        size = len(self)
        octets, families = np.zeros((size, 16), dtype=np.uint8), np.zeros(size, dtype=np.uint8)
        state = np.full(size, NOTHING, dtype=np.uint8)
        scan.piece_addresses(self.data, self.values, self.seen, self.columns[name], octets, families, state)
        return Addresses(octets, families, state)

    def texts(self, name: str) -> Texts:
        """Words."""
        column = self.columns[name]
        spots = np.where(self.seen[:, column] == scan.PIECE, self.values[:, column], 0).reshape(-1, 1)
        return Fields(self.data, np.ascontiguousarray(spots), {name: 0}, self.values[:, column]).texts(name)


def read_messages(data: Bytes, starts: Words, ends: Words, plan: MessagePlan) -> Messages:
    """Take messages apart."""
    size = len(starts)
    values = np.zeros((size, len(plan.columns)), dtype=np.int64)
    seen, whole = np.zeros(values.shape, dtype=np.uint8), np.zeros(size, dtype=np.uint8)
    with np.errstate(over="ignore"):
        scan.scan_proto(data, starts, ends, plan.nodes, values, seen, whole)
    return Messages(data, values, seen, whole.astype(np.bool_), plan.columns)


@dataclass(frozen=True)
class Framed:
    """Messages within values: bounds in the buffer, which value each is of, its place therein; values that broke."""

    starts: Words
    ends: Words
    rows: Words
    parts: Words
    broken: list[int]


def unframe(values: Values) -> Framed:
    """Find the length-delimited messages of each value. What follows a broken one in its value is lost with it."""
    size = len(values)
    counts, broken = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.uint8)
    bounds = np.empty((0, 2), dtype=np.int64)
    scan.frames(values.data, values.starts, values.ends, counts, broken, bounds, 0)
    total = int(counts.sum())
    bounds = np.empty((total, 2), dtype=np.int64)
    scan.frames(values.data, values.starts, values.ends, counts, broken, bounds, 1)
    rows = np.repeat(np.arange(size), counts)
    parts = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    edges = np.ascontiguousarray(bounds[:, 0]), np.ascontiguousarray(bounds[:, 1])
    return Framed(*edges, rows, parts, np.flatnonzero(broken).tolist())

"""The wanted fields of many values as spots in one buffer, and columns made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from ingest.records.kernels import addresses as address_kernels
from ingest.records.kernels import distinct, spots
from ingest.records.kernels import values as scan
from ingest.records.kernels.json import (
    ABSENT,
    FINE,
    KIND_BITS,
    LENGTH_BITS,
    NESTED,
    NUMBER,
    SLOTS,
    TEXT,
    TRUE,
    scan_json,
)
from ingest.records.kernels.spots import BAD, GOOD, LOCAL, NOTHING
from ingest.records.reader import SECRET, Bytes, Values
from whowas.arrays import Flags, Words
from whowas.flow_times import FIRST_US, NO_MOMENT

NO_JSON, NO_OBJECT, EMPTY = "not_json", "not_an_object", "empty"
READABLE = 0


class Numbers(NamedTuple):
    """A column of numbers: where `state` is not GOOD, the value is 0."""

    values: Words
    state: Bytes

    @property
    def good(self) -> Flags:
        """Where there is a value."""
        found: Flags = self.state == GOOD
        return found

    @property
    def bad(self) -> Flags:
        """Where there is something that is no value."""
        found: Flags = self.state == BAD
        return found


class Addresses(NamedTuple):
    """octets (n, 16) uint8, v4-mapped; families (n,): 4, 6, or 0 where there is none."""

    octets: Bytes
    families: Bytes
    state: Bytes


class Texts(NamedTuple):
    """A column of words: indices (n,) int64 into words, -1 = absent."""

    indices: Words
    words: list[str]

    def mapped(self, meaning: Callable[[str], int], absent: int = -1) -> Words:
        """Turn each distinct word into a number, and rows with it."""
        table = np.array([*(meaning(word) for word in self.words), absent], dtype=np.int64)
        return table[self.indices]

    def spelt(self, meaning: Callable[[str], str | None]) -> Texts:
        """Turn each distinct word into another, or into none."""
        told = [meaning(word) for word in self.words]
        table = np.array([*(place if word is not None else -1 for place, word in enumerate(told)), -1], dtype=np.int64)
        return Texts(table[self.indices], [word or "" for word in told])


def table_size(rows: int) -> int:
    """Slots of a hash table for so many rows."""
    return 1 << max(4, (2 * rows).bit_length())


class Plan:
    """Which fields are wanted, by path, in the form that the kernel takes."""

    def __init__(self, paths: Mapping[str, tuple[str, ...]]) -> None:
        """Args: paths: by the name under which a field is asked for, its keys from the outermost inwards."""
        self.paths = dict(paths)
        self.columns = {name: place for place, name in enumerate(self.paths)}
        nodes: dict[tuple[str, ...], int] = {(): 0}
        for path in self.paths.values():
            for depth in range(1, len(path)):
                nodes.setdefault(path[:depth], len(nodes))
        leaves = {path: self.columns[name] for name, path in self.paths.items()}
        letters = b""
        rows: list[list[int]] = []
        self.slots = np.full((len(nodes), SLOTS), -1, dtype=np.int64)
        for path in dict.fromkeys([*leaves, *(path for path in nodes if path)]):
            key = path[-1].encode()
            slot = (len(key) * 7 + key[0] + 3 * key[-1] + 5 * key[len(key) >> 1]) & (SLOTS - 1)
            node = nodes[path[:-1]]
            rows.append(
                [len(letters), len(key), int(self.slots[node, slot]), leaves.get(path, -1), nodes.get(path, -1)]
            )
            self.slots[node, slot] = len(rows) - 1
            letters += key
        self.keys = np.array(rows, dtype=np.int64)
        self.letters = np.frombuffer(letters, dtype=np.uint8)


@dataclass
class Fields:
    """spots (n, columns) into data; columns by name; reasons (n,): 0, or 1 + place of a word in `words`."""

    data: Bytes
    spots: Words
    columns: dict[str, int]
    reasons: Words
    words: tuple[str, ...] = (EMPTY, NO_JSON, NO_OBJECT)

    def __len__(self) -> int:
        return len(self.spots)

    def has(self, name: str) -> Flags:
        """Where a field is there and says something."""
        if name not in self.columns:
            return np.zeros(len(self), dtype=np.bool_)
        column = self.spots[:, self.columns[name]]
        found: Flags = (column & spots.KIND != ABSENT) & ((column >> KIND_BITS) & spots.LENGTH > 0)
        return found

    def fill(self, name: str, other: str) -> None:
        """Where a field is absent, take what another one says."""
        rows = self.has(other) & ~self.has(name)
        self.spots[rows, self.columns[name]] = self.spots[rows, self.columns[other]]

    def numbers(self, name: str, power: int = 0) -> Numbers:
        """Decimal numbers times 10^power; `power` also turns seconds (6) and milliseconds (3) into us, exactly."""
        out, state = np.zeros(len(self), dtype=np.int64), np.full(len(self), NOTHING, dtype=np.uint8)
        if name in self.columns:
            scan.decimals(self.data, self.spots, self.columns[name], power, out, state)
        return Numbers(out, state)

    def timestamps(self, name: str, timezone: str | None = None) -> Numbers:
        """RFC 3339 times as us; where a text has no offset it is of `timezone`, and stays LOCAL without one."""
        out, state = np.zeros(len(self), dtype=np.int64), np.full(len(self), NOTHING, dtype=np.uint8)
        if name in self.columns:
            scan.timestamps(self.data, self.spots, self.columns[name], out, state)
        for row in np.flatnonzero(state == BAD).tolist():
            # How databases and languages write that there is no time.
            state[row] = NOTHING if NO_MOMENT.match(self.text(row, self.columns[name])) else BAD
        state[(state == LOCAL) & (out < FIRST_US)] = NOTHING
        local = np.flatnonzero(state == LOCAL)
        if len(local) and timezone is not None:
            out[local], state[local] = from_local(out[local], timezone)
        return Numbers(out, state)

    def addresses(self, name: str) -> Addresses:
        """Addresses of texts."""
        size = len(self)
        octets, families = np.zeros((size, 16), dtype=np.uint8), np.zeros(size, dtype=np.uint8)
        state = np.full(size, NOTHING, dtype=np.uint8)
        if name in self.columns:
            address_kernels.addresses(self.data, self.spots, self.columns[name], octets, families, state)
        return Addresses(octets, families, state)

    def macs(self, name: str) -> Words:
        """Ethernet addresses as 48 bits, -1 where there is none."""
        out, state = np.full(len(self), -1, dtype=np.int64), np.zeros(len(self), dtype=np.uint8)
        if name in self.columns:
            address_kernels.macs(self.data, self.spots, self.columns[name], out, state)
        return out

    def texts(self, name: str) -> Texts:
        """Words, each decoded once; what is no UTF-8 shows its bytes as \\xff. Lists come as their JSON text."""
        size = len(self)
        numbers, firsts = np.full(size, -1, dtype=np.int64), np.empty(size, dtype=np.int64)
        if name not in self.columns:
            return Texts(numbers, [])
        column = self.columns[name]
        table = np.empty(table_size(size), dtype=np.int64)
        with np.errstate(over="ignore"):  # hashing wraps; compiled code never warns
            count = distinct.distinct_spans(self.data, self.spots, column, SECRET, table, numbers, firsts)
        return Texts(numbers, [self.text(int(row), column) for row in firsts[:count]])

    def text(self, row: int, column: int) -> str:
        """One field as text."""
        spot = int(self.spots[row, column])
        start, size = spot >> (LENGTH_BITS + KIND_BITS), (spot >> KIND_BITS) & spots.LENGTH
        return self.data[start : start + size].tobytes().decode("utf-8", "backslashreplace")

    def true(self, name: str) -> Flags:
        """Where a field is JSON's true."""
        if name not in self.columns:
            return np.zeros(len(self), dtype=np.bool_)
        found: Flags = self.spots[:, self.columns[name]] & spots.KIND == TRUE
        return found


def from_local(times: Words, timezone: str) -> tuple[Words, Bytes]:
    """us of a local clock to us UTC. The hour that a clock shows twice, or never, is BAD: nobody knows which it was."""
    import pyarrow.compute as pc

    naive = pa.array(times).cast(pa.timestamp("us"))
    early, late = (
        pc.assume_timezone(naive, timezone, ambiguous=word, nonexistent=word).cast(pa.int64()).to_numpy()
        for word in ("earliest", "latest")
    )
    return early, np.where(early == late, GOOD, BAD).astype(np.uint8)


def read_json(values: Values, plan: Plan) -> Fields:
    """Find the wanted fields of JSON objects, one a value."""
    size = len(values)
    spots, verdicts = np.zeros((size, len(plan.paths)), dtype=np.int64), np.empty(size, dtype=np.uint8)
    scan_json(
        values.data, values.starts, values.ends, plan.slots, plan.keys, plan.letters, spots, verdicts
    )  # fmt: skip
    found = Fields(values.data, spots, plan.columns, np.zeros(size, dtype=np.int64))
    odd = np.flatnonzero(verdicts != FINE)
    if len(odd):
        _one_by_one(values, odd, plan, found)
    return found


def _one_by_one(values: Values, rows: Words, plan: Plan, found: Fields) -> None:
    """Decode what the kernel left: it is broken, or unusual. What is wanted is laid behind the buffer."""
    extra, base = bytearray(), len(found.data)
    found.spots[rows] = 0
    # Of blank lines there can be millions.
    empty = values.starts[rows] == values.ends[rows]
    found.reasons[rows[empty]] = 1
    for row in rows[~empty].tolist():
        try:
            # Bytes that are no UTF-8 are refused by the decoder, as is what is nested too deep.
            told = msgspec.json.decode(values[row])
            parts = _wanted(told, plan.paths.values()) if isinstance(told, dict) else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError):
            found.reasons[row] = 2
            continue
        if parts is None:
            found.reasons[row] = 3
            continue
        for column, (text, kind) in enumerate(parts):
            if kind != ABSENT:
                start = base + len(extra)
                found.spots[row, column] = (start << (LENGTH_BITS + KIND_BITS)) | (len(text) << KIND_BITS) | kind
                extra += text
    found.data = np.concatenate([found.data, np.frombuffer(bytes(extra), dtype=np.uint8)])


def _wanted(told: Any, paths: Sequence[tuple[str, ...]] | Any) -> list[tuple[bytes, int]]:
    return [_piece(_at(told, path)) for path in paths]


def _at(told: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(told, dict):
            return None
        told = told.get(key)
    return told


def _piece(value: Any) -> tuple[bytes, int]:
    """A decoded value as the bytes and the kind that the kernel would have found."""
    if value is None:
        return b"", ABSENT
    if isinstance(value, str):
        return value.encode(), TEXT
    if isinstance(value, bool):
        return (b"true", TRUE) if value else (b"false", TRUE + 1)
    kind = NESTED if isinstance(value, (dict, list)) else NUMBER
    return msgspec.json.encode(value), kind

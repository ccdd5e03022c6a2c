"""Counts the answers and the top conversations of a replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whowas.addresses import spelled
from whowas.batch.hints import Missing
from whowas.batch.told_names import ToldNames
from whowas.schema import CONFIDENCES
from whowas.stages import Report

# Names that meet are few, but external ends of hostile traffic are not: keep the table of pairs bounded.
PAIRS_KEPT = 50_000
TIES_LOOKED_AT = 200
PAIR = ("src", "dst", "protocol", "dst_port")
NAMED = ("confidence", "namespace", "workload", "service", "node")
# Confidences that go with the name of a workload or Service, and with that of a node.
OWNED, AT_NODE = ("exact", "likely", "service"), ("node", "snat")
# Of an end: the numbers of its words, and the two halves of its address.
END = len(NAMED) + 2


@dataclass
class Summary:
    """Grows batch by batch. Bytes and packets are of both directions, IP layer."""

    rows: int = 0
    packets: int = 0
    bytes: int = 0
    first_us: int | None = None
    last_us: int | None = None
    told_names: ToldNames = field(default_factory=ToldNames)
    answers: dict[str, Counter[str]] = field(default_factory=lambda: {"src": Counter(), "dst": Counter()})
    missing: Missing = field(default_factory=Missing)
    _words: dict[str, int] = field(default_factory=dict)
    _rows: Any = field(default_factory=lambda: np.empty((0, 2 * END + 2), dtype=np.int64))
    _keys: Any = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    _sums: Any = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    def add(self, named: Any) -> None:
        """Count a batch of named flows."""
        self.rows += named.num_rows
        self.missing.add(named)
        self.told_names.add(named)
        for side, counts in self.answers.items():
            column = named[f"{side}_confidence"]
            found = np.bincount(column.indices.to_numpy(), minlength=len(column.dictionary))
            for word, count in zip(column.dictionary.to_pylist(), found.tolist(), strict=True):
                counts[word] += count
        sizes = sum(pc.fill_null(named[name], 0).to_numpy() for name in ("bytes_out", "bytes_in"))
        self.bytes += int(sizes.sum())
        self.packets += int(pc.sum(named["packets_out"]).as_py() or 0) + int(pc.sum(named["packets_in"]).as_py() or 0)
        if named.num_rows:
            self._stretch(pc.min(named["start_time"]).value, pc.max(named["end_time"]).value)
            self._add_pairs(named, sizes)

    def _stretch(self, first: int | None, last: int | None) -> None:
        """Take in from when to when flows were; None where none of a batch has a time."""
        if first is not None and last is not None:
            self.first_us = first if self.first_us is None else min(first, self.first_us)
            self.last_us = last if self.last_us is None else max(last, self.last_us)

    def _add_pairs(self, named: Any, sizes: Any) -> None:
        """Sum by pair of names, as numbers: words come back only for the few that are shown."""
        codes = [code for side in ("src", "dst") for code in self._end(named, side)]
        ports = pc.fill_null(named["dst_port"].cast("int64"), -1)
        codes += [self._numbers(named["protocol"]), ports.to_numpy()]
        # Of the batch first: rows of columns are copied for what is left, not for every flow.
        mixed = _mixed(codes)
        first, group = _distinct(mixed)
        sums = _summed(group, len(first), np.ones(len(group), dtype=np.int64), sizes)
        self._keys = np.concatenate([self._keys, mixed[first]])
        self._rows = np.concatenate([self._rows, np.stack([one[first] for one in codes], axis=1)])
        self._sums = np.concatenate([self._sums, sums])
        first, group = _distinct(self._keys)
        if len(first) < len(group):
            self._keys, self._rows = self._keys[first], self._rows[first]
            self._sums = _summed(group, len(first), self._sums[:, 0], self._sums[:, 1])
        if len(first) > PAIRS_KEPT:
            kept = np.sort(np.argsort(-self._sums[:, 1], kind="stable")[: PAIRS_KEPT // 2])
            self._keys, self._rows, self._sums = self._keys[kept], self._rows[kept], self._sums[kept]

    def _end(self, named: Any, side: str) -> list[Any]:
        """The numbers of an end; an address only where it has no name, so that names are summed over addresses."""
        told = [self._numbers(named[f"{side}_{name}"]) for name in NAMED]
        halves = np.frombuffer(_octets(named[f"{side}_ip16"]), dtype=">i8").reshape(-1, 2).astype(np.int64)
        return [*told, *np.where(_unnamed(named, side), halves.T, 0)]

    def _numbers(self, column: Any) -> Any:
        """A dictionary column as numbers that mean the same word in every batch; -1 for null."""
        own = [self._words.setdefault(word, len(self._words)) for word in column.dictionary.to_pylist()]
        return np.array([*own, -1], dtype=np.int64)[pc.fill_null(column.indices, -1).to_numpy()]

    def top(self, count: int = 5) -> list[dict[str, Any]]:
        """Return the conversations by name with the most bytes; ties by name."""
        words = [*self._words, None]
        best = np.argsort(-self._sums[:, 1], kind="stable")[: count + TIES_LOOKED_AT]
        totals: dict[tuple[Any, ...], list[int]] = {}
        for row in best:
            numbers = self._rows[row].tolist()
            ends = (_shown(numbers[at : at + END], words) for at in (0, END))
            key = (*ends, words[numbers[-2]], numbers[-1] if numbers[-1] >= 0 else None)
            total = totals.setdefault(key, [0, 0])
            total[0] += int(self._sums[row, 0])
            total[1] += int(self._sums[row, 1])
        order = sorted(totals.items(), key=lambda item: (-item[1][1], str(item[0])))
        return [
            dict(zip(PAIR, key, strict=True)) | {"conversations": total[0], "bytes": total[1]}
            for key, total in order[:count]
        ]


def _unnamed(named: Any, side: str) -> Any:
    """Say of which ends `_name` is None, for a whole batch."""

    def where(name: str, holds: Callable[[str], bool]) -> Any:
        column = named[f"{side}_{name}"]
        found = np.array([holds(word) for word in column.dictionary.to_pylist()] + [False])
        return found[pc.fill_null(column.indices, -1).to_numpy()]

    workload = where("workload", bool)
    owned = where("confidence", lambda sure: sure in OWNED) & (workload | where("service", bool))
    at_node = where("confidence", lambda sure: sure in AT_NODE) & where("node", bool)
    return ~(owned | at_node | (where("confidence", lambda sure: sure == "external") & workload))


def _octets(column: Any) -> Any:
    """The bytes of a column of addresses of 16 bytes each."""
    return np.frombuffer(column.buffers()[1], dtype=np.uint8)[16 * column.offset :][: 16 * len(column)]


def _shown(numbers: list[int], words: list[str | None]) -> str:
    """Text for one end: its name; where it has none its address, and why."""
    told = [words[one] for one in numbers[: len(NAMED)]]
    return _name(told) or f"{spelled(np.array(numbers[-2:], dtype='>i8').tobytes())} ({told[0]})"


def _mixed(columns: list[Any]) -> Any:
    """One 64-bit number for each row of some columns."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for one in columns:
        mixed ^= one.astype(np.int64, copy=False).view(np.uint64)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _summed(group: Any, groups: int, *columns: Any) -> Any:
    """Return (groups, k) sums of k columns by group."""
    sums = np.zeros((groups, len(columns)), dtype=np.int64)
    for place, one in enumerate(columns):
        # In a column of its own numpy adds ten times as fast.
        total = np.zeros(groups, dtype=np.int64)
        np.add.at(total, group, one)
        sums[:, place] = total
    return sums


def _distinct(mixed: Any) -> tuple[Any, Any]:
    """Return a row of each distinct number, and which of these each row has."""
    encoded = pa.array(mixed).dictionary_encode()
    group = encoded.indices.to_numpy()
    first = np.empty(len(encoded.dictionary), dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return first, group


def _name(told: list[str | None]) -> str | None:
    """The name of one end: namespace/workload, else service, node or range; None where it has none."""
    sure, namespace, workload, service, node = told
    owner = workload or service
    if sure in OWNED and owner:
        return f"{namespace}/{owner}" if namespace else owner
    if sure in AT_NODE and node:
        return f"node/{node}"
    return (workload or None) if sure == "external" else None


def as_json(summary: Summary, report: Report, seconds: dict[str, float], written: dict[str, Any]) -> dict[str, Any]:
    """One object of stable keys: what `whowas replay --json` prints (docs/reference/replay-json.md)."""
    return {
        "packets": report.packets,
        "bytes": report.bytes,
        "conversations": report.conversations,
        "rows": summary.rows,
        "answers": {
            f"{side}_confidence": {word: counts.get(word, 0) for word in CONFIDENCES}
            for side, counts in summary.answers.items()
        },
        "told_names": summary.told_names.to_json(),
        "refused": dict(sorted(report.refused.items())),
        "noted": dict(sorted(report.noted.items())),
        "repeated": report.repeated,
        "records": {
            "read": report.records,
            "flows": report.record_flows,
            "refused": dict(sorted(report.refused_records.items())),
            "skipped": dict(sorted(report.skipped.items())),
            "noted": dict(sorted(report.noted_records.items())),
        },
        "files": [
            {
                "path": one.path,
                "format": one.format,
                "packets": one.packets,
                "records": one.records,
                "unreadable": [{"offset": bad.offset, "reason": bad.reason} for bad in one.unreadable],
                "refused": [{"number": bad.number, "reason": bad.reason} for bad in one.refused],
            }
            for one in report.files
        ],
        "traffic": {"packets": summary.packets, "bytes": summary.bytes},
        "top": summary.top(10),
        "seconds": round(sum(seconds.values()), 3),
        "seconds_by_step": {name: round(value, 3) for name, value in seconds.items()},
        **written,
    }

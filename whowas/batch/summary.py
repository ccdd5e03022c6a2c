"""Counts the answers and the top conversations of a replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
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


class _Numbers(dict[str, int]):
    """Numbers words in the order in which they come."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def table(self, column: Any) -> Any:
        """Return the number of each word of a dictionary column, and -1 behind them for null."""
        return np.array([*map(self.__getitem__, column.dictionary.to_pylist()), -1], dtype=np.int32)


@dataclass(frozen=True)
class _Pairs:
    """Sums by pair of names: a hash of the pair's numbers, the numbers column by column, flows and bytes."""

    keys: Any
    codes: list[Any]
    flows: Any
    bytes: Any

    @classmethod
    def joined(cls, parts: list[_Pairs]) -> _Pairs:
        """Return several as one."""
        codes = [np.concatenate(column) for column in zip(*(one.codes for one in parts), strict=True)]
        keys, flows, sizes = (
            np.concatenate([getattr(one, name) for one in parts]) for name in ("keys", "flows", "bytes")
        )
        return cls(keys, codes, flows, sizes)

    def taken(self, rows: Any) -> _Pairs:
        """Return some of them."""
        return _Pairs(self.keys[rows], [one[rows] for one in self.codes], self.flows[rows], self.bytes[rows])

    def summed(self) -> _Pairs:
        """Return each pair once."""
        order = np.argsort(self.keys)
        keys = self.keys[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        first = order[starts]
        sums = (np.add.reduceat(one[order], starts) for one in (self.flows, self.bytes))
        return _Pairs(keys[starts], [one[first] for one in self.codes], *sums)


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
    _words: _Numbers = field(default_factory=_Numbers)
    _pairs: list[_Pairs] = field(default_factory=list)

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
        ports = pc.fill_null(named["dst_port"], -1).to_numpy()
        codes += [self._words.table(named["protocol"])[_places(named["protocol"])], ports]
        # Of the batch first: columns are copied for what is left, not for every flow.
        self._pairs.append(_Pairs(_mixed(codes), codes, np.ones(len(sizes), dtype=np.int64), sizes).summed())
        if sum(len(one.keys) for one in self._pairs) > 2 * PAIRS_KEPT:
            self._merge()

    def _merge(self) -> None:
        """Make one table of those of the batches, of the larger half where they are very many."""
        merged = _Pairs.joined(self._pairs).summed()
        if len(merged.keys) > PAIRS_KEPT:
            merged = merged.taken(np.sort(np.argsort(-merged.bytes, kind="stable")[: PAIRS_KEPT // 2]))
        self._pairs = [merged]

    def _end(self, named: Any, side: str) -> list[Any]:
        """The numbers of an end; an address only where it has no name, so that names are summed over addresses."""
        columns = {name: named[f"{side}_{name}"] for name in NAMED}
        places = {name: _places(one) for name, one in columns.items()}
        told = [self._words.table(one)[places[name]] for name, one in columns.items()]
        unnamed = _unnamed(columns, places)
        if not unnamed.any():
            return [*told, *np.zeros((2, len(unnamed)), dtype=np.int64)]
        halves = np.frombuffer(_octets(named[f"{side}_ip16"]), dtype=">i8").reshape(-1, 2).astype(np.int64)
        return [*told, *np.where(unnamed, halves.T, 0)]

    def top(self, count: int = 5) -> list[dict[str, Any]]:
        """Return the conversations by name with the most bytes; ties by name."""
        if not self._pairs:
            return []
        self._merge()
        pairs, words = self._pairs[0], [*self._words, None]
        totals: dict[tuple[Any, ...], list[int]] = {}
        for row in np.argsort(-pairs.bytes, kind="stable")[: count + TIES_LOOKED_AT]:
            numbers = [int(one[row]) for one in pairs.codes]
            ends = (_shown(numbers[at : at + END], words) for at in (0, END))
            key = (*ends, words[numbers[-2]], numbers[-1] if numbers[-1] >= 0 else None)
            total = totals.setdefault(key, [0, 0])
            total[0] += int(pairs.flows[row])
            total[1] += int(pairs.bytes[row])
        order = sorted(totals.items(), key=lambda item: (-item[1][1], str(item[0])))
        return [
            dict(zip(PAIR, key, strict=True)) | {"conversations": total[0], "bytes": total[1]}
            for key, total in order[:count]
        ]


def _places(column: Any) -> Any:
    """Where in its dictionary each row's word stands; -1 for null."""
    indices = column.indices
    return (pc.fill_null(indices, -1) if indices.null_count else indices).to_numpy()


def _unnamed(columns: dict[str, Any], places: dict[str, Any]) -> Any:
    """Say of which ends `_name` is None, for a whole batch."""

    def where(name: str, holds: Callable[[str], bool]) -> Any:
        found = np.array([holds(word) for word in columns[name].dictionary.to_pylist()] + [False])
        return found[places[name]]

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

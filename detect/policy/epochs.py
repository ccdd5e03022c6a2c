"""Between which changes rows lie: those of their own ends, for what changes elsewhere is not asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from detect.policy.distinct import Codes, Questions, nothing, packed
from whowas.arrays import Words


class Epochs:
    """Times of change for each word of a column. Several words may share them: then it is one array, not two alike."""

    def __init__(self, edges_of: Callable[[str], Words]) -> None:
        self._edges_of = edges_of
        self._groups: dict[str, int] = {}
        self._numbers: dict[int, int] = {}
        self._edges: list[Words] = []
        self._last: list[int] = []

    def _grouped(self, words: list[str]) -> list[int]:
        known = self._groups
        try:
            return [known[one] for one in words]
        except KeyError:
            return [self._group(one) for one in words]

    def _group(self, word: str) -> int:
        known = self._groups.get(word)
        if known is None:
            edges = self._edges_of(word)
            known = self._groups[word] = self._numbers.setdefault(id(edges), len(self._edges))
            if known == len(self._edges):
                self._edges.append(edges)
                self._last.append(int(edges[-1]) if len(edges) else 0)
        return known

    def tell(self, found: Questions, words: Codes, low: Words, high: Words) -> None:
        """Tell rows apart by the changes between which both bounds lie. Args: words: found tells them apart already."""
        own = np.array(self._grouped(words.words), dtype=np.int64)
        first, last = int(low.min()), int(high.max())
        ends = np.array(self._last, dtype=np.int64)
        early = np.unique(own[ends[own] > first]) if len(own) else own
        places, busy = np.zeros(len(ends), dtype=np.int64), np.zeros(len(ends), dtype=bool)
        for group in early.tolist():
            edges = self._edges[group]
            begin, end = edges.searchsorted((first, last), "right").tolist()
            busy[group] = begin < end
            places[group] = 0 if busy[group] else _number(len(edges), len(edges) - begin, len(edges) - begin)
        found.also(Codes(words.rows, words.size, np.array([0, *places[own].tolist()], dtype=np.int64)))
        found.by(self._within(own, busy, words.rows, low, high))

    def _within(self, own: Words, busy: Words, rows: Words, low: Words, high: Words) -> Codes:
        """Rows of the few for whom something changed meanwhile, each by its own time."""
        found = np.zeros(len(rows), dtype=np.int64)
        if not busy.any():
            return nothing(len(rows))
        group_of = np.array([-1, *np.where(busy[own], own, -1).tolist()], dtype=np.int64)
        groups = group_of[rows]
        changing = np.flatnonzero(groups >= 0)
        if not len(changing):
            # A dictionary has more words than a slice has rows.
            return nothing(len(rows))
        order = changing[np.argsort(groups[changing], kind="stable")]
        several, starts = np.unique(groups[order], return_index=True)
        for group, mine in zip(several.tolist(), np.split(order, starts[1:]), strict=True):
            found[mine] = places(self._edges[group], low[mine], high[mine])
        return packed(found)


def places(edges: Words, low: Words, high: Words) -> Words:
    """Return one number for the places of both bounds among edges; 0 = both after all."""
    size = len(edges)
    if not len(low) or not size:
        return np.zeros(len(low), dtype=np.int64)
    begin, end = edges.searchsorted((low.min(), high.max()), "right").tolist()
    near = edges[begin:end]
    after: list[Words] = [size - begin - near.searchsorted(times, "right") for times in (low, high)]
    found: Words = _number(size, after[0], after[1])
    return found


def _number(size: int, low: Any, high: Any) -> Any:
    return low * (size + 1) + high

"""When a pod that was never shown with an address may have sent packets from one: from which, nobody knows."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from enrich.holds.derive import Table
from enrich.holds.pod_tables import values
from enrich.holds.time_bounds import SECOND
from whowas.arrays import Flags, Words
from whowas.timestamps import AFTER_ALL, BEFORE_ALL

# A kubelet ends what was deleted by force within seconds. One that is cut off for longer than this is not waited for.
FORCED_WITHIN = 600 * SECOND


class Span(NamedTuple):
    """From when to when (us) some pod of a node may have had an address that nobody was told of."""

    node: str
    low: int
    high: int


@dataclass(frozen=True)
class Untold:
    """Spans of all pods without an address. ranges: the pod ranges of each node, as its object says them."""

    spans: tuple[Span, ...] = ()
    ranges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _merged: dict[str, Words] = field(default_factory=dict, compare=False)

    def possible(self, node: str, address: bytes, times: Words, slack: int) -> Flags:
        """Say of each time whether such a pod may have sent from this address.

        Args: node: whose pod range the address may be of: then only pods of that node can have it. slack: us by which
            times may be off.
        """
        spans = self._of(node if self._is_local(node, address) else None)
        place = np.searchsorted(spans[:, 0], times + slack, side="right") - 1
        found: Flags = (place >= 0) & (times - slack <= spans[np.maximum(place, 0), 1])
        return found

    def _is_local(self, node: str, address: bytes) -> bool:
        one = ipaddress.IPv6Address(address)
        plain = one.ipv4_mapped or one
        for word in self.ranges.get(node, ()):
            try:
                network = ipaddress.ip_network(word, strict=False)
            except ValueError:
                continue
            if network.version == plain.version and plain in network:
                return True
        return False

    def _of(self, node: str | None) -> Words:
        """Return the spans of a node, or of all, joined where they overlap: (n, 2), at least one."""
        key = "*" if node is None else node
        if key not in self._merged:
            mine = ((low, high) for of, low, high in self.spans if node is None or of == node)
            self._merged[key] = np.array(_joined(mine) or [(AFTER_ALL, AFTER_ALL)], dtype=np.int64)
        return self._merged[key]


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def without_untold(held: Table, node: Any, ranges: Mapping[str, tuple[str, ...]]) -> tuple[Table, Untold]:
    """Take the pods that were never shown with an address out of pods' holds. node: of each pod, Arrow dictionary."""
    untold = (held.halves == 0).all(axis=1)
    if not untold.any() or held.told is None:
        return held, Untold((), ranges)
    rows = np.flatnonzero(untold)
    names = values(node, held.entity[rows])
    told = zip(names, held.bounds[rows, 0], held.proven[rows], held.bounds[rows, 3], held.told[rows], strict=True)
    spans = tuple(_span(name, *(int(one) for one in times)) for name, *times in told)
    return held.take(np.flatnonzero(~untold)), Untold(spans, ranges)


def _span(node: str, start_min: int, quiet: int, end_max: int, told: int) -> Span:
    """Return when a pod may have sent packets. quiet: up to here nothing had run in it. told: that it is gone."""
    forced = end_max >= AFTER_ALL and BEFORE_ALL < told < AFTER_ALL
    return Span(node, max(start_min, quiet), told + FORCED_WITHIN if forced else end_max)

"""One end of a flow, or an address in any record: judged at a moment, checked at a later one, put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from enrich.answers import (
    AMBIGUOUS,
    AT_NODE,
    AT_SERVICE,
    CHANGED,
    EXACT,
    EXTERNAL,
    LIKELY,
    RENEWED,
    SNAT,
    UNKNOWN,
    NamingOptions,
    Verdicts,
    judge,
)
from enrich.columns import Key, NameTable
from enrich.history import ClusterHistory
from enrich.networks import Ranges

Words = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]


@dataclass
class Judged:
    """What is known of a batch of addresses. labels: what NameTable.label gave for those that nobody held."""

    verdicts: Verdicts
    labels: Indices


class EndNamer:
    """Says who held addresses, by one cluster of a history. Raises: ConfigError for a cluster it has not."""

    def __init__(self, history: ClusterHistory, options: NamingOptions) -> None:
        self.history = history
        self.names = NameTable(history)
        self._ranges = Ranges(options.networks, history.ranges)
        self._skew = int(options.sensor_skew_seconds * 1e6)

    def judged(self, addresses: npt.NDArray[np.uint8], starts: Words, ends: Words) -> Judged:
        """Judge each address at its start, then look again at the ends of those whose hold may be over.

        Args: addresses: (n, 16) uint8, v4-mapped. starts, ends: (n,) int64, us since 1970, UTC.
        """
        verdicts = judge(self.history, addresses, starts, self._skew)
        self._check_ends(addresses, ends, verdicts)
        labels = np.zeros(len(starts), dtype=np.int32)
        self._outside(addresses, verdicts, labels)
        return Judged(verdicts, labels)

    def columns(self, side: str, told: Judged, starts: Words) -> dict[str, Any]:
        """Return the columns of step `enrich` of one end."""
        holds, versions, candidates = self._worded(told.verdicts, starts)
        verdicts = told.verdicts
        return self.names.columns(side, verdicts.codes, holds, versions, verdicts.why, told.labels, candidates)

    def keys(self, told: Judged, starts: Words) -> tuple[list[Key], Indices]:
        """Return a key for each distinct answer, and which of them each row has; `names.answers` puts keys into words.

        A key means the same answer for as long as this namer lives.
        """
        holds, versions, candidates = self._worded(told.verdicts, starts)
        return self.names.distinct(told.verdicts.codes, holds, versions, told.verdicts.why, told.labels, candidates)

    def _worded(self, verdicts: Verdicts, starts: Words) -> tuple[Indices, Indices, Indices]:
        """Holds that are named, versions of their labels then, and holds that are only candidates."""
        named = np.isin(verdicts.codes, (EXACT, LIKELY, AT_NODE, AT_SERVICE, SNAT))
        holds = np.where(named, verdicts.holds, -1).astype(np.int32)
        entities = self.history.entity_of[holds] if len(self.history.holds) else np.full(len(holds), -1, np.int32)
        entities = np.where(holds >= 0, entities, -1).astype(np.int32)
        found = verdicts.found
        listed = (verdicts.codes == AMBIGUOUS) | (verdicts.codes == UNKNOWN)
        listed |= ((verdicts.codes == AT_NODE) | (verdicts.codes == SNAT)) & (found.counts[:, 2] > 1)
        return holds, self.history.versions_at(entities, starts), np.where(listed[:, None], found.holds, -1)

    def _check_ends(self, addresses: npt.NDArray[np.uint8], ends: Words, verdicts: Verdicts) -> None:
        """Where somebody else held the address by the end of the flow, either may be meant: both are told."""
        named = (verdicts.codes == EXACT) | (verdicts.codes == LIKELY)
        rows = np.flatnonzero(named)
        rows = rows[self.history.bounds[verdicts.holds[rows], 2] <= ends[rows] + self._skew]
        if not len(rows):
            return
        later = judge(self.history, np.ascontiguousarray(addresses[rows]), ends[rows], self._skew)
        other = (later.holds >= 0) & (later.holds != verdicts.holds[rows]) & (later.codes <= LIKELY)
        same = self.history.entity_of[later.holds] == self.history.entity_of[verdicts.holds[rows]]
        # The same pod again, in another sandbox: one name, but in between it may have been somebody else's.
        again = rows[other & same]
        verdicts.codes[again], verdicts.why[again] = LIKELY, RENEWED
        other &= ~same
        changed = rows[other]
        verdicts.codes[changed], verdicts.why[changed] = AMBIGUOUS, CHANGED
        verdicts.found.holds[changed, 0] = verdicts.holds[changed]
        verdicts.found.holds[changed, 1] = later.holds[other]
        verdicts.found.holds[changed, 2:] = -1

    def _outside(self, addresses: npt.NDArray[np.uint8], verdicts: Verdicts, inside: Indices) -> None:
        """Tell addresses outside the cluster from those that nobody held. Judged once an address."""
        rows = np.flatnonzero(verdicts.found.counts[:, :3].sum(axis=1) == 0)
        if not len(rows):
            return
        encoded = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), len(rows), [None, pa.py_buffer(np.ascontiguousarray(addresses[rows]))]
        ).dictionary_encode()
        index = encoded.indices.to_numpy()
        seen = np.zeros(len(encoded.dictionary), dtype=bool)
        seen[index] |= verdicts.found.counts[rows, 3] >= 0
        whats = [self._ranges.what(address) for address in encoded.dictionary.to_pylist()]
        outer = np.array([what == "external" for what, _ in whats], dtype=bool) & ~seen
        labels = np.array([self.names.label(what, name) for what, name in whats], dtype=np.int32)
        verdicts.codes[rows[outer[index]]] = EXTERNAL
        verdicts.why[rows[outer[index]]] = 0
        inside[rows] = labels[index]

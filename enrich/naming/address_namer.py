"""One end of a flow, or an address in any record: judged at a moment, checked at a later one, put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from enrich.history.history import ClusterHistory
from enrich.history.lookup import CANDIDATES
from enrich.naming.name_columns import Candidates, Key, NameTable
from enrich.naming.networks import OutsideAddresses, Ranges
from enrich.naming.uncertain_times import Windows, lower
from enrich.naming.verdicts import (
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
from whowas.arrays import Flags, Indices, Words
from whowas.schema import CONFIDENCES


def _codes(*codes: int) -> npt.NDArray[np.bool_]:
    """A mark for each code of confidence."""
    marks = np.zeros(len(CONFIDENCES), dtype=bool)
    marks[list(codes)] = True
    return marks


NAMED = _codes(EXACT, LIKELY, AT_NODE, AT_SERVICE, SNAT)
LISTED = _codes(AMBIGUOUS, UNKNOWN)
LISTED_IF_SEVERAL = _codes(AT_NODE, SNAT)


@dataclass
class AddressVerdicts:
    """What is known of a batch of addresses. labels: what NameTable.label gave for those that nobody held."""

    verdicts: Verdicts
    labels: Indices


class AddressNamer:
    """Says who held addresses, by one cluster of a history.

    Args: before: a namer of the same cluster by an older history: what holds still is not found out again.
    """

    def __init__(self, history: ClusterHistory, options: NamingOptions, before: AddressNamer | None = None) -> None:
        self.history = history
        told = (options.networks, history.ranges)
        self.outside: OutsideAddresses = (
            before.outside
            if before is not None and before.outside.ranges.told == told
            else OutsideAddresses(Ranges(*told))
        )
        self.names: NameTable = NameTable(
            history, self.outside.words, None if before is None else before.names, options.issuers
        )
        self._skew = int(options.sensor_skew_seconds * 1e6)

    def judged(self, addresses: npt.NDArray[np.uint8], windows: Windows) -> AddressVerdicts:
        """Judge each address where its first packet lies, then look again at the ends of those whose hold may be over.

        Args: addresses: (n, 16) uint8, v4-mapped.
        """
        verdicts = judge(self.history, addresses, windows.first_low, windows.first_high, self._skew)
        self._check_ends(addresses, windows, verdicts)
        labels = np.zeros(len(addresses), dtype=np.int32)
        self._outside(addresses, verdicts, labels)
        lower(self.history, windows, verdicts)
        return AddressVerdicts(verdicts, labels)

    def columns(self, side: str, told: AddressVerdicts, starts: Words) -> dict[str, Any]:
        """Return the columns of step `enrich` of one end."""
        holds, states, candidates = self._worded(told.verdicts, starts)
        verdicts = told.verdicts
        return self.names.columns(side, verdicts.codes, holds, states, verdicts.why, told.labels, candidates)

    def keys(self, told: AddressVerdicts, starts: Words) -> tuple[list[Key], Indices]:
        """Return a key for each distinct answer, and which of them each row has; `names.answers` puts keys into words.

        A key means the same answer for as long as this namer lives.
        """
        holds, states, candidates = self._worded(told.verdicts, starts)
        return self.names.distinct(told.verdicts.codes, holds, states, told.verdicts.why, told.labels, candidates)

    def _worded(self, verdicts: Verdicts, starts: Words) -> tuple[Indices, Indices, Candidates]:
        """Holds that are named, the states of their holders then, and holds that are only candidates."""
        codes, found = verdicts.codes, verdicts.found
        holds = np.where(NAMED[codes], verdicts.holds, -1).astype(np.int32)
        entities = np.full(len(holds), -1, dtype=np.int32)
        if len(self.history.holds):
            entities = np.where(holds >= 0, self.history.entity_of[holds], -1).astype(np.int32)
        listed = LISTED[codes] | (LISTED_IF_SEVERAL[codes] & (found.counts[:, 2] > 1))
        rows = np.flatnonzero(listed & (found.holds[:, 0] >= 0))
        return holds, self.history.states.at(entities, starts), (rows, found.holds[rows])

    def _check_ends(self, addresses: npt.NDArray[np.uint8], windows: Windows, verdicts: Verdicts) -> None:
        """Where somebody else held the address by the end of the flow, either may be meant: both are told."""
        named = (verdicts.codes == EXACT) | (verdicts.codes == LIKELY)
        rows = np.flatnonzero(named if windows.loose is None else named & ~windows.loose)
        rows = rows[self.history.bounds[verdicts.holds[rows], 2] <= windows.last_high[rows] + self._skew]
        if not len(rows):
            return
        low, high = windows.last_low[rows], windows.last_high[rows]
        later = judge(self.history, np.ascontiguousarray(addresses[rows]), low, high, self._skew)
        self._within_ends(rows, (low != high) & (later.codes == AMBIGUOUS), later, verdicts)
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

    def _within_ends(self, rows: Words, several: Flags, later: Verdicts, verdicts: Verdicts) -> None:
        """An end that is not told to the microsecond, in which the address may have changed hands: all are told."""
        changed = rows[several]
        for row, told in zip(changed.tolist(), later.found.holds[several], strict=True):
            first = int(verdicts.holds[row])
            others = [one for one in told.tolist() if one not in (first, -1)][: CANDIDATES - 1]
            verdicts.found.holds[row] = [first, *others, *[-1] * (CANDIDATES - 1 - len(others))]
        verdicts.codes[changed], verdicts.why[changed] = AMBIGUOUS, CHANGED

    def _outside(self, addresses: npt.NDArray[np.uint8], verdicts: Verdicts, inside: Indices) -> None:
        """Tell addresses outside the cluster from those that nobody held."""
        counts = verdicts.found.counts
        rows = np.flatnonzero((counts[:, 0] | counts[:, 1] | counts[:, 2]) == 0)
        if not len(rows):
            return
        labels, external = self.outside.labels(addresses[rows])
        # What was ever held is the cluster's, whatever its range says.
        outer = rows[external & (counts[rows, 3] < 0)]
        verdicts.codes[outer], verdicts.why[outer] = EXTERNAL, 0
        inside[rows] = labels

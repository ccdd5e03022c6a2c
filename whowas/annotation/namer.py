"""Names for addresses at times, by a history that may be growing meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from enrich.history.history import History
from enrich.holds.pod_track import PUBLISHED_WITHIN
from enrich.naming.address_namer import AddressNamer, AddressVerdicts
from enrich.naming.name_columns import Answer, Key
from enrich.naming.uncertain_times import Windows
from enrich.naming.verdicts import AFTER_HISTORY, TOO_FRESH, UNKNOWN, NamingOptions
from whowas.arrays import Indices, Words
from whowas.errors import StoreBusyError
from whowas.schema import CONFIDENCES

# A store is looked at so often at most; and no more than this part of the time is spent on it.
EVERY_SECONDS = 1.0
SHARE = 0.2
POLL_SECONDS = 0.2
# A line that comes from the future is not waited for.
FUTURE = 60_000_000


class GrowingHistory(Protocol):
    """A history that is recorded while it is read (enrich.history.stored.StoredHistory)."""

    history: History

    def refresh(self) -> bool:
        """Take in what was written since; say whether there was anything."""


@dataclass
class Answers:
    """What a batch of addresses was. keys: one for each distinct answer. own: (n,) which of them.

    words: puts keys into words: names of whowas.schema without src_ and dst_, and cluster. A key means the same answer
    as long as `age` stays the same. counts: how many answers of each confidence, in the order of CONFIDENCES.
    """

    keys: list[Key]
    own: Indices
    words: Callable[[Sequence[Key]], list[Answer]]
    age: int
    counts: list[int]


class BatchNamer:
    """Answers batches. A growing history is looked at again when it does not reach far enough.

    Args: wait_seconds: how long a batch may be held until the history has passed its last time for long enough
        that what happened then has been reported.
    """

    def __init__(self, known: History | GrowingHistory, options: NamingOptions, wait_seconds: float = 0.0) -> None:
        self._growing = None if isinstance(known, History) else known
        self._options, self._wait = options, wait_seconds
        self._age = 0
        self._next = 0.0
        self._use(known if isinstance(known, History) else known.history)

    def _use(self, history: History) -> None:
        self._namer = AddressNamer(history.cluster(self._options.cluster), self._options)
        self._age += 1

    def ask(self, addresses: npt.NDArray[np.uint8], windows: Windows) -> Answers:
        """Answer. Args: addresses: (n, 16) uint8."""
        if self._growing is not None and self._wait and len(addresses):
            self._hold_until_known(self._growing, windows.last_high)
        judged = self._namer.judged(addresses, windows)
        if self._growing is not None and _open(judged) and self._look(self._growing, EVERY_SECONDS):
            judged = self._namer.judged(addresses, windows)
        keys, own = self._namer.keys(judged, windows.starts)
        counts = np.bincount(judged.verdicts.codes, minlength=len(CONFIDENCES)).tolist()
        return Answers(keys, own, self._worded(self._namer), self._age, counts)

    @staticmethod
    def _worded(namer: AddressNamer) -> Callable[[Sequence[Key]], list[Answer]]:
        cluster = {"cluster": namer.history.name}
        return lambda keys: [one | cluster for one in namer.names.answers(keys)]

    def _look(self, growing: GrowingHistory, again_in: float) -> bool:
        """Look at the store again, if that is due. Returns: whether it had anything new."""
        began = time.monotonic()
        if began < self._next:
            return False
        try:
            new = growing.refresh()
        except StoreBusyError:
            # What is known stays known; the store will answer another time.
            new = False
        if new:
            self._use(growing.history)
        took = time.monotonic() - began
        self._next = began + max(again_in, took / SHARE)
        return new

    def _hold_until_known(self, growing: GrowingHistory, ends: Words) -> None:
        now = time.time_ns() // 1000
        past = ends[ends <= now + FUTURE]
        until = time.monotonic() + self._wait
        if not len(past):
            return
        wanted = int(past.max()) + PUBLISHED_WITHIN
        while self._reaches() < wanted and time.monotonic() < until:
            self._look(growing, POLL_SECONDS)
            if self._reaches() < wanted:
                time.sleep(max(0.0, min(POLL_SECONDS, until - time.monotonic())))

    def _reaches(self) -> int:
        covered = self._namer.history.covered
        return covered[-1][1] if covered else 0


def _open(judged: AddressVerdicts) -> bool:
    """Say whether more of the history could answer what is not known yet."""
    verdicts = judged.verdicts
    open_yet = (verdicts.codes == UNKNOWN) & ((verdicts.why == TOO_FRESH) | (verdicts.why == AFTER_HISTORY))
    return bool(open_yet.any())

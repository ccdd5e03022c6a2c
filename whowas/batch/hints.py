"""Says which option is missing where names are: the option, what to give it, and for how much."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow.compute as pc

from enrich.naming.reasons import BLIND, reason
from enrich.naming.verdicts import AMBIGUOUS, IN_GAP, NO_TIME, SEVERAL_VNIS
from whowas.stages import Report
from whowas.timestamps import rfc3339

if TYPE_CHECKING:
    from enrich.history.history import ClusterHistory

SIDES = ("src", "dst")
# Nothing of the history goes into these words.
SEVERAL = reason(cast("ClusterHistory", None), AMBIGUOUS, -1, SEVERAL_VNIS)
GAP = BLIND[IN_GAP]
NOT_COVERED = frozenset(BLIND.values()) - {BLIND[NO_TIME]}
LOCAL = "local_time_without_timezone"
VNIS_SHOWN = 8
# A capture of hostile traffic can have every VNI there is.
VNIS_KEPT = 10_000


@dataclass(frozen=True)
class Hint:
    """One option that would help. values: what to give it, the likeliest first. count, of: how many ends or records."""

    option: str
    values: tuple[str, ...]
    count: int
    of: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` shows of it."""
        return asdict(self)


class Missing:
    """Counts, batch by batch, ends whose reason an option would change. vnis: flows that wait for --vni, by VNI."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.vnis: Counter[int] = Counter()

    def add(self, named: Any) -> None:
        """Take a batch of named flows."""
        several = np.zeros(named.num_rows, dtype=bool)
        for side in SIDES:
            column = named[f"{side}_reason"]
            words = column.dictionary.to_pylist()
            known = (column.drop_null() if column.null_count else column).indices.to_numpy()
            for word, count in zip(words, np.bincount(known, minlength=len(words)).tolist(), strict=True):
                if count and (word == SEVERAL or word in NOT_COVERED):
                    self.reasons[word] += count
            if SEVERAL in words:
                several |= pc.fill_null(column.indices, -1).to_numpy() == words.index(SEVERAL)
        if several.any():
            self._add_vnis(named["vni"].to_numpy(zero_copy_only=False)[several])

    def _add_vnis(self, vnis: Any) -> None:
        numbers, counts = np.unique(vnis[~np.isnan(vnis.astype(float))].astype(np.int64), return_counts=True)
        self.vnis.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        if len(self.vnis) > VNIS_KEPT:
            self.vnis = Counter(dict(self.vnis.most_common(VNIS_KEPT // 2)))


def hints(missing: Missing, report: Report, first_us: int | None, last_us: int | None) -> list[Hint]:
    """Return what to give beside what was given, the most useful first.

    Args: report: of the reading. first_us, last_us: from when to when flows were; None where none has a time.
    """
    found = [_vni(missing), _timezone(report.refused_records[LOCAL]), _history(missing, first_us, last_us)]
    return sorted((one for one in found if one is not None), key=lambda one: -one.count)


def _vni(missing: Missing) -> Hint | None:
    ends = missing.reasons[SEVERAL]
    if not ends:
        return None
    seen = [(str(vni), count) for vni, count in missing.vnis.most_common(VNIS_SHOWN)]
    told = ", ".join(f"{vni} ({count:,} flow{'' if count == 1 else 's'})" for vni, count in seen)
    text = f"{ends:,} ends are in several VNIs: {told}; say which are the pod network's, like --vni {seen[0][0]}"
    return Hint("--vni", tuple(vni for vni, _ in seen), ends, "ends", text)


def _timezone(records: int) -> Hint | None:
    if not records:
        return None
    text = (
        f"{records:,} records have times without a zone and were left out; say the zone of the machine that wrote "
        "them, like --timezone UTC or --timezone Europe/Paris"
    )
    return Hint("--timezone", ("UTC",), records, "records", text)


def _history(missing: Missing, first_us: int | None, last_us: int | None) -> Hint | None:
    ends = sum(count for word, count in missing.reasons.items() if word in NOT_COVERED)
    if not ends or first_us is None or last_us is None:
        return None
    values = (rfc3339(first_us), rfc3339(last_us))
    gap = " without gaps" if missing.reasons[GAP] else ""
    text = (
        f"{ends:,} ends are of times that the history does not cover; "
        f"give --history evidence of {values[0]} to {values[1]}{gap}"
    )
    return Hint("--history", values, ends, "ends", text)

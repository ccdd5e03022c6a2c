"""Times as records have them, turned into microseconds since 1970: text, numbers of any unit, whole batches at once.

Never the machine's zone: text without an offset is refused unless a zone is told.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whowas.arrays import Words
from whowas.flow_times import FIRST_US, NO_MOMENT, SECOND_US
from whowas.timestamps import AFTER_ALL, EPOCH, LAST_NUMBER_US, LIMITS
from whowas.timestamps import UNITS as NANOS

Codes = npt.NDArray[np.uint8]

OK, MISSING, UNREADABLE, NO_ZONE, TWICE = range(5)
REASONS = {
    MISSING: "no time",
    UNREADABLE: "time not readable",
    NO_ZONE: "time without a zone",
    TWICE: "local time that the clock showed twice, or never",
}
# Microseconds in each unit.
UNITS = {unit: nanos / 1000 for unit, nanos in NANOS.items()}
# A date alone is no moment: shortest is 2026-11-20T10:15.
SHORTEST = 16
MINUTE_US = 59_999_999
WITHOUT_SECONDS = re.compile(r"[\d/-]{8,10}[T ]\d\d:?\d\d([Zz+-]|$)")
NUMBER = r"^\d+(\.\d*)?$"
NANO = pa.timestamp("ns")
NANO_UTC = pa.timestamp("ns", tz="UTC")


@dataclass(frozen=True)
class Moments:
    """Times that are microseconds since 1970 already. there: which of them are times at all.

    whole_seconds: their type has nothing finer.
    """

    us: Words
    there: npt.NDArray[np.bool_]
    whole_seconds: bool = False

    def taken(self, rows: npt.NDArray[np.int64]) -> Moments:
        """Return some of them."""
        return Moments(self.us[rows], self.there[rows], self.whole_seconds)


@dataclass
class Clock:
    """Reads times. unit: of numbers; None = by their magnitude. zone: of text without an offset; None = refused.

    seen: how many were read as what, so that it can be told.
    """

    unit: str | None = None
    zone: tzinfo | None = None
    seen: Counter[str] = field(default_factory=Counter)

    def read(self, values: Sequence[Any] | Moments) -> tuple[Words, Codes]:
        """Return us since 1970 of each value, and OK or why not. None, "" and what is of 1970 or before are MISSING."""
        us, codes = self._read(values)
        codes[(codes == OK) & (us < FIRST_US)] = MISSING
        return us, codes

    def widths(self, values: Sequence[Any] | Moments, us: Words, codes: Codes) -> Words:
        """Return for how many us behind it each value stands: a whole second for all of it, a minute likewise."""
        told = np.zeros(len(us), dtype=np.int64)
        whole = (codes == OK) & (us % 1_000_000 == 0)
        if isinstance(values, Moments):
            told[whole & values.whole_seconds] = SECOND_US
            return told
        known: dict[Any, int] = {}
        for row in np.flatnonzero(whole).tolist():
            value = values[row]
            if (width := known.get(value)) is None:
                width = known[value] = self._width(value, int(us[row]))
            told[row] = width
        return told

    @staticmethod
    def _width(value: Any, us: int) -> int:
        """By the spelling: 10:15:02 is a second, 10:15:02.000 a moment, and so is what is counted in smaller units."""
        if isinstance(value, int):
            return SECOND_US if value * 1_000_000 == us else 0
        if not isinstance(value, str) or "." in value or "," in value:
            return 0
        text = value.strip()
        if text.isdigit():
            return SECOND_US if int(text) * 1_000_000 == us else 0
        return MINUTE_US if WITHOUT_SECONDS.match(text) else SECOND_US

    def _read(self, values: Sequence[Any] | Moments) -> tuple[Words, Codes]:
        if isinstance(values, Moments):
            return values.us, np.where(values.there, OK, MISSING).astype(np.uint8)
        types = set(map(type, values))
        found = None
        if types == {str}:
            found = self._texts(values)
        elif types and types <= {int, float}:
            with contextlib.suppress(OverflowError):
                found = self._numbers(np.array(values, dtype=np.float64), values if types == {int} else None)
        return self._each(values) if found is None else found

    def lengths(self, values: Sequence[Any] | Moments) -> Words:
        """Return lengths in seconds as us; 0 for what is none."""
        if isinstance(values, Moments):
            return np.zeros(len(values.us), dtype=np.int64)
        told = np.zeros(len(values), dtype=np.int64)
        for row, value in enumerate(values):
            try:
                seconds = float(value)
            except (TypeError, ValueError):
                continue
            if 0 < seconds < 1e10:
                told[row] = round(seconds * 1e6)
        return told

    def _texts(self, values: Sequence[str]) -> tuple[Words, Codes] | None:
        """All at once, where all are alike; None: one by one."""
        first = values[0]
        try:
            texts = pa.array(values, pa.string())
            if first.replace(".", "", 1).isdigit():
                if not pc.all(pc.match_substring_regex(texts, NUMBER)).as_py():
                    return None
                whole = texts.cast(pa.int64()).to_pylist() if "." not in first else None
                return self._numbers(texts.cast(pa.float64()).to_numpy(zero_copy_only=False), whole)
            if pc.min(pc.binary_length(texts)).as_py() < SHORTEST:
                return None
            if self.zone is None or first.endswith(("Z", "z")) or first[-6:-5] in "+-" or first[-5:-4] in "+-":
                nanos = texts.cast(NANO_UTC)
            else:
                nanos = pc.assume_timezone(texts.cast(NANO), str(self.zone), ambiguous="raise", nonexistent="raise")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            return None
        self.seen["text"] += len(values)
        return nanos.cast(pa.int64()).to_numpy() // 1000, np.zeros(len(values), np.uint8)

    def _numbers(self, values: npt.NDArray[np.float64], whole: Sequence[int] | None) -> tuple[Words, Codes]:
        """By unit. whole: the same as integers, where they are: nanoseconds have more digits than a float."""
        told, codes = np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.uint8)
        codes[~np.isfinite(values)] = UNREADABLE
        size = np.abs(np.where(codes == OK, values, 0))
        low = 0.0
        for limit, unit in LIMITS if self.unit is None else ((math.inf, self.unit),):
            mine = (size >= low) & (size < limit) & (codes == OK)
            low = limit
            if not mine.any():
                continue
            self.seen[unit] += int(mine.sum())
            us = np.rint(values[mine] * UNITS[unit]) if unit != "ns" or whole is None else None
            if us is None:
                us = np.array([one // 1000 for one, is_mine in zip(whole or (), mine, strict=True) if is_mine], float)
            far = np.abs(us) >= (LAST_NUMBER_US if self.unit is None else AFTER_ALL)
            rows = np.flatnonzero(mine)
            codes[rows[far]] = UNREADABLE
            told[rows] = np.where(far, 0, us).astype(np.int64)
        return told, codes

    def _each(self, values: Sequence[Any]) -> tuple[Words, Codes]:
        told, codes = np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.uint8)
        for row, value in enumerate(values):
            told[row], codes[row] = self._one(value)
        return told, codes

    def _one(self, value: Any) -> tuple[int, int]:
        if isinstance(value, str):
            return self._text(value.strip())
        if isinstance(value, datetime):
            return self._moment(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return 0, UNREADABLE if isinstance(value, (bool, list, dict, bytes)) else MISSING
        return self._number(value)

    def _number(self, value: float) -> tuple[int, int]:
        try:
            us, codes = self._numbers(np.array([value], dtype=np.float64), [value] if isinstance(value, int) else None)
        except OverflowError:
            return 0, UNREADABLE
        return int(us[0]), int(codes[0])

    def _text(self, text: str) -> tuple[int, int]:
        if not text or text == "-":
            return 0, MISSING
        if text.replace(".", "", 1).isdigit() and text.isascii():
            return self._number(float(text) if "." in text or len(text) > 25 else int(text))
        if len(text) < SHORTEST:
            return 0, UNREADABLE
        try:
            return self._moment(datetime.fromisoformat(text.replace("/", "-")))
        except ValueError:
            return 0, MISSING if NO_MOMENT.match(text) else UNREADABLE

    def _moment(self, moment: datetime) -> tuple[int, int]:
        if moment.year <= 1970:
            return 0, MISSING
        if moment.tzinfo is None:
            if self.zone is None:
                return 0, NO_ZONE
            if _unsure(moment, self.zone):
                return 0, TWICE
            moment = moment.replace(tzinfo=self.zone)
        self.seen["text"] += 1
        return (moment - EPOCH) // timedelta(microseconds=1), OK


def _unsure(moment: datetime, zone: tzinfo) -> bool:
    """Say whether a local time stands for two moments, or for none."""
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return first.utcoffset() != second.utcoffset() or first.astimezone(UTC).astimezone(zone) != first

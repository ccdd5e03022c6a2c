"""When each record of a log was: of the first of its times that can be read, as widely as that time is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from enrich.naming.uncertain_times import ANYWHERE, Windows
from enrich.naming.verdicts import NamingOptions
from whowas.annotation.known_logs import Span
from whowas.annotation.times import MISSING, OK, Clock, Codes, Moments
from whowas.arrays import Flags, Words

Column = Sequence[Any] | Moments
Get = Callable[[str], Column]
Rows = npt.NDArray[np.int64]
EXPORT_US = int(NamingOptions.export_seconds * 1e6)


@dataclass
class When:
    """(n,) start and end in us since 1970, OK or why not, and how far before and after packets may lie.

    loose: they lie anywhere between. exported: the time is that of the export.
    """

    starts: Words
    ends: Words
    codes: Codes
    before: Words
    after: Words
    loose: Flags
    exported: Flags

    @classmethod
    def of(cls, size: int) -> When:
        """Return as many records without a time."""
        numbers = [np.zeros(size, dtype=np.int64) for _ in range(4)]
        flags = [np.zeros(size, dtype=np.bool_) for _ in range(2)]
        return cls(numbers[0], numbers[1], np.full(size, MISSING, dtype=np.uint8), numbers[2], numbers[3], *flags)

    @classmethod
    def always(cls, size: int, at_us: int) -> When:
        """Return the moment that a person gave for all records: it is meant as it stands."""
        made = cls.of(size)
        made.starts[:] = made.ends[:] = at_us
        made.codes[:] = OK
        return made

    def windows(self, rows: Rows) -> Windows:
        """Return where the packets of some records lie."""
        around = Windows.around(self.starts[rows], self.ends[rows], self.before[rows], self.after[rows])
        loose, exported = self.loose[rows], self.exported[rows]
        first_high = np.where(loose, around.last_high, around.first_high)
        return Windows(
            around.starts, around.first_low, first_high, around.last_low, around.last_high,
            loose if loose.any() else None, exported if exported.any() else None,
        )  # fmt: skip

    def take(self, rows: Rows, span: Span, first: Column, last: Column | None, clock: Clock) -> None:
        """Fill records by what they have in the fields of a span."""
        starts, codes = clock.read(first)
        ends, widths = starts, clock.widths(first, starts, codes)
        if span.end and last is not None:
            late, fits = clock.read(last)
            ends = np.where(fits == OK, late, starts)
            widths = np.maximum(widths, clock.widths(last, late, fits))
        elif last is not None:
            ends = starts + clock.lengths(last)
        bounds = span.bounds
        self.starts[rows], self.ends[rows], self.codes[rows] = np.minimum(starts, ends), np.maximum(starts, ends), codes
        self.before[rows] = EXPORT_US if bounds.before_us is None else bounds.before_us
        self.after[rows] = np.maximum(widths, bounds.after_us)
        # First and last exchanged: whichever is which, the packets lie between.
        self.loose[rows] = (ends < starts) | (bounds.basis in ANYWHERE)
        self.exported[rows] = bounds.basis == "export"


def when(clock: Clock, spans: Sequence[Span], get: Get, size: int) -> When:
    """Return when each record was, by the first span that it has and that can be read."""
    found = When.of(size)
    for span in spans:
        rows = np.flatnonzero(found.codes != OK)
        first = get(span.start)
        last = get(span.end or span.length) if span.end or span.length else None
        here = _present(first) & (_present(last) if last is not None else True)
        rows = rows[here[rows]]
        if len(rows):
            found.take(rows, span, _taken(first, rows), None if last is None else _taken(last, rows), clock)
        if (found.codes == OK).all():
            break
    return found


def _present(values: Column) -> npt.NDArray[np.bool_]:
    """Say which values are there at all."""
    if isinstance(values, Moments):
        return values.there
    if UNSET not in values and None not in values:
        return np.ones(len(values), dtype=bool)
    return np.array([value is not UNSET and value is not None for value in values], dtype=bool)


def _taken(values: Column, rows: Rows) -> Column:
    if isinstance(values, Moments):
        return values.taken(rows)
    return values if len(rows) == len(values) else [values[row] for row in rows.tolist()]

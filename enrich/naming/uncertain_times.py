"""Between which times the packets of a flow lie: by the record's own times, and by how little it means them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enrich.history.history import ClusterHistory
from enrich.naming.verdicts import EXACT, EXPORTED, EXTERNAL, LIKELY, NO_TIME, PLAIN, UNKNOWN, Verdicts, looked
from whowas.arrays import Flags, Words

# Of these the packets may lie anywhere from the first time to the last; of others at both.
ANYWHERE = ("window", "receive", "export")


@dataclass(frozen=True)
class Windows:
    """Where the first and the last packet of each row lie: (n,) int64 us since 1970, both ends counted.

    starts: the rows' own times. loose: packets lie anywhere from first_low to last_high, and first_high is last_high;
    exported: known by their export alone; untold: no time at all. None: no row is.
    """

    starts: Words
    first_low: Words
    first_high: Words
    last_low: Words
    last_high: Words
    loose: Flags | None = None
    exported: Flags | None = None
    untold: Flags | None = None

    @classmethod
    def around(cls, starts: Words, ends: Words, before: Words | None = None, after: Words | None = None) -> Windows:
        """Return the windows of times that lie up to `before` after the packets, or `after` before them (us)."""
        first_low, last_low = (starts, ends) if before is None else (starts - before, ends - before)
        first_high, last_high = (starts, ends) if after is None else (starts + after, ends + after)
        return cls(starts, first_low, first_high, last_low, last_high)


def windows_of(flows: Any, export_us: int) -> Windows:
    """Return the windows of a batch of flow_schema. export_us: how long before its export a flow may have been."""
    starts, ends = (_numbers(flows[name]) for name in ("start_time", "end_time"))
    loose, exported = _bases(flows["time_basis"])
    before, after = _widths(flows["time_before"]), _widths(flows["time_after"])
    if exported is not None:
        before = _numbers(_told_before(flows, exported, export_us))
    untold = None
    if flows["start_time"].null_count:
        untold = flows["start_time"].is_null().to_numpy(zero_copy_only=False)
    around = Windows.around(starts, ends, before, after)
    first_high = around.first_high if loose is None else np.where(loose, around.last_high, around.first_high)
    return Windows(
        starts, around.first_low, first_high, around.last_low, around.last_high, loose, exported, untold
    )  # fmt: skip


def told_before(flows: Any, windows: Windows, export_us: int) -> Any:
    """Return time_before with the time of an export, which only naming knows, filled in."""
    return flows["time_before"] if windows.exported is None else _told_before(flows, windows.exported, export_us)


def _told_before(flows: Any, exported: Flags, export_us: int) -> Any:
    filled = pc.fill_null(flows["time_before"], export_us)
    return pc.if_else(pa.array(exported), filled, flows["time_before"])


def _numbers(column: Any) -> Words:
    numbers: Words = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return numbers


def _widths(column: Any) -> Words | None:
    """Widths; None where all are nought, as those of captures are."""
    if column.null_count == len(column):
        return None
    widths = _numbers(column)
    return widths if widths.any() else None


def _bases(column: Any) -> tuple[Flags | None, Flags | None]:
    """Which rows lie anywhere in their time, and which are known by their export."""
    words = [*column.dictionary.to_pylist(), None]
    if not any(word in ANYWHERE for word in words):
        return None, None
    index = column.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    loose = np.array([word in ANYWHERE for word in words])[index]
    exported = np.array([word == "export" for word in words])[index]
    return (loose if loose.any() else None), (exported if exported.any() else None)


def lower(history: ClusterHistory, windows: Windows, verdicts: Verdicts) -> None:
    """Take back what is more certain than the times are."""
    codes, why = verdicts.codes, verdicts.why
    if windows.loose is not None:
        # Where nobody looked at a part of the time, nobody is certain.
        rows = np.flatnonzero(windows.loose & (codes == EXACT))
        blind = looked(history, windows.first_low[rows], windows.last_high[rows]) != PLAIN
        codes[rows[blind]] = LIKELY
    if windows.exported is not None:
        rows = np.flatnonzero(windows.exported & (codes == EXACT))
        codes[rows], why[rows] = LIKELY, EXPORTED
    if windows.untold is not None:
        # What lies outside the cluster lies there at any time.
        rows = np.flatnonzero(windows.untold & (codes != EXTERNAL))
        codes[rows], why[rows], verdicts.holds[rows] = UNKNOWN, NO_TIME, -1
        verdicts.found.holds[rows], verdicts.found.counts[rows, :3] = -1, 0

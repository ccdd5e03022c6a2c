"""What it tells of an end that it sent a packet of its own, or none at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from enrich.naming.uncertain_times import Windows
from enrich.naming.verdicts import AMBIGUOUS, LIKELY, SILENT, Verdicts
from whowas.arrays import Flags

OTHER = {"src": "in", "dst": "out"}
OWN = {"src": "out", "dst": "in"}


def own_windows(flows: Any, side: str, windows: Windows) -> Windows:
    """Return the windows in which an end is judged: from its own first packet on, before which it need not be there.

    Where an end sent nothing of its own, or nobody told, they are those of the flow.
    """
    spoke = flows[f"{side}_spoke_time"]
    if spoke.null_count == len(spoke):
        return windows
    when = pc.fill_null(spoke.cast("int64"), 0).to_numpy(zero_copy_only=False)
    told: Flags = pc.is_valid(spoke).to_numpy(zero_copy_only=False)
    low, high = np.where(told, when, windows.first_low), np.where(told, when, windows.first_high)
    return replace(windows, first_low=low, first_high=high)


def silent(flows: Any, side: str) -> Flags:
    """Return which ends sent no packet, as somebody says who counted all of both directions.

    Where nothing was counted in either direction nothing is known; of a sample, and of one direction, neither.
    """
    own, other = (
        pc.fill_null(flows[f"packets_{way[side]}"], -1).to_numpy(zero_copy_only=False) for way in (OWN, OTHER)
    )
    found: Flags = (own == 0) & (other > 0)
    if found.any():
        found &= pc.fill_null(pc.equal(flows["directionality"], "bi"), False).to_numpy(zero_copy_only=False)
        found &= pc.fill_null(flows["sampling_rate"], 0).to_numpy(zero_copy_only=False) == 1
    return found


def doubt(verdicts: Verdicts, silent_ends: Flags) -> None:
    """Name no pod as likely for an end that sent nothing: mostly nobody had the address any more. It is listed."""
    rows = silent_ends & (verdicts.codes == LIKELY)
    verdicts.codes[rows], verdicts.holds[rows], verdicts.why[rows] = AMBIGUOUS, -1, SILENT

"""What it tells of an end that it sent a packet of its own, or none at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from enrich.history.history import ClusterHistory
from enrich.holds.derive import POD
from enrich.holds.pod_track import PUBLISHED_WITHIN
from enrich.naming.uncertain_times import Windows
from enrich.naming.verdicts import AMBIGUOUS, EXACT, LIKELY, PLAIN, SILENT, SPOKE, Verdicts, looked
from whowas.arrays import Flags, Octets, Words
from whowas.timestamps import AFTER_ALL

OTHER = {"src": "in", "dst": "out"}
OWN = {"src": "out", "dst": "in"}
RST, ACK = 0x04, 0x10
# No TCP waits less before it sends once more (Linux: TCP_RTO_MIN), us.
ASKED_AGAIN = 200_000


def own_windows(flows: Any, side: str, windows: Windows) -> tuple[Windows, Flags]:
    """Return the windows in which an end is judged, and whether they begin with its own first packet.

    Before that it need not be there. Where an end sent nothing of its own, or nobody told, they are those of the flow.
    """
    spoke = flows[f"{side}_spoke_time"]
    if spoke.null_count == len(spoke):
        return windows, np.zeros(len(windows.starts), dtype=bool)
    when = pc.fill_null(spoke.cast("int64"), 0).to_numpy(zero_copy_only=False)
    told: Flags = pc.is_valid(spoke).to_numpy(zero_copy_only=False)
    low, high = np.where(told, when, windows.first_low), np.where(told, when, windows.first_high)
    return replace(windows, first_low=low, first_high=high), told


def silent(flows: Any, side: str) -> Flags:
    """Return which ends sent no packet of their own, as somebody says who counted all of both directions.

    Where nothing was counted in either direction nothing is known; of a sample, and of one direction, neither.
    """
    own, other = (
        pc.fill_null(flows[f"packets_{way[side]}"], -1).to_numpy(zero_copy_only=False) for way in (OWN, OTHER)
    )
    found: Flags = ((own == 0) | _refused(flows, side, other)) & (other > 0)
    if found.any():
        found &= pc.fill_null(pc.equal(flows["directionality"], "bi"), False).to_numpy(zero_copy_only=False)
        found &= pc.fill_null(flows["sampling_rate"], 0).to_numpy(zero_copy_only=False) == 1
    return found


def _refused(flows: Any, side: str, other: Words) -> Flags:
    """Return which ends only refused, after they had been asked again: by then it may have been their next holder."""
    flags = pc.fill_null(flows[f"tcp_flags_{OWN[side]}"], 0).to_numpy(zero_copy_only=False)
    found: Flags = (flags & RST != 0) & (flags & ~np.uint16(RST | ACK) == 0) & (other > 1)
    if found.any():
        found &= flows[f"{side}_spoke_time"].is_null().to_numpy(zero_copy_only=False)
        lasted = pc.subtract(flows["end_time"].cast("int64"), flows["start_time"].cast("int64"))
        found &= pc.fill_null(lasted, 0).to_numpy(zero_copy_only=False) >= ASKED_AGAIN
    return found


def believe(
    history: ClusterHistory, verdicts: Verdicts, addresses: Octets, when: Words, spoke: Flags, side: str, skew: int
) -> None:
    """Call a likely pod exact where a packet came from the address, and nobody else can have sent it.

    Somebody looked then and PUBLISHED_WITHIN before and after, so that another holder would have been told of; no pod
    of unknown address may have been there; and the pod stood still: after its end, its deletion or the loss of its
    sandbox was told, proxies may go on in its name. Some answer for an address that is nobody's yet (Cilium's, before
    they call it), so that an end that only answers must have begun for certain.

    Args: addresses: (n, 16). when: at which they were judged. spoke: a packet of their own was seen then.
    """
    found = verdicts.found.counts
    rows = np.flatnonzero(spoke & (verdicts.codes == LIKELY) & (verdicts.why == PLAIN) & (found[:, 0] == 1))
    holds, times = verdicts.holds[rows], when[rows]
    fine = ~history.conflicts[holds] & (times + skew < history.told[holds]) & (history.kinds[holds] == POD)
    begun = history.bounds[holds, 1]
    fine &= (begun < AFTER_ALL) if side == "src" else (begun <= times - skew)
    for moment in (times - skew - PUBLISHED_WITHIN, times, times + skew + PUBLISHED_WITHIN):
        fine &= looked(history, moment, moment) == PLAIN
    rows = rows[fine]
    for hold in np.unique(verdicts.holds[rows]):
        mine = rows[verdicts.holds[rows] == hold]
        node = history.entities[history.entity_of[hold]].node
        sure = mine[~history.untold.possible(node, addresses[mine[0]].tobytes(), when[mine], skew)]
        verdicts.codes[sure], verdicts.why[sure] = EXACT, SPOKE


def doubt(verdicts: Verdicts, silent_ends: Flags) -> None:
    """Name no pod as likely for an end that sent nothing: mostly nobody had the address any more. It is listed."""
    rows = silent_ends & (verdicts.codes == LIKELY)
    verdicts.codes[rows], verdicts.holds[rows], verdicts.why[rows] = AMBIGUOUS, -1, SILENT

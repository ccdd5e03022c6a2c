"""Words the reason of each name; no number of a single flow is in it."""

from __future__ import annotations

from datetime import UTC, datetime

from enrich.history.history import ClusterHistory
from enrich.naming.verdicts import (
    AFTER_HISTORY,
    AMBIGUOUS,
    AT_NODE,
    AT_SERVICE,
    BEFORE_HISTORY,
    BY_PORT,
    CHANGED,
    CONFLICT,
    EDGE,
    EXACT,
    EXPORTED,
    EXTERNAL,
    GATEWAY,
    HOST_PORT,
    IN_GAP,
    LIKELY,
    NO_TIME,
    NODE_PORT,
    NONE,
    NOT_WATCHED,
    OTHER_VNI,
    OUTER,
    RENEWED,
    SERVICE_PORT,
    SEVERAL_VNIS,
    SILENT,
    SNAT,
    SPOKE,
    TOO_FRESH,
    UNKNOWN,
    spans,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Years 1 to 9999, as datetime knows them.
FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_800_000_000

BLIND = {
    IN_GAP: "the history has a gap at that time",
    BEFORE_HISTORY: "the history begins later",
    AFTER_HISTORY: "the history ends earlier",
    NOT_WATCHED: "nobody was watching at that time",
    NO_TIME: "the record tells no time",
    TOO_FRESH: "the history ends too soon after: a holder may not have been reported yet",
}


def clock(us: int | None, other: str = "?") -> str:
    """Time of day in UTC, milliseconds."""
    if us is None or not FIRST_US <= us < LAST_US:
        return other
    seconds, milliseconds = divmod(us // 1000, 1000)
    hours, seconds = divmod(seconds % 86_400, 3600)
    return f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}.{milliseconds:03}"


def reason(history: ClusterHistory, code: int, row: int, why: int, inside: str = "") -> str:
    """Return the reason in words. row: the hold, or -1. inside: what Ranges.what says of an address nobody held."""
    if why == OTHER_VNI:
        return "seen in a network (VNI) that is not the cluster's"
    if why == SEVERAL_VNIS:
        return "several VNIs were seen: say which are the cluster's (--vni), or any"
    if code in (EXACT, LIKELY):
        return _pod_reason(history, code, row, why)
    if why == CHANGED:
        return "one held it at the start of the flow, another by its end"
    if why == SILENT:
        return "no packet of its own came from the address: it may have been held by one pod, or by nobody"
    if code == AMBIGUOUS:
        return "holders contradict each other" if why == CONFLICT else "several may have held it then"
    if code == UNKNOWN:
        return BLIND.get(why, "nobody was watching at that time")
    if code == SNAT:
        return "a node's address: masqueraded pods may stand behind it, the pod is not known"
    if code == AT_NODE and why == GATEWAY:
        return "the first address of a node's pod range: most network plugins give it to the node, no object says so"
    if code == AT_NODE:
        return (
            "a node's address, outside a tunnel: who spoke inside is not told" if why == OUTER else "a node's address"
        )
    if code == AT_SERVICE:
        if why == NODE_PORT:
            return "a node port of the service"
        if why == SERVICE_PORT:
            return "others have the address too: the port is the service's"
        return "the service's address, near its creation or deletion" if why == EDGE else "the service's address"
    if code == EXTERNAL:
        return "outside the cluster"
    assert code == NONE
    if inside == "private":
        return "no object of the cluster held it; a networks file can name its range"
    return "nobody held it then"


def _pod_reason(history: ClusterHistory, code: int, row: int, why: int) -> str:
    low, sure, end, high = spans(history, row)
    if why == BY_PORT:
        return "a node's address, and the only host-network pod that declares this port"
    if why == HOST_PORT:
        return "a node's address, and the only pod on that node with this host port"
    note = history.entities[history.entity_of[row]].note
    tail = f"; {note}" if note else ""
    if why == RENEWED:
        return f"one pod, in one of two sandboxes of its own: its address was given back and taken again{tail}"
    if why == EXPORTED:
        return f"one possible holder at the time of export; when the flow was, the record does not tell{tail}"
    if why == SPOKE:
        return (
            f"one possible holder, and a packet came from the address: start {clock(low)} .. {clock(sure)}, "
            f"end {clock(end, 'unknown')} .. {clock(high, 'open')} UTC{tail}"
        )
    if code == EXACT:
        return f"one holder, certain {clock(sure)} .. {clock(end, 'on')} UTC{tail}"
    return (
        f"one possible holder: start {clock(low)} .. {clock(sure, 'unknown')}, "
        f"end {clock(end, 'unknown')} .. {clock(high, 'open')} UTC{tail}"
    )


def candidate_reason(history: ClusterHistory, row: int) -> str:
    """Why this one may have held the address."""
    low, sure, end, high = spans(history, row)
    return f"possible {clock(low)} .. {clock(high, 'open')}, certain {clock(sure)} .. {clock(end)} UTC"

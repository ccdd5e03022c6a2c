"""Words the reason of each name; no number of a single flow is in it."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from functools import lru_cache

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
    IN_TUNNEL,
    LIKELY,
    NO_TIME,
    NODE_PORT,
    NONE,
    NOT_WATCHED,
    OTHER_VNI,
    OUTER,
    PORT_EDGE,
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
from whowas.timestamps import EPOCH, spell

# Years 1 to 9999, as datetime knows them.
FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_800_000_000
DAY_US = 86_400_000_000

BLIND = {
    IN_GAP: "the history has a gap at that time",
    BEFORE_HISTORY: "the history begins later",
    AFTER_HISTORY: "the history ends earlier",
    NOT_WATCHED: "nobody was watching at that time",
    NO_TIME: "the record tells no time",
    TOO_FRESH: "the history ends too soon after: a holder may not have been reported yet",
}


class Times:
    """Spells the times of one sentence: the date with the first, and again where it is another."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone, self._date = zone, ""
        self._names: dict[str, None] = {}

    def at(self, us: int | None, other: str = "?") -> str:
        """A moment to the millisecond; `other` where there is none."""
        if us is None or not FIRST_US + DAY_US <= us < LAST_US - DAY_US:
            return other
        date, clock, name = _utc(us) if self._zone is UTC else _local(us, self._zone)
        self._names[name] = None
        if date == self._date:
            return clock
        self._date = date
        return f"{date} {clock}"

    def between(self, low: int | None, high: int | None, no_low: str = "?", no_high: str = "?") -> str:
        """Both ends of a stretch of time."""
        return f"{self.at(low, no_low)} .. {self.at(high, no_high)}"

    def zone(self) -> str:
        """The zone of what was spelled; two where the clocks were changed in between."""
        return "/".join(self._names) or "UTC"


def _utc(us: int) -> tuple[str, str, str]:
    """By plain numbers: of a batch of flows this is spelled a million times."""
    days, rest = divmod(us // 1000, 86_400_000)
    seconds, milliseconds = divmod(rest, 1000)
    hours, seconds = divmod(seconds, 3600)
    return _date(days), f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}.{milliseconds:03}", "UTC"


@lru_cache(maxsize=4096)
def _date(days: int) -> str:
    return (EPOCH + timedelta(days=days)).strftime("%Y-%m-%d")


def _local(us: int, zone: tzinfo) -> tuple[str, str, str]:
    date, clock, name = spell(us, zone, 3).split(" ", 2)
    return date, clock, name


def reason(history: ClusterHistory, code: int, row: int, why: int, inside: str = "", zone: tzinfo = UTC) -> str:
    """Return the reason in words.

    Args: row: the hold, or -1. inside: what Ranges.what says of an address nobody held. zone: in which times are told.
    """
    if why == OTHER_VNI:
        return "seen in a network (VNI) that is not the cluster's"
    if why == SEVERAL_VNIS:
        return "several VNIs were seen: say which are the cluster's (--vni), or any"
    if why == IN_TUNNEL:
        return "inside a tunnel that does not say whose network it carries: --vni any, if all are the cluster's"
    if code in (EXACT, LIKELY):
        return _pod_reason(history, code, row, why, zone)
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
        if why == PORT_EDGE:
            return "others have the address too: the port is the service's, but not for certain then"
        return _service_edge(history, row, zone) if why == EDGE else "the service's address"
    if code == EXTERNAL:
        return "outside the cluster"
    assert code == NONE
    if inside == "private":
        return "no object of the cluster held it; a networks file can name its range"
    return "nobody held it then"


def _service_edge(history: ClusterHistory, row: int, zone: tzinfo) -> str:
    """Nobody saw that it was there then: what is known is told, not guessed."""
    return f"the service's address, but not for certain then: {_bounds(history, row, zone)}"


def _bounds(history: ClusterHistory, row: int, zone: tzinfo) -> str:
    """Within what a hold began and ended."""
    low, sure, end, high = spans(history, row)
    times = Times(zone)
    start = times.between(low, sure, "unknown", "unknown")
    return f"start {start}, end {times.between(end, high, 'unknown', 'open')} {times.zone()}"


def _pod_reason(history: ClusterHistory, code: int, row: int, why: int, zone: tzinfo) -> str:
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
        return f"one possible holder, and a packet came from the address: {_bounds(history, row, zone)}{tail}"
    if code == EXACT:
        _, sure, end, _ = spans(history, row)
        times = Times(zone)
        return f"one holder, certain {times.between(sure, end, '?', 'on')} {times.zone()}{tail}"
    return f"one possible holder: {_bounds(history, row, zone)}{tail}"


def candidate_reason(history: ClusterHistory, row: int, zone: tzinfo = UTC) -> str:
    """Why this one may have held the address."""
    low, sure, end, high = spans(history, row)
    times = Times(zone)
    possible = f"possible {times.between(low, high, 'since an unknown time', 'open')}"
    if sure is None or end is None or sure >= end:
        return f"{possible} {times.zone()}, never certain"
    return f"{possible}, certain {times.between(sure, end)} {times.zone()}"

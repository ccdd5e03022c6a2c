"""Answers for people: who held an address at a moment, its timeline, and where a workload was."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import numpy as np

from enrich.history.entities import KIND_WORDS, Entity
from enrich.history.history import ClusterHistory, History
from enrich.holds.derive import Hold
from enrich.holds.versions import Version
from enrich.naming.name_columns import NameTable
from enrich.naming.networks import Network, Ranges, plain
from enrich.naming.ports import Openings, decide_by_port, undecided
from enrich.naming.reasons import candidate_reason, reason
from enrich.naming.verdicts import (
    AMBIGUOUS,
    EXACT,
    EXTERNAL,
    LIKELY,
    NONE,
    UNKNOWN,
    NamingOptions,
    Verdicts,
    judge,
    spans,
)
from whowas.addresses import address16
from whowas.errors import ConfigError
from whowas.schema import CONFIDENCES
from whowas.timestamps import EPOCH, rfc3339, utc

Port = tuple[int, str]
Bounds = tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True)
class HoldView:
    """One hold in words. Bounds are aware datetimes in UTC, None = open: start in [start_min, start_max), end alike."""

    cluster: str
    address: str
    kind: str
    namespace: str
    name: str
    uid: str
    workload: str
    workload_kind: str
    node: str
    zone: str
    start_min: datetime | None
    start_max: datetime | None
    end_min: datetime | None
    end_max: datetime | None
    conflict: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    services: str = ""
    images: tuple[str, ...] = ()
    service_account: str = ""
    source: str = ""

    def full_name(self) -> str:
        """namespace/name, or the name of what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Answer:
    """Who held an address at a moment, how sure that is and why. `holder` is None unless one is named.

    at, known_until: aware, UTC; what came after known_until nobody has told yet (None: nobody ever watched).
    port: `8080/tcp` where that was asked of. network: the name of a range outside the cluster.
    """

    address: str
    at: datetime
    cluster: str
    confidence: str
    reason: str
    holder: HoldView | None = None
    network: str = ""
    candidates: tuple[HoldView, ...] = ()
    candidate_reasons: tuple[str, ...] = ()
    previous: HoldView | None = None
    following: HoldView | None = None
    port: str = ""
    known_until: datetime | None = None


def view(history: ClusterHistory, row: int, at_us: int | None = None) -> HoldView:
    """Put a hold into words, its holder as it was at a moment, or at the hold's start."""
    hold, entity = history.holds[row], history.entities[history.entity_of[row]]
    low, sure, end, high = spans(history, row)
    when = at_us if at_us is not None else min(max(hold.start_max, hold.start_min), hold.end_max)
    version = history.states.then(int(history.entity_of[row]), when)
    return _fill(history.name, hold, entity, version, (low, sure, end, high))


def _fill(cluster: str, hold: Hold, one: Entity, version: Version, bounds: Bounds) -> HoldView:
    low, sure, end, high = (None if us is None else utc(us) for us in bounds)
    return HoldView(
        cluster, str(plain(hold.ip)), KIND_WORDS[one.kind], one.namespace, one.name, one.uid, one.workload,
        one.workload_kind, one.node, version.zone, low, sure, end, high, hold.conflict, dict(version.labels),
        version.services, version.images, one.service_account, hold.source,
    )  # fmt: skip


def who_at(
    history: History,
    address: str,
    at_us: int,
    options: NamingOptions | None = None,
    *,
    port: Port | None = None,
    zone: tzinfo = UTC,
) -> Answer:
    """Say who held `address` at `at_us` (us since 1970, UTC).

    Args: port: number and protocol, which decide where several have the address: a node, its pods, Services.
        zone: in which the reason tells times.
    Raises: ConfigError for what is no address.
    """
    told = options or NamingOptions()
    known, octets = history.cluster(told.cluster), packed(address)
    verdicts = _judged(known, octets, at_us, int(told.sensor_skew_seconds * 1e6), port)
    code, row, why = int(verdicts.codes[0]), int(verdicts.holds[0]), int(verdicts.why[0])
    what, network = "", ""
    if not verdicts.found.counts[0, :3].any():
        what, network = Ranges(told.networks, known.ranges).what(octets)
        code = EXTERNAL if what == "external" and verdicts.found.counts[0, 3] < 0 else code
    rows = [int(one) for one in verdicts.found.holds[0] if one >= 0]
    others = [one for one in rows if one != row] if code not in (EXACT, LIKELY) else []
    before, after = _neighbours(known, octets, at_us, {*rows})
    return Answer(
        address=str(plain(octets)),
        at=utc(at_us),
        cluster=known.name,
        confidence=CONFIDENCES[code],
        reason=reason(known, code, row, why, what, zone),
        holder=view(known, row, at_us) if row >= 0 and code not in (AMBIGUOUS, UNKNOWN, NONE) else None,
        network=network,
        candidates=tuple(view(known, one, at_us) for one in others),
        candidate_reasons=tuple(candidate_reason(known, one, zone) for one in others),
        previous=before,
        following=after,
        port="" if port is None else f"{port[0]}/{port[1]}",
        known_until=utc(known.covered[-1][1]) if known.covered else None,
    )


def _judged(known: ClusterHistory, octets: bytes, at_us: int, skew_us: int, port: Port | None) -> Verdicts:
    """The same rules as for flows, for one address at one moment."""
    moment = np.array([at_us])
    verdicts = judge(known, np.frombuffer(octets, np.uint8).reshape(1, 16), moment, moment, skew_us)
    rows = undecided(verdicts)
    if port is not None and len(rows):
        keys = np.array([port[0]]), np.array([0]), [port[1]]
        openings = Openings(known, NameTable(known, [], None))
        decide_by_port(openings, verdicts, rows, keys, moment - skew_us, moment + skew_us)
    return verdicts


def packed(address: str) -> bytes:
    """Return an address in 16 bytes. Raises: ConfigError."""
    octets = address16(address)
    if octets is None:
        raise ConfigError(f"cannot look up '{address}': no IPv4 or IPv6 address; write it like 10.244.1.12 or fd00::1")
    return octets


def _neighbours(
    history: ClusterHistory, octets: bytes, at_us: int, mine: set[int]
) -> tuple[HoldView | None, HoldView | None]:
    """The holders before and after: who is asked about is rarely the whole story of an address."""
    rows = [row for row in history.rows_on(octets) if row not in mine]
    before = [row for row in rows if history.holds[row].end_max <= at_us]
    after = [row for row in rows if history.holds[row].start_min > at_us]
    last = max(before, key=lambda row: history.holds[row].end_max, default=None)
    following = min(after, key=lambda row: history.holds[row].start_min, default=None)
    return (
        None if last is None else view(history, last),
        None if following is None else view(history, following),
    )


def timeline(
    history: History, address: str, cluster: str | None = None, networks: tuple[Network, ...] = ()
) -> list[HoldView]:
    """Return every hold on an address, oldest first, of one cluster or of all. Raises: ConfigError.

    An address that nobody ever held and that lies in one of `networks` is of kind `external`, under the range's name.
    """
    octets = packed(address)
    several = history.several(cluster)
    held = [view(one, row) for one in several for row in one.rows_on(octets)]
    outside = [] if held else [(one.name, Ranges(networks, one.ranges).what(octets)) for one in several]
    named = [_external(cluster, octets, network) for cluster, (what, network) in outside if what == "external"]
    return held or [one for one in named if one.name]


def _external(cluster: str, octets: bytes, network: str) -> HoldView:
    return HoldView(cluster, str(plain(octets)), "external", "", network, "", "", "", "", "", None, None, None, None)


def to_json(told: Any) -> Any:
    """Turn an Answer, a HoldView or a list of them into plain values with stable keys; times as RFC 3339."""
    if isinstance(told, (list, tuple)):
        return [to_json(one) for one in told]
    if isinstance(told, datetime):
        return rfc3339((told - EPOCH) // timedelta(microseconds=1))
    if not isinstance(told, (Answer, HoldView)):
        return told
    return {name: to_json(getattr(told, name)) for name in told.__dataclass_fields__}


__all__ = ["Answer", "HoldView", "packed", "timeline", "to_json", "view", "who_at"]

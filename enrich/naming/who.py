"""Answers for people: who held an address at a moment, its timeline, and where a workload was."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from enrich.history.entities import KIND_WORDS, Entity
from enrich.history.history import ClusterHistory, History
from enrich.holds.derive import Hold
from enrich.holds.versions import Version
from enrich.naming.name_columns import candidate
from enrich.naming.networks import Ranges, plain
from enrich.naming.reasons import reason
from enrich.naming.verdicts import AMBIGUOUS, EXACT, EXTERNAL, LIKELY, NONE, UNKNOWN, NamingOptions, judge, spans
from whowas.addresses import address16
from whowas.errors import ConfigError
from whowas.schema import CONFIDENCES
from whowas.timestamps import EPOCH, rfc3339, utc

Bounds = tuple[int | None, int | None, int | None, int | None]
BOUNDS = ("start_min", "start_max", "end_min", "end_max")


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


def _view(history: ClusterHistory, row: int, at_us: int | None = None) -> HoldView:
    hold, entity = history.holds[row], history.entities[history.entity_of[row]]
    low, sure, end, high = spans(history, row)
    when = at_us if at_us is not None else min(max(hold.start_max, hold.start_min), hold.end_max)
    version = history.states.then(int(history.entity_of[row]), when)
    return _fill(history.name, hold, entity, version, (low, sure, end, high))


def _fill(cluster: str, hold: Hold, one: Entity, version: Version, bounds: Bounds) -> HoldView:
    times = [None if us is None else utc(us) for us in bounds]
    return HoldView(
        cluster, str(plain(hold.ip)), KIND_WORDS[one.kind], one.namespace, one.name, one.uid, one.workload,
        one.workload_kind, one.node, version.zone, *times, hold.conflict, dict(version.labels), version.services,
        version.images, one.service_account, hold.source,
    )  # fmt: skip


def who_at(history: History, address: str, at_us: int, options: NamingOptions | None = None) -> Answer:
    """Say who held `address` at `at_us` (us since 1970, UTC). Raises: ConfigError for what is no address."""
    told = options or NamingOptions()
    known, packed = history.cluster(told.cluster), _packed(address)
    moment, skew_us = np.array([at_us]), int(told.sensor_skew_seconds * 1e6)
    verdicts = judge(known, np.frombuffer(packed, np.uint8).reshape(1, 16), moment, moment, skew_us)
    code, row, why = int(verdicts.codes[0]), int(verdicts.holds[0]), int(verdicts.why[0])
    what, network = "", ""
    if not verdicts.found.counts[0, :3].any():
        what, network = Ranges(told.networks, known.ranges).what(packed)
        code = EXTERNAL if what == "external" and verdicts.found.counts[0, 3] < 0 else code
    rows = [int(one) for one in verdicts.found.holds[0] if one >= 0]
    others = [one for one in rows if one != row]
    before, after = _neighbours(known, packed, at_us, {*rows})
    return Answer(
        address=str(plain(packed)),
        at=utc(at_us),
        cluster=known.name,
        confidence=CONFIDENCES[code],
        reason=reason(known, code, row, why, what),
        holder=_view(known, row, at_us) if row >= 0 and code not in (AMBIGUOUS, UNKNOWN, NONE) else None,
        network=network,
        candidates=tuple(_view(known, one, at_us) for one in (others if code not in (EXACT, LIKELY) else [])),
        candidate_reasons=tuple(
            str(candidate(known, one)["reason"]) for one in (others if code not in (EXACT, LIKELY) else [])
        ),
        previous=before,
        following=after,
    )


def _packed(address: str) -> bytes:
    packed = address16(address)
    if packed is None:
        raise ConfigError(f"cannot look up '{address}': no IPv4 or IPv6 address; write it like 10.244.1.12 or fd00::1")
    return packed


def _neighbours(
    history: ClusterHistory, packed: bytes, at_us: int, mine: set[int]
) -> tuple[HoldView | None, HoldView | None]:
    """The holders before and after: who is asked about is rarely the whole story of an address."""
    rows = [row for row in history.rows_on(packed) if row not in mine]
    before = [row for row in rows if history.holds[row].end_max <= at_us]
    after = [row for row in rows if history.holds[row].start_min > at_us]
    last = max(before, key=lambda row: history.holds[row].end_max, default=None)
    following = min(after, key=lambda row: history.holds[row].start_min, default=None)
    return (
        None if last is None else _view(history, last),
        None if following is None else _view(history, following),
    )


def timeline(history: History, address: str, cluster: str | None = None) -> list[HoldView]:
    """Return every hold on an address, oldest first, of one cluster or of all. Raises: ConfigError."""
    packed = _packed(address)
    several = [history.cluster(cluster)] if cluster is not None else list(history.clusters.values())
    return [_view(one, row) for one in several for row in one.rows_on(packed)]


def holds_of(history: History, what: str, cluster: str | None = None) -> list[HoldView]:
    """Return the holds of `namespace/pod` (or its unambiguous beginning), `kind/namespace/name` or `node/name`.

    Raises: ConfigError with near matches when nothing fits, or when a beginning fits several pods.
    """
    several = [history.cluster(cluster)] if cluster is not None else list(history.clusters.values())
    found: list[HoldView] = []
    for one in several:
        entities = _entities(one, what)
        found += [_view(one, row) for row in range(len(one.holds)) if int(one.entity_of[row]) in entities]
    if not found:
        raise ConfigError(_nothing(several, what))
    return sorted(found, key=lambda view: (view.start_min or EPOCH, view.full_name(), view.address))


def _entities(history: ClusterHistory, what: str) -> set[int]:
    parts = what.lower().split("/")
    if len(parts) == 3 or parts[0] == "node":
        return {row for row, one in enumerate(history.entities) if _is(one, parts)}
    exact = {row for row, one in enumerate(history.entities) if one.workload and one.full_name() == what}
    if exact:
        return exact
    begins = {row for row, one in enumerate(history.entities) if one.workload and one.full_name().startswith(what)}
    names = sorted({history.entities[row].full_name() for row in begins})
    if len(names) > 1:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise ConfigError(f"cannot tell which pod '{what}' is: {', '.join(names[:5])}{more}; write more of the name")
    return begins


def _is(one: Entity, parts: list[str]) -> bool:
    kind = parts[0]
    if len(parts) == 2:
        return kind == "node" and KIND_WORDS[one.kind] == "node" and one.name == parts[1]
    if [one.namespace, one.name] == parts[1:] and kind == KIND_WORDS[one.kind]:
        return True
    return bool(one.workload) and kind == one.workload_kind.lower() and [one.namespace, one.workload] == parts[1:]


def _nothing(several: list[ClusterHistory], what: str) -> str:
    names = {one.full_name() for history in several for one in history.entities if one.workload}
    for history in several:
        for one in history.entities:
            if one.workload:
                names.add(f"{one.workload_kind.lower()}/{one.namespace}/{one.workload}")
            else:
                names.add(f"{KIND_WORDS[one.kind]}/{one.full_name()}")
    near = difflib.get_close_matches(what, names, n=3, cutoff=0.4)
    hint = f"near: {', '.join(near)}" if near else "write namespace/pod or kind/namespace/name"
    return f"cannot find '{what}': the history names nothing so called that held an address; {hint}"


def to_json(view: Any) -> Any:
    """Turn an Answer, a HoldView or a list of them into plain values with stable keys; times as RFC 3339."""
    if isinstance(view, (list, tuple)):
        return [to_json(one) for one in view]
    if isinstance(view, datetime):
        return rfc3339((view - EPOCH) // timedelta(microseconds=1))
    if not isinstance(view, (Answer, HoldView)):
        return view
    return {name: to_json(getattr(view, name)) for name in view.__dataclass_fields__}


__all__ = ["Answer", "HoldView", "holds_of", "timeline", "to_json", "who_at"]

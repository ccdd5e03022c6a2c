"""Who held an address, and when nobody was looking."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from whowas.workbench.api.common import About, Asked, Question, TimeRange, Told, Us


class Gap(Told):
    """A time in which a cluster was not watched: nothing that happened then was seen. null: without an end."""

    cluster: str
    kind: str
    since: Us | None
    until: Us | None
    why: str


class Gaps(Told):
    """gaps: of the history within the range. known_until: what came later has not been told yet, by cluster."""

    about: About
    gaps: list[Gap]
    known_until: dict[str, Us]


class WhoAsk(Question):
    """what: an address, namespace/name, kind/namespace/name, node/name, or a label key=value. limit: lanes.

    at: a moment to judge, for an address alone. The filter narrows the flows beside the lanes, not the lanes.
    """

    what: Annotated[str, Meta(min_length=1, max_length=700)] = ""
    cluster: str | None = None
    at: Us | None = None
    limit: Annotated[int, Meta(ge=1, le=2000)] = 200


class Lane(Told):
    """One holder of one address. Begins in [start_min, start_max), ends in [end_min, end_max); null = open.

    Certain from start_max to end_min, where that is later; before and after it is possible alone (draw it fuzzy).
    conflict: the evidence contradicts itself. source: what told it.
    """

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
    start_min: Us | None
    start_max: Us | None
    end_min: Us | None
    end_max: Us | None
    conflict: bool
    labels: dict[str, str]
    services: str
    images: list[str]
    service_account: str
    source: str


class LaneEvent(Told):
    """What happened to a lane's holder, at some time from `time` to `until` (both the same: then). lane: in Who.lanes.

    started, ended: the hold; restarted: a container (Evidence tells of these); policy_*: a NetworkPolicy whose selector
    chose it, or may have; others: what changed, from what to what.
    """

    lane: int
    time: Us
    until: Us
    what: Literal[
        "started", "ended", "images", "labels", "services", "restarted",
        "policy_created", "policy_changed", "policy_deleted",
    ]  # fmt: skip
    before: str
    after: str


class Judged(Told):
    """Who it was at the moment asked. holder: place in `candidates` of the one that is named, null: nobody is."""

    at: Us
    confidence: str
    reason: str
    network: str
    holder: Lane | None
    candidates: list[Lane]
    candidate_reasons: list[str]


class Who(Told):
    """Lanes, oldest first; left_out: lanes beyond the limit. judged: when `at` was asked.

    flows_*: flows with that end, by bucket, as the flows themselves were named: their confidence, never that of lanes.
    bucket: an hour, from roll-ups; in a range of two hours or less finer, from the flows. command: that says the same.
    """

    about: About
    what: str
    is_address: bool
    lanes: list[Lane]
    left_out: int
    events: list[LaneEvent]
    judged: Judged | None
    gaps: list[Gap]
    bucket: int
    flows_time: list[Us]
    flows_confidence: list[str]
    flows_count: list[int]
    flows_bytes: list[int]
    command: str


class EvidenceAsk(Asked):
    """What was said of the holders of an answer of Who: the same question, for the evidence behind it."""

    what: Annotated[str, Meta(min_length=1, max_length=700)] = ""
    cluster: str | None = None
    range: TimeRange | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 40


class EvidenceLine(Told):
    """One sight of one object. time: when it was received, null: nobody wrote that down. says: in words."""

    uid: str
    name: str
    time: Us | None
    verb: str
    says: str
    source: str


class Evidence(Told):
    """Everything that was said of the holders of the first lanes. left_out: lines. restarts: lane is that of Who.

    unsaid: lanes whose evidence was not looked for. command: that explains the same.
    """

    about: About
    lines: list[EvidenceLine]
    left_out: int
    restarts: list[LaneEvent]
    unsaid: int
    command: str


class Shared(Told):
    """An address that several held in the range, as its flows were named. names: [confidence, namespace/workload]."""

    address: str
    holders: int
    names: list[tuple[str, str]]
    flows: int


class SharedAddresses(Told):
    """Addresses whose flows were named after several pods, most holders first. left_out: addresses."""

    about: About
    addresses: list[Shared]
    left_out: int

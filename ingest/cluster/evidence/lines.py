"""Decodes one line of evidence, and says what it means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from whowas.kube_annotations import KEPT
from whowas.observation import KubeObject, Observation, newest, newest_by_control_plane, time_us
from whowas.stages import FileReport

KINDS = frozenset(
    (
        "Pod",
        "Service",
        "EndpointSlice",
        "Node",
        "Namespace",
        "ReplicaSet",
        "Job",
        "CronJob",
        "Deployment",
        "NetworkPolicy",
        "ClusterNetworkPolicy",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "AuthorizationPolicy",
        "PeerAuthentication",
    )
)


# Of these selectors and rules are kept; those of Services, Jobs and the like say nothing that anybody asks.
MESH = ("AuthorizationPolicy", "PeerAuthentication")


VERBS = frozenset(("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "LISTED", "VANISHED"))


SPANS = ("GAP", "WATCHED", "LATE")


MEMBERS = ("JOINED", "LEFT")


TYPES = VERBS | {*SPANS, *MEMBERS, "OFFSET"}


FIELDS_DROPPED = 20


AT = re.compile(r"`\$((?:\.\w+|\[\.\.\.\]|\[\d+\])*)`")


class Line(msgspec.Struct):
    """A watch event, an evidence line, a GAP, or a bare object or list: whatever stands at the top of a value."""

    type: str | None = None
    object: KubeObject | None = None
    received: str | None = None
    cluster: str | None = None
    to: str | None = None
    start: str | None = msgspec.field(name="from", default=None)
    kind: str | None = None
    items: list[KubeObject] | None = None
    service: str | None = None
    since: str | None = None
    ahead: int | None = None
    behind: int | None = None


Shape = TypeVar("Shape")


DECODE = msgspec.json.Decoder(Line)


DECODE_OBJECT = msgspec.json.Decoder(KubeObject)


@dataclass
class EvidenceReport:
    """What became of the evidence. `observations` counts by kind, `refused` by reason."""

    observations: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    files: list[FileReport] = field(default_factory=list)

    def whole(self) -> bool:
        """Say whether every line of every file was understood."""
        return not any(one.unreadable for one in self.files)

    def to_json(self) -> dict[str, Any]:
        """The `history` part of `whowas replay --json`."""
        files = [
            {"path": one.path, "unreadable": [{"offset": bad.offset, "reason": bad.reason} for bad in one.unreadable]}
            for one in self.files
        ]
        counts = dict(sorted(self.observations.items()))
        return {"observations": counts, "refused": dict(sorted(self.refused.items())), "files": files}


def observations_in(raw: bytes, source: str) -> list[Observation]:
    """Return what one line of whowas's own evidence says; nothing when it is no such line.

    Raises: msgspec.DecodeError, RecursionError, UnicodeDecodeError.
    """
    return list(observations_of(DECODE.decode(raw), source, None))


def is_plain(raw: bytes) -> bool:
    """Say whether a value is of the cluster itself, or of its audit log, and so no wrapping whatever lies in it."""
    try:
        line = DECODE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return line.items is not None or line.type in TYPES or line.kind in KINDS or line.kind in ("Event", "EventList")


def why_unread(line: Line) -> str:
    """Say why a value that could be read says nothing: a GAP that is passed over would make gaps invisible."""
    if line.type in SPANS:
        return f"a {line.type} whose from or to is no time with a zone"
    if line.type in VERBS:
        return f"an event {line.type} without an object"
    if line.type is not None:
        return f"an event of type {line.type[:40]!r}, which is no evidence"
    return "neither a watch event, nor a list, nor an object of a kind that is read"


def decode_line(raw: bytes, report: EvidenceReport) -> Line:
    """Decode typed; where a field has a type that no apiserver sends, drop that field and keep the rest."""
    try:
        line = DECODE.decode(raw)
        if line.type is None and line.items is None and line.kind in KINDS:
            line.items = [DECODE_OBJECT.decode(raw)]
        return line
    except msgspec.ValidationError:
        loose = msgspec.json.decode(raw)
    if not isinstance(loose, dict):
        raise msgspec.DecodeError("the value is no object")
    return _decode_loosely(loose, report)


def decode_item(raw: bytes, report: EvidenceReport) -> KubeObject | None:
    """Decode an item of a list, as decode_line does; None for what is no object. Raises: msgspec.DecodeError."""
    try:
        return DECODE_OBJECT.decode(raw)
    except msgspec.ValidationError:
        loose = msgspec.json.decode(raw)
    if isinstance(loose, dict):
        return lenient(loose, KubeObject, report)
    report.refused["odd_item"] += 1
    return None


def _decode_loosely(loose: dict[str, Any], report: EvidenceReport) -> Line:
    """Item by item, so that what is odd in one costs nothing of another."""
    items = loose.pop("items", None)
    if loose.get("type") is None and items is None and str(loose.get("kind")) in KINDS:
        return Line(items=[lenient(loose, KubeObject, report)])
    line = lenient(loose, Line, report)
    if isinstance(items, list):
        things = [one for one in items if isinstance(one, dict)]
        report.refused["odd_item"] += len(items) - len(things)
        line.items = [lenient(one, KubeObject, report) for one in things]
    return line


def lenient(loose: dict[str, Any], shape: type[Shape], report: EvidenceReport) -> Shape:
    """Convert; a field of a type that cannot be taken is dropped and counted. Raises: DecodeError after too many."""
    for _ in range(FIELDS_DROPPED):
        try:
            return msgspec.convert(loose, shape)
        except msgspec.ValidationError as error:
            report.refused["odd_field"] += 1
            if not _drop(loose, str(error)):
                raise
    raise msgspec.DecodeError(f"more than {FIELDS_DROPPED} fields of unexpected type")


def _drop(value: Any, words: str) -> bool:
    """Remove what the path in the message names. A list's path has no index: the field goes from every element."""
    found = AT.search(words)
    steps = re.findall(r"\.(\w+)|\[(?:\.\.\.|\d+)\]", found.group(1)) if found else []
    names = [name for name in steps if name]
    return bool(names) and _remove(value, names)


def _remove(value: Any, names: list[str]) -> bool:
    if isinstance(value, list):
        return any([_remove(one, names) for one in value])  # noqa: C419 - every element, not the first
    if not isinstance(value, dict) or names[0] not in value:
        return False
    if len(names) == 1 or not isinstance(value[names[0]], (dict, list)):
        del value[names[0]]
        return True
    return _remove(value[names[0]], names[1:])


def observations_of(line: Line, source: str, cluster: str | None) -> Iterator[Observation]:
    """Turn one value into observations: an event, a GAP, a list's items, or a bare object."""
    received = time_us(line.received)
    named = line.cluster or cluster
    if line.type in SPANS:
        start, end = time_us(line.start), time_us(line.to)
        if start is not None and end is not None:
            yield Observation(line.type, KubeObject(kind=line.kind or ""), end, end, named, source, (start, end))
    elif line.type in MEMBERS:
        since = time_us(line.since)
        since = received if since is None else since
        if line.object is not None and line.service and since is not None:
            yield Observation(line.type, line.object, received, since, named, source, service=line.service)
    elif line.type == "OFFSET":
        if line.object is not None and line.ahead is not None and line.behind is not None:
            off = (max(line.ahead, 0), max(line.behind, 0))
            yield Observation("OFFSET", line.object, None, 0, named, source, off, line.service or "")
    elif line.type is not None:
        if line.object is not None and line.type in VERBS:
            yield event_observation(line, source, cluster)
    elif line.items is not None:
        # A list says nothing of when it was made: at the earliest at the newest time that no node's clock wrote.
        newest_of_all = max((newest_by_control_plane(one) for one in line.items), default=0)
        yield from listed(line, line.items, newest_of_all, source, cluster)


def listed(
    line: Line, items: Iterable[KubeObject], newest_of_all: int, source: str, cluster: str | None
) -> Iterator[Observation]:
    """Yield the items of a list. line: what stands around them. newest_of_all: the newest time by control plane, us."""
    received = time_us(line.received)
    kind = (line.kind or "").removesuffix("List")
    for item in items:
        item.kind = item.kind or kind
        yield Observation("LISTED", allowed(item), received, received or newest_of_all, line.cluster or cluster, source)


def event_observation(line: Line, source: str, cluster: str | None) -> Observation:
    """One watch event."""
    assert line.type is not None
    assert line.object is not None
    received = time_us(line.received)
    thing = allowed(line.object)
    if thing.kind == "Lease":
        return Observation("CLOCK", thing, received, received or 0, line.cluster or cluster, source)
    since = time_us(line.since)
    low = since if since is not None else received or newest(thing)
    return Observation(line.type, thing, received, low, line.cluster or cluster, source)


def allowed(thing: KubeObject) -> KubeObject:
    """Keep of the annotations what is asked for; of priorities and selectors those of policies."""
    meta = thing.metadata
    spec = thing.spec
    if spec is not None and thing.kind == "Pod":
        spec.priority = None
    if spec is not None and thing.kind not in MESH:
        spec.selector = spec.action = spec.rules = spec.targetRef = spec.targetRefs = None
        spec.mtls = spec.portLevelMtls = None
    if meta is not None and meta.annotations:
        meta.annotations = {name: text for name, text in meta.annotations.items() if name in KEPT} or None
    return thing

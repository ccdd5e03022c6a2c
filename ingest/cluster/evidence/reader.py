"""Evidence files to observations: whowas's own lines, kubectl watch dumps, kubectl lists; told apart by content."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from ingest.cluster.evidence.json_stream import values
from ingest.cluster.evidence.other_sources import Imports
from ingest.cluster.evidence.slice import Seal
from ingest.files import open_input
from whowas.errors import BrokenInput
from whowas.observation import KubeObject, Observation, newest, newest_by_control_plane, time_us
from whowas.stages import FileReport, Unreadable

KINDS = frozenset(
    ("Pod", "Service", "EndpointSlice", "Node", "Namespace", "ReplicaSet", "Job", "CronJob", "Deployment")
)
VERBS = frozenset(("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "LISTED", "VANISHED"))
SPANS = ("GAP", "WATCHED", "LATE")
MEMBERS = ("JOINED", "LEFT")
# Audit logs of several apiservers, answers of Prometheus to several questions.
PARTS = (b"audit.k8s.io/v1", b'"resultType"')
# Annotations are kept by name: they may hold secrets, and applied manifests as large as the object.
ANNOTATIONS = frozenset(
    (
        "cni.projectcalico.org/podIP",
        "cni.projectcalico.org/podIPs",
        "vpc.amazonaws.com/pod-ips",
        "kubernetes.io/config.mirror",
        "flannel.alpha.coreos.com/backend-type",
        "projectcalico.org/IPv4VXLANTunnelAddr",
        "projectcalico.org/IPv6VXLANTunnelAddr",
        "projectcalico.org/IPv4IPIPTunnelAddr",
        "projectcalico.org/IPv4WireguardInterfaceAddr",
        "io.cilium.network.ipv4-cilium-host",
        "io.cilium.network.ipv6-cilium-host",
    )
)
UNREADABLE_KEPT = 1000
FIELDS_DROPPED = 20
LOOKED_AHEAD = 1 << 20
RECEIVED = re.compile(rb'"received"\s*:\s*"([^"]{10,40})"')
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


@dataclass(frozen=True)
class EvidenceProgress:
    """How far the reading has come, in stored bytes; total 0 = unknown."""

    path: str
    consumed: int
    total: int


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


def in_order(paths: Sequence[str]) -> list[str]:
    """Return evidence files in the order of their first times of receipt, those without before all others.

    A later state of an object must not be read before an earlier one: the earlier would then count as stale.
    """
    # What can be read once only (standard input, a pipe) is not looked into, and comes last.
    return sorted(paths, key=lambda path: _first_receipt(path) if os.path.isfile(path) else 1 << 62)


def together(paths: Sequence[str]) -> list[list[str]]:
    """Return evidence files in the groups in which they must be read: logs and answers that tell one story."""
    groups: list[list[str]] = []
    parts: dict[bytes, list[str]] = {}
    for path in paths:
        mark = _mark(path)
        if not mark:
            groups.append([path])
        elif mark in parts:
            parts[mark].append(path)
        else:
            parts[mark] = [path]
            groups.append(parts[mark])
    return groups


def _mark(path: str) -> bytes:
    """What tells a part of a story; b"" for what stands alone."""
    with open_input(path) as source:
        try:
            begins = source.read(LOOKED_AHEAD)
        except BrokenInput:
            return b""
    return next((mark for mark in PARTS if mark in begins), b"")


def _first_receipt(path: str) -> int:
    with open_input(path) as source:
        try:
            found = RECEIVED.search(source.read(LOOKED_AHEAD))
        except BrokenInput:
            return 0
    return (time_us(found.group(1).decode("ascii", "replace")) or 0) if found else 0


def read_observations(
    paths: Sequence[str],
    cluster: str | None,
    report: EvidenceReport,
    progress: Callable[[EvidenceProgress], None] | None = None,
) -> Iterator[Observation]:
    """Yield what the files say, file by file, in their order.

    Args: paths: files or `-`. cluster: name for evidence that carries none. report: filled while reading.
    A broken line is noted with its offset and passed over; a file that breaks is read up to there.
    """
    counts = report.observations
    imports = Imports(report.refused, ANNOTATIONS)
    for path in paths:
        told = FileReport(path, format="evidence")
        report.files.append(told)
        yield Observation("START", KubeObject(), None, 0, None, path)
        seal = Seal(path)
        with open_input(path) as source:
            try:
                for count, (offset, raw) in enumerate(values(source)):
                    if progress is not None and count % 4096 == 0:
                        progress(EvidenceProgress(path, source.consumed, source.size))
                    if (border := seal.take(raw)) is not None:
                        if border:
                            _note(told, offset, border)
                        # It tells itself when somebody was looking: what it says of pods is no proof of that.
                        yield Observation("START", KubeObject(), None, 0, None, path, (0, 0))
                        continue
                    event = _event(raw)
                    if event is None and imports.take(raw, offset, told):
                        continue
                    if event is None:
                        yield from _observed(raw, offset, cluster, told, report)
                        continue
                    one = _one(event, f"{path}@{offset}", cluster)
                    counts[one.object.kind] += 1
                    yield one
                if seal.open:
                    _note(told, source.offset, "the slice was cut off: it has no end")
            except BrokenInput as error:
                _note(told, error.offset, error.reason)
            if progress is not None:
                progress(EvidenceProgress(path, source.consumed, source.size))
    for one in imports.observations(cluster):
        if one.verb != "START":
            counts[one.object.kind or one.verb] += 1
        yield one


def _note(told: FileReport, offset: int, reason: str) -> None:
    if len(told.unreadable) < UNREADABLE_KEPT:
        told.unreadable.append(Unreadable(offset, reason))


def _event(raw: bytes) -> Line | None:
    """Decode the usual value, an event with a whole object; None for anything else."""
    try:
        line = DECODE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    usual = line.object is not None and line.type in VERBS and line.object.kind
    return line if usual else None


def _observed(
    raw: bytes, offset: int, cluster: str | None, told: FileReport, report: EvidenceReport
) -> Iterator[Observation]:
    try:
        line = _decode(raw, report)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        report.refused["broken_json"] += 1
        _note(told, offset, f"no JSON value that could be read: {error}"[:300])
        return
    said = False
    for one in _meant(line, f"{told.path}@{offset}", cluster):
        said = True
        report.observations[one.object.kind or one.verb] += 1
        yield one
    if not said and line.items is None:
        report.refused["no_evidence"] += 1
        _note(told, offset, _why_not(line))


def observations_in(raw: bytes, source: str) -> list[Observation]:
    """Return what one line of whowas's own evidence says; nothing when it is no such line.

    Raises: msgspec.DecodeError, RecursionError, UnicodeDecodeError.
    """
    return list(_meant(DECODE.decode(raw), source, None))


def _why_not(line: Line) -> str:
    """Say why a value that could be read says nothing: a GAP that is passed over would make gaps invisible."""
    if line.type in SPANS:
        return f"a {line.type} whose from or to is no time with a zone"
    if line.type in VERBS:
        return f"an event {line.type} without an object"
    if line.type is not None:
        return f"an event of type {line.type[:40]!r}, which is no evidence"
    return "neither a watch event, nor a list, nor an object of a kind that is read"


def _decode(raw: bytes, report: EvidenceReport) -> Line:
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


def _meant(line: Line, source: str, cluster: str | None) -> Iterator[Observation]:
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
            yield _one(line, source, cluster)
    elif line.items is not None:
        # A list says nothing of when it was made: at the earliest at the newest time that no node's clock wrote.
        at = received or max((newest_by_control_plane(one) for one in line.items), default=0)
        kind = (line.kind or "").removesuffix("List")
        for item in line.items:
            item.kind = item.kind or kind
            yield Observation("LISTED", allowed(item), received, at, named, source)


def _one(line: Line, source: str, cluster: str | None) -> Observation:
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
    """Keep of the annotations what is asked for."""
    meta = thing.metadata
    if meta is not None and meta.annotations:
        meta.annotations = {name: text for name, text in meta.annotations.items() if name in ANNOTATIONS} or None
    return thing

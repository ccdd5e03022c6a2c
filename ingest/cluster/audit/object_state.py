"""One write of an audit log, and an object as far as the log has told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from ingest.cluster.audit.patches import Thing
from whowas.observation import Observation, version_number
from whowas.timestamps import rfc3339

SECOND = 1_000_000
GRACE = 30
BRIEF = "PartialObjectMetadata"
TERMINAL = ("Succeeded", "Failed")
Key = tuple[str, str, str]


class Write(Struct, array_like=True):
    """One write that succeeded. Times in us by the apiserver's clock; bodies as JSON, empty = not logged."""

    at_us: int
    asked_us: int
    kind: str
    verb: str
    subresource: str
    namespace: str
    name: str
    uid: str
    version: int
    made: bool
    by_node: bool
    uri: str
    request: bytes
    response: bytes
    source: str
    audit_id: str
    file: int

    def key(self) -> Key:
        """What tells the object from others that live at the same time."""
        return self.kind, self.namespace, self.name


@dataclass(slots=True)
class LoggedObject:
    """An object as far as the log has told. whole: all of it is known. addressed: it is known whether
    the pod has an address.
    """

    thing: Thing
    uid: str = ""
    whole: bool = False
    addressed: bool = False
    aside: list[Observation] = field(default_factory=list)

    def meta(self) -> Thing:
        """The object's metadata, to be written to."""
        inner = self.thing.get("metadata")
        if not isinstance(inner, dict):
            inner = self.thing["metadata"] = {}
        return inner

    def part(self, name: str) -> Thing:
        """spec or status; an empty one when there is none."""
        inner = self.thing.get(name)
        return inner if isinstance(inner, dict) else {}

    def gone(self, kind: str) -> bool:
        """Say whether the apiserver removes the object in this state."""
        meta = self.meta()
        ready = meta.get("deletionTimestamp") and not meta.get("finalizers")
        return bool(ready) and (kind != "Pod" or not meta.get("deletionGracePeriodSeconds"))

    def telling(self, kind: str) -> bool:
        """Say whether what is known may be shown: of a pod without a word on its address nothing follows."""
        return self.whole or (kind == "Pod" and (self.addressed or self.part("status").get("phase") in TERMINAL))


def loaded(body: bytes) -> Any:
    """Return a body; None when it was not logged."""
    return msgspec.json.decode(body) if body else None


def answered(write: Write) -> tuple[Thing | None, Thing]:
    """Return the object in the answer (None: it has none), and its metadata where a client asked for those alone."""
    body = loaded(write.response)
    if not isinstance(body, dict) or body.get("kind") not in (write.kind, BRIEF):
        return None, {}
    if body["kind"] == write.kind:
        return body, {}
    return None, {"metadata": body["metadata"]} if isinstance(body.get("metadata"), dict) else {}


def uid_of(thing: Any) -> str:
    """Return metadata.uid; "" when there is none."""
    meta = thing.get("metadata") if isinstance(thing, dict) else None
    uid = meta.get("uid") if isinstance(meta, dict) else None
    return uid if isinstance(uid, str) else ""


def says_address(patch: Any) -> bool:
    """Say whether a patch speaks of the pod's address, be it to take it away."""
    if isinstance(patch, list):
        return any(isinstance(one, dict) and "/podIP" in str(one.get("path")) for one in patch)
    status = patch.get("status") if isinstance(patch, dict) else None
    return isinstance(status, dict) and ("podIP" in status or "podIPs" in status)


def updated(one: LoggedObject, asked: Thing, subresource: str) -> Thing:
    """What an update makes: of the status only, or of all but the status, which the apiserver keeps."""
    if not one.whole:
        return asked
    made = {**one.thing, "status": asked.get("status")} if subresource == "status" else {**asked}
    if subresource != "status" and "status" in one.thing:
        made["status"] = one.thing["status"]
    if isinstance(made.get("metadata"), dict):
        kept = {name: one.meta()[name] for name in ("uid", "creationTimestamp") if name in one.meta()}
        made["metadata"] = {**kept, **made["metadata"]}
    return made


def mark_deleted(one: LoggedObject, write: Write, options: Thing) -> None:
    """Write into the object what the apiserver does at a delete. Source: registry/core/pod/strategy.go."""
    meta = one.meta()
    policy = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(str(options.get("propagationPolicy")))
    if policy and write.kind != "Pod":
        held = meta.get("finalizers")
        meta["finalizers"] = [*(held if isinstance(held, list) else []), policy]
    grace = options.get("gracePeriodSeconds")
    if not isinstance(grace, int):
        usual = one.part("spec").get("terminationGracePeriodSeconds", GRACE)
        grace = 0 if write.by_node or not isinstance(usual, int) else usual
    unplaced = one.whole and not one.part("spec").get("nodeName")
    if write.kind != "Pod" or unplaced or one.part("status").get("phase") in TERMINAL:
        grace = 0
    end = write.at_us // SECOND * SECOND + grace * SECOND
    meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = rfc3339(end), grace
    meta.pop("resourceVersion", None)


def version_of(thing: Any) -> int:
    """Return an object's resourceVersion; -1 when it has none that can be compared."""
    meta = thing.get("metadata") if isinstance(thing, dict) else None
    told = meta.get("resourceVersion") if isinstance(meta, dict) else None
    number = version_number(told) if isinstance(told, str) else None
    return -1 if number is None else number

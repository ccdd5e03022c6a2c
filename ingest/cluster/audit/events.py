"""Audit events, whoever wrote them, brought into one shape.

Read are audit.k8s.io/v1 events and lists of them; Google Cloud Audit Logs, which have another shape (`protoPayload`).
What others put around events is taken off before (ingest/wrappings).
Source: kube-apiserver Audit Configuration (v1); google.cloud.audit.AuditLog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

MARKS = (b"audit.k8s.io/v1", b'"protoPayload"')


class User(Struct, gc=False):
    """user: who asked."""

    username: str = ""


class Reference(Struct, gc=False):
    """objectRef."""

    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    apiGroup: str = ""
    subresource: str = ""


class Outcome(Struct, gc=False):
    """responseStatus."""

    code: int | None = None


class AuditEvent(Struct):
    """audit.k8s.io/v1 Event: what is read of it. Bodies stay as they are until somebody wants them."""

    kind: str = ""
    apiVersion: str = ""
    level: str = ""
    auditID: str = ""
    stage: str = ""
    requestURI: str = ""
    verb: str = ""
    user: User | None = None
    objectRef: Reference | None = None
    responseStatus: Outcome | None = None
    requestObject: Raw | UnsetType = UNSET
    responseObject: Raw | UnsetType = UNSET
    requestReceivedTimestamp: str | None = None
    stageTimestamp: str | None = None
    annotations: dict[str, str] | None = None


class Top(Struct):
    """What tells an event, a list of them and Google's shape apart."""

    kind: str | None = None
    apiVersion: str | None = None
    items: list[Raw] | None = None
    protoPayload: Raw | UnsetType = UNSET


class Principal(Struct, gc=False):
    """protoPayload.authenticationInfo."""

    principalEmail: str = ""


class Payload(Struct):
    """protoPayload: google.cloud.audit.AuditLog. A status without a code, or with code 0, is success."""

    serviceName: str = ""
    methodName: str = ""
    resourceName: str = ""
    authenticationInfo: Principal | None = None
    status: Outcome | None = None
    request: Raw | UnsetType = UNSET
    response: Raw | UnsetType = UNSET


class Operation(Struct, gc=False):
    """operation: a long request is logged twice, at its beginning and at its end."""

    last: bool | None = None
    first: bool | None = None


class GoogleEntry(Struct):
    """A LogEntry of Google Cloud Logging."""

    protoPayload: Payload
    insertId: str = ""
    timestamp: str | None = None
    operation: Operation | None = None


TOP = msgspec.json.Decoder(Top)
EVENT = msgspec.json.Decoder(AuditEvent)
GOOGLE = msgspec.json.Decoder(GoogleEntry)


def is_audit(raw: bytes) -> bool:
    """Say whether a JSON value may hold audit events: cheap, and never wrong in saying no."""
    return any(mark in raw for mark in MARKS)


def audit_events(raw: bytes) -> Iterator[AuditEvent] | None:
    """Return the audit events in a JSON value, None when it is something else.

    Raises: msgspec.DecodeError, also while reading: an event that is none costs those behind it in one value.
    """
    found = TOP.decode(raw)
    if (found.apiVersion or "").startswith("audit.k8s.io/"):
        # Items of a list carry no kind of their own.
        return map(EVENT.decode, [raw] if found.kind == "Event" else found.items or [])
    return _google(raw) if found.protoPayload is not UNSET else None


def _google(raw: bytes) -> Iterator[AuditEvent]:
    """Bring a Google entry into the shape of the others. Source: GKE audit logging, methodName and resourceName.

    io.k8s.core.v1.pods.status.patch on core/v1/namespaces/shop/pods/web-1/status. Entries of other services, and
    the beginnings of long requests, are nothing.
    """
    entry = GOOGLE.decode(raw)
    said = entry.protoPayload
    words = said.methodName.split(".")
    begun = entry.operation is not None and entry.operation.first and not entry.operation.last
    if words[:2] != ["io", "k8s"] or len(words) < 5 or begun:
        return
    version = next((at for at, word in enumerate(words) if re.fullmatch(r"v\d+\w*", word)), 0)
    resource, *below = words[version + 1 : -1] or [""]
    path = said.resourceName.split("/")
    space = path[path.index("namespaces") + 1] if "namespaces" in path[:-2] else ""
    place = path.index(resource, 2) if resource in path[2:] else len(path)
    group = "" if words[2] == "core" else path[0] if path else ""
    code = said.status.code if said.status else None
    yield AuditEvent(
        kind="Event",
        level="RequestResponse"
        if said.response is not UNSET
        else "Request"
        if said.request is not UNSET
        else "Metadata",
        auditID=entry.insertId,
        stage="ResponseComplete",
        verb=words[-1],
        user=User(said.authenticationInfo.principalEmail if said.authenticationInfo else ""),
        objectRef=Reference(resource, space, "".join(path[place + 1 : place + 2]), "", group, ".".join(below)),
        responseStatus=Outcome(200 if not code else 500),
        requestObject=said.request,
        responseObject=said.response,
        stageTimestamp=entry.timestamp,
    )

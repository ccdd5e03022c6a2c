"""What was seen of a cluster object at one time: the neutral word between ingest/cluster and enrich.

Objects are reduced to the fields that inference and naming read. One typed structure serves every kind, so
that a watch event is decoded in one pass and what nobody needs is skipped, never built.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Owner(Struct, gc=False, omit_defaults=True):
    """metadata.ownerReferences[]."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Meta(Struct, omit_defaults=True):
    """metadata. Annotations are cut down to an allow-list when the object is read."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str | None = None
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    deletionGracePeriodSeconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: list[Owner] | None = None


class Port(Struct, gc=False, omit_defaults=True):
    """A port of a Service (port, nodePort) or of a container (containerPort, hostPort)."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    nodePort: int | None = None
    containerPort: int | None = None
    hostPort: int | None = None
    hostIP: str | None = None


class Container(Struct, omit_defaults=True):
    """spec.containers[]."""

    image: str | None = None
    ports: list[Port] | None = None


class Ran(Struct, gc=False, omit_defaults=True):
    """A container's state: running or terminated."""

    startedAt: str | None = None
    finishedAt: str | None = None


class State(Struct, gc=False, omit_defaults=True):
    """containerStatuses[].state and .lastState."""

    running: Ran | None = None
    terminated: Ran | None = None


class ContainerStatus(Struct, gc=False, omit_defaults=True):
    """status.containerStatuses[]. restartCount is that of `state`; `lastState` is the run before it."""

    state: State | None = None
    lastState: State | None = None
    restartCount: int | None = None


class Condition(Struct, gc=False, omit_defaults=True):
    """status.conditions[]."""

    type: str = ""
    status: str | None = None
    lastTransitionTime: str | None = None


class Address(Struct, gc=False, omit_defaults=True):
    """podIPs[], hostIPs[], loadBalancer.ingress[] (ip) and a node's addresses[] (type, address)."""

    ip: str | None = None
    type: str | None = None
    address: str | None = None


class Balancer(Struct, omit_defaults=True):
    """status.loadBalancer."""

    ingress: list[Address] | None = None


class Spec(Struct, omit_defaults=True):
    """spec of a Pod, Service, Node, Lease or policy. What a policy says is kept as it was written."""

    nodeName: str | None = None
    hostNetwork: bool | None = None
    serviceAccountName: str | None = None
    containers: list[Container] | None = None
    clusterIP: str | None = None
    clusterIPs: list[str] | None = None
    externalIPs: list[str] | None = None
    ports: list[Port] | None = None
    podCIDR: str | None = None
    podCIDRs: list[str] | None = None
    renewTime: str | None = None
    policyTypes: list[str] | None = None
    podSelector: Any = None
    ingress: Any = None
    egress: Any = None
    tier: str | None = None
    priority: int | None = None
    subject: Any = None
    selector: Any = None
    action: Any = None
    rules: Any = None
    targetRef: Any = None
    targetRefs: Any = None
    mtls: Any = None
    portLevelMtls: Any = None


class Status(Struct, omit_defaults=True):
    """status of a Pod, Service or Node."""

    phase: str | None = None
    reason: str | None = None
    startTime: str | None = None
    podIP: str | None = None
    podIPs: list[Address] | None = None
    conditions: list[Condition] | None = None
    containerStatuses: list[ContainerStatus] | None = None
    initContainerStatuses: list[ContainerStatus] | None = None
    addresses: list[Address] | None = None
    loadBalancer: Balancer | None = None


class Target(Struct, gc=False, omit_defaults=True):
    """endpoints[].targetRef."""

    kind: str | None = None
    uid: str | None = None


class Endpoint(Struct, gc=False, omit_defaults=True):
    """EndpointSlice endpoints[]."""

    targetRef: Target | None = None


class KubeObject(Struct, omit_defaults=True):
    """Any object, reduced. Source: the Kubernetes API reference, core/v1, discovery.k8s.io/v1, apps/v1, batch/v1."""

    kind: str = ""
    metadata: Meta | None = None
    spec: Spec | None = None
    status: Status | None = None
    endpoints: list[Endpoint] | None = None


class Observation(NamedTuple):
    """One sight of one object, or one fact about the looking itself.

    verb: of an object: ADDED, MODIFIED, DELETED (a watch said so), LISTED (point evidence: it stood there then),
            VANISHED (a complete list does not show it any more: it went some time since it was last seen),
            JOINED, LEFT (a pod, of which `object` has no more than the UID, became or ceased to be an endpoint of
            `service`), CLOCK (a Node Lease: `object.spec.renewTime` by the node's clock, `metadata.name` its node).
        of the looking, about the kind in `object.kind` ("" = all kinds): BOOKMARK (all up to `resourceVersion` was
            delivered), RELISTED (a list is complete: it showed everything of the kind there is at its
            `resourceVersion`), GAP (nobody looked from `span[0]` to `span[1]`), WATCHED (somebody looked from
            `span[0]` to `span[1]` without a break), LATE (what was written since `span[0]` was not told before
            `span[1]`: nothing was lost, but nobody knows when it happened), OFFSET (the clock of the node
            `metadata.name` is ahead and behind by `span`, in us, as `service`, "pods" or "lease", proves), START
            (what follows is another recording: nobody knows what happened since the one before; with a span,
            the recording itself says when somebody looked).
    received_us: when the collector had it, its clock; None when nobody wrote that down.
    not_before_us: a time at or before which the object cannot have had this state (its own newest
        time stamp, or received_us); 0 when nothing tells.
    source: `file:line`, for people who ask why.
    """

    verb: str
    object: KubeObject
    received_us: int | None
    not_before_us: int
    cluster: str | None
    source: str
    span: tuple[int, int] | None = None
    service: str = ""


@lru_cache(maxsize=1 << 16)
def time_us(text: str | None) -> int | None:
    """Return microseconds since 1970, or None for what is no time with a zone. Finer digits are cut off.

    Source: metav1.Time (RFC 3339, whole seconds) and metav1.MicroTime.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else (moment - EPOCH) // timedelta(microseconds=1)


def version_number(text: str | None) -> int | None:
    """Return a resourceVersion as a number, None for what is none. Source: KEP-5504, comparable resourceVersions."""
    if text and len(text) < 20 and text.isascii() and text.isdigit():
        return int(text)
    return None


def newest_by_control_plane(thing: KubeObject) -> int:
    """Return the newest time in an object that apiserver or scheduler wrote, not a node; 0 when it has none."""
    found = [thing.metadata.creationTimestamp] if thing.metadata else []
    if thing.status is not None:
        found += [one.lastTransitionTime for one in thing.status.conditions or () if one.type == "PodScheduled"]
    return max((us for us in map(time_us, found) if us is not None), default=0)


def newest(thing: KubeObject) -> int:
    """Return the newest time the object itself carries: it cannot have looked so before. 0 when it has none.

    deletionTimestamp lies in the future by the grace period and says nothing here.
    """
    found = [thing.metadata.creationTimestamp] if thing.metadata else []
    status = thing.status
    if status is not None:
        found.append(status.startTime)
        found += [one.lastTransitionTime for one in status.conditions or ()]
        for ran in runs(status):
            found += [ran.startedAt, ran.finishedAt]
    return max((us for us in map(time_us, found) if us is not None), default=0)


def runs(status: Status) -> list[Ran]:
    """Return every run of a container that a pod's status tells of, running or ended."""
    found = []
    for one in (*(status.containerStatuses or ()), *(status.initContainerStatuses or ())):
        for state in (one.state, one.lastState):
            for ran in (state.running, state.terminated) if state else ():
                if ran is not None:
                    found.append(ran)
    return found

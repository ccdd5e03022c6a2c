"""Audit logs of kube-apiservers as history: audit.k8s.io/v1 events to observations.

Events are sorted by the apiserver's time, on disk where they do not fit in memory; then writes of one object that
carry a resourceVersion are brought into its order as long as they lie no more than WINDOW_US apart. Beyond that a
later line counts as later, and what carries an older version is passed over when holds are derived.
Source: kube-apiserver Audit Configuration (v1); KEP-5504 for comparing versions.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from typing import Any

import msgspec

from ingest.cluster.audit.coverage import LogCoverage
from ingest.cluster.audit.events import AuditEvent, Reference
from ingest.cluster.audit.external_sort import Runs
from ingest.cluster.audit.object_state import BRIEF, Key, Write, version_of
from ingest.cluster.audit.patches import reduced
from ingest.cluster.audit.replay import Replay
from whowas.observation import KubeObject, Observation, time_us
from whowas.timestamps import AFTER_ALL

# By API group and resource. Of metrics.k8s.io, serving.knative.dev and the like nothing is read.
KINDS = {
    ("", "pods"): "Pod",
    ("", "services"): "Service",
    ("", "nodes"): "Node",
    ("", "namespaces"): "Namespace",
    ("discovery.k8s.io", "endpointslices"): "EndpointSlice",
    ("networking.k8s.io", "networkpolicies"): "NetworkPolicy",
    ("policy.networking.k8s.io", "clusternetworkpolicies"): "ClusterNetworkPolicy",
    ("policy.networking.k8s.io", "adminnetworkpolicies"): "AdminNetworkPolicy",
    ("policy.networking.k8s.io", "baselineadminnetworkpolicies"): "BaselineAdminNetworkPolicy",
    ("security.istio.io", "authorizationpolicies"): "AuthorizationPolicy",
    ("security.istio.io", "peerauthentications"): "PeerAuthentication",
    ("apps", "replicasets"): "ReplicaSet",
    ("apps", "deployments"): "Deployment",
    ("batch", "jobs"): "Job",
    ("batch", "cronjobs"): "CronJob",
    ("coordination.k8s.io", "leases"): "Lease",
}
WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))
WHOLE = frozenset(("", "status", "ephemeralcontainers", "resize", "finalize"))
ACTS = frozenset(("binding", "eviction"))
WINDOW_US = 10_000_000
REMEMBERED = 1 << 16
RULE = '- {level: Request, verbs: [update, patch], resources: [{group: "", resources: [pods/status]}]}'


class AuditLog:
    """Takes audit events from any number of files in any order; gives observations once all are in.

    counts: what was left out, by reason. place: (path, offset) where a kubelet's word was missing first, or of the
    first event.
    """

    def __init__(self, annotations: frozenset[str] = frozenset()) -> None:
        """Read nothing yet; of annotations only those named are kept."""
        self._annotations = annotations
        self.counts: Counter[str] = Counter()
        self.place: tuple[str, int] = ("", 0)
        self.statuses = self.hidden = self.events = 0
        self._runs: Runs[Write] = Runs(Write)
        self._looking = LogCoverage()

    def take(self, event: AuditEvent, path: str, offset: int) -> None:
        """Keep an event for later if it is a write that happened. Raises: msgspec.DecodeError for a broken body."""
        if not self.events:
            self.place = (path, offset)
        self.events += 1
        at = time_us(event.stageTimestamp)
        if at is None or event.stage != "ResponseComplete":
            return
        file = self._looking.saw(path, at)
        write = _write(event, at, f"{path}@{offset}", file, self._annotations)
        if write is None:
            return
        if (event.annotations or {}).get("audit.k8s.io/truncated") == "true":
            self.counts["audit_truncated"] += 1
        if write.kind == "Pod" and write.subresource == "status":
            self.statuses += 1
            if not write.request and not write.response:
                self.place = self.place if self.hidden else (path, offset)
                self.hidden += 1
        self._runs.add(at, write)

    def observations(self, cluster: str | None) -> Iterator[Observation]:
        """Yield all that the events say, in order, then when they were complete. What was hidden comes as GAPs."""
        replay = Replay(self._annotations, cluster)
        last, source = 0, ""
        for write in in_version_order(self._once(self._runs.sorted())):
            last, source = max(last, write.at_us), write.source
            yield from replay.observe(write)
        yield from replay.finish(last, source)
        for low, high in self._looking.watched() if self.statuses > self.hidden else ():
            yield Observation("WATCHED", KubeObject(), high, high, cluster, source, (low, high))
        left_out = {"audit_uid_unknown": replay.unresolved, "audit_name_unknown": replay.unnamed}
        self.counts.update({name: count for name, count in (left_out | {"odd_patch": replay.unfit}).items() if count})

    def complaint(self) -> str | None:
        """Say what the audit policy hides, and how to change it; None when all is well."""
        if self.statuses and not self.hidden:
            return None
        what = (
            f"{self.hidden:,} of {self.statuses:,} writes of pods/status came without a body (level Metadata, or cut)"
        )
        return (
            "cannot know addresses from the audit log: "
            f"{what if self.statuses else 'it has no writes of pods/status, which is what kubelets say of pods'}; "
            f"put this rule before all others in the audit policy: {RULE}"
        )

    def _once(self, writes: Iterator[Write]) -> Iterator[Write]:
        """Leave out what stands in two files: same ID, same time."""
        seen: OrderedDict[tuple[str, int], int] = OrderedDict()
        for one in writes:
            mark = (one.audit_id, one.at_us)
            if one.audit_id and mark in seen:
                self.counts["audit_twice"] += 1
                self._looking.same(seen[mark], one.file)
                continue
            seen[mark] = one.file
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
            yield one


def in_version_order(writes: Iterator[Write]) -> Iterator[Write]:
    """Yield writes by time, but those of one object by resourceVersion within the window.

    Several apiservers are several clocks; the version is one order for all. Memory: the writes of the window.
    """
    waiting: deque[Write] = deque()
    versioned: dict[Key, list[Write]] = {}
    given: set[int] = set()

    def release(limit: int) -> Iterator[Write]:
        while waiting and waiting[0].at_us < limit:
            one = waiting.popleft()
            if id(one) in given:
                given.discard(id(one))
                continue
            line = versioned.get(one.key(), [])
            earlier = sorted((it for it in line if it.version < one.version), key=lambda it: it.version)
            for it in earlier if one.version >= 0 else ():
                given.add(id(it))
                line.remove(it)
                yield it
            if one.version >= 0:
                line.remove(one)
            if not line:
                versioned.pop(one.key(), None)
            yield one

    for write in writes:
        yield from release(write.at_us - WINDOW_US)
        waiting.append(write)
        if write.version >= 0:
            versioned.setdefault(write.key(), []).append(write)
    yield from release(AFTER_ALL)


def _write(event: AuditEvent, at: int, source: str, file: int, annotations: frozenset[str]) -> Write | None:
    """Reduce an event to what is kept of it; None when it changed nothing that is read."""
    ref = event.objectRef or Reference()
    kind = KINDS.get((ref.apiGroup, ref.resource))
    code = event.responseStatus.code if event.responseStatus else None
    if kind is None or event.verb not in WRITES or (code is not None and code >= 300):
        return None
    if ref.subresource not in WHOLE and ref.subresource not in ACTS:
        return None
    asked, answer = _body(event.requestObject), _body(event.responseObject)
    if isinstance(asked, list) and (event.verb != "patch" or code == 201):
        asked = None  # a list of operations makes no object
    if _rehearsed(event.requestURI, asked):
        return None
    act = ref.subresource in ACTS or event.verb.startswith("delete")
    if isinstance(asked, dict) and not act and kind != "Lease":
        asked = reduced(asked, annotations)
    if isinstance(answer, dict) and isinstance(answer.get("items"), list):
        answer = {"items": [reduced(one, annotations) for one in answer["items"] if isinstance(one, dict)]}
    elif isinstance(answer, dict):
        # Google names the type in a field of its own.
        answer["kind"] = answer.get("kind") or str(answer.get("@type")).rpartition(".")[2]
        answer = reduced(answer, annotations) if answer["kind"] in (kind, BRIEF) and kind != "Lease" else None
    name = ref.name or _named(answer) or _named(asked)
    made = (event.verb == "create" and not ref.subresource) or (code == 201 and event.verb in ("patch", "update"))
    user = event.user.username if event.user else ""
    return Write(
        at, min(time_us(event.requestReceivedTimestamp) or at, at), kind, event.verb, ref.subresource, ref.namespace,
        name, ref.uid, version_of(answer), made, user.startswith("system:node:"), event.requestURI,
        _packed(asked), _packed(answer), source, event.auditID, file,
    )  # fmt: skip


def _body(raw: Any) -> Any:
    """Return a body; None when it was not logged, or replaced by a word on its size."""
    if raw is msgspec.UNSET:
        return None
    found = msgspec.json.decode(raw)
    return found if isinstance(found, (dict, list)) else None


def _packed(body: Any) -> bytes:
    return msgspec.json.encode(body) if body is not None else b""


def _named(body: Any) -> str:
    meta = body.get("metadata") if isinstance(body, dict) else None
    name = meta.get("name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else ""


def _rehearsed(uri: str, asked: Any) -> bool:
    """Say whether the write was a dry run, be it said in the address or in the body."""
    inner = asked.get("deleteOptions") if isinstance(asked, dict) else None
    bodies = [one for one in (asked, inner) if isinstance(one, dict)]
    return "dryRun=" in uri.partition("?")[2] or any(one.get("dryRun") for one in bodies)

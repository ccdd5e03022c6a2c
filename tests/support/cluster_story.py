"""Objects, evidence and flows made by hand, with times in seconds after T0, and short forms of the answers.

Objects look as an apiserver sends them. Times in objects are whole seconds, as kubelets and apiservers write them.
"""

from __future__ import annotations

import copy
import ipaddress
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from enrich import History, Namer, NamingOptions
from enrich.naming.who import Answer, HoldView, timeline, who_at
from ingest.cluster import EvidenceReport
from whowas.history.queries import load_history
from whowas.schema import flow_schema

T0 = 1_763_683_200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Thing = dict[str, Any]
Owner = tuple[str, str, str]
HOUR = 3600.0


def us(seconds: float) -> int:
    """Seconds after T0 as microseconds since 1970."""
    return T0 * 1_000_000 + round(seconds * 1_000_000)


def stamp(seconds: float) -> str:
    """A time as Kubernetes writes it into objects: whole seconds, cut off."""
    return (EPOCH + timedelta(seconds=us(seconds) // 1_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def receipt(seconds: float) -> str:
    """A time as a recorder writes it."""
    return (EPOCH + timedelta(microseconds=us(seconds))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dated(name: str, seconds: float | None) -> Thing:
    """{name: time}, or nothing where there is no time."""
    return {} if seconds is None else {name: stamp(seconds)}


@dataclass
class Pod:
    """A pod that a test changes step by step; `json` is what the API has of it now.

    sandbox, ready: condition (true, since). deleted: (deletionTimestamp, grace in seconds). owner: (kind, name, uid).
    A pod's container: none yet, running since `started`, or ended at `finished`; before: (start, end) of the last run.
    """

    name: str
    ips: Sequence[str] = ()
    created: float = 0
    uid: str = ""
    namespace: str = "shop"
    node: str = "node-1"
    phase: str = "Running"
    scheduled: float | None = None
    sandbox: tuple[bool, float] | None = None
    started: float | None = None
    finished: float | None = None
    restarts: int = 0
    before: tuple[float, float] | None = None
    deleted: tuple[float, int] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    host: bool = False
    ports: Sequence[tuple[int, str]] = ()
    reason: str = ""

    def json(self) -> Thing:
        """The whole object."""
        spec: Thing = {"nodeName": self.node, "hostNetwork": self.host, "serviceAccountName": "default"}
        ports = [{"containerPort": port, "protocol": protocol} for port, protocol in self.ports]
        spec["containers"] = [{"name": "main", "image": "registry.example/app:1", "ports": ports}]
        return {"kind": "Pod", "apiVersion": "v1", "metadata": self._meta(), "spec": spec, "status": self._status()}

    def _meta(self) -> Thing:
        meta: Thing = {"name": self.name, "namespace": self.namespace, "uid": self.uid or f"uid-{self.name}"}
        meta |= {"labels": dict(self.labels), "annotations": dict(self.notes)} | dated(
            "creationTimestamp", self.created
        )
        if self.owner:
            meta["ownerReferences"] = [owner_reference(self.owner)]
        if self.deleted:
            meta |= dated("deletionTimestamp", self.deleted[0]) | {"deletionGracePeriodSeconds": self.deleted[1]}
        return meta

    def _status(self) -> Thing:
        since = self.created if self.scheduled is None else self.scheduled
        conditions = [{"type": "PodScheduled", "status": "True"} | dated("lastTransitionTime", since)]
        if self.sandbox:
            state = "True" if self.sandbox[0] else "False"
            kind = "PodReadyToStartContainers"
            conditions.append({"type": kind, "status": state} | dated("lastTransitionTime", self.sandbox[1]))
        status: Thing = {"phase": self.phase, "conditions": conditions} | dated("startTime", since)
        if self.reason:
            status["reason"] = self.reason
        if self.ips:
            status |= {"podIP": self.ips[0], "podIPs": [{"ip": one} for one in self.ips]}
        box = {"name": "main", "restartCount": self.restarts, "state": self._state()}
        if self.before:
            box["lastState"] = {"terminated": dated("startedAt", self.before[0]) | dated("finishedAt", self.before[1])}
        return status | {"containerStatuses": [box]}

    def _state(self) -> Thing:
        if self.finished is not None:
            return {
                "terminated": {"exitCode": 0} | dated("startedAt", self.started) | dated("finishedAt", self.finished)
            }
        if self.started is not None:
            return {"running": dated("startedAt", self.started)}
        return {"waiting": {"reason": "ContainerCreating"}}


def owner_reference(owner: Owner) -> Thing:
    kind, name, uid = owner
    return {"apiVersion": "x/v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def thing(
    kind: str, name: str, uid: str = "", created: float = -HOUR, owner: Owner | None = None, **more: Any
) -> Thing:
    """Any other object: a ReplicaSet, a Job, the start of a Service or Node."""
    meta: Thing = {"name": name, "namespace": "shop", "uid": uid or f"uid-{kind}-{name}"}
    meta |= dated("creationTimestamp", created)
    if owner:
        meta["ownerReferences"] = [owner_reference(owner)]
    return {"kind": kind, "apiVersion": "x/v1", "metadata": meta} | more


def service(name: str, *ips: str, uid: str = "", created: float = -HOUR, **more: Any) -> Thing:
    """A Service; more: externalIPs, ports, balancer (addresses of its load balancer)."""
    balancer = [{"ip": one} for one in more.pop("balancer", ())]
    spec = {"clusterIP": ips[0] if ips else "None", "clusterIPs": list(ips)} | more
    return thing("Service", name, uid, created, spec=spec, status={"loadBalancer": {"ingress": balancer}})


def node(name: str, *ips: str, cidr: str = "10.244.1.0/24", created: float = -HOUR, **notes: str) -> Thing:
    """A Node; notes: its annotations."""
    addresses = [{"type": "InternalIP", "address": one} for one in ips] + [{"type": "Hostname", "address": name}]
    made = thing("Node", name, "", created, spec={"podCIDR": cidr, "podCIDRs": [cidr]}, status={"addresses": addresses})
    del made["metadata"]["namespace"]
    made["metadata"]["labels"] = {"topology.kubernetes.io/zone": "zone-a"}
    made["metadata"]["annotations"] = dict(notes)
    return made


def endpoint_slice(name: str, of: str, *pods: str, created: float = -HOUR) -> Thing:
    """An EndpointSlice of a Service that lists pods by UID."""
    targets = [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "uid": uid}} for uid in pods]
    made = thing("EndpointSlice", name, "", created, endpoints=targets)
    made["metadata"]["labels"] = {"kubernetes.io/service-name": of}
    return made


@dataclass
class Story:
    """What a watch tells, event by event. Unless told otherwise it watched from `since` to `until` without a gap."""

    since: float | None = -60
    until: float | None = 1000
    cluster: str | None = None
    told: list[str] = field(default_factory=list)
    version: int = 1000

    def tell(self, when: float | None, verb: str, what: Pod | Thing, **more: Any) -> Story:
        """An event with its time of receipt (None: nobody wrote it down)."""
        made = copy.deepcopy(what if isinstance(what, dict) else what.json())
        self.version += 1
        made["metadata"].setdefault("resourceVersion", str(self.version))
        line: Thing = {"type": verb, "object": made} | more
        if when is not None:
            line["received"] = receipt(when)
        if self.cluster:
            line["cluster"] = self.cluster
        self.told.append(json.dumps(line))
        return self

    def gap(self, low: float, high: float) -> Story:
        """The watch was blind from `low` to `high`."""
        self.told.append(json.dumps({"type": "GAP", "from": receipt(low), "to": receipt(high)}))
        return self

    def bookmark(self, when: float) -> Story:
        """The watch was alive then."""
        return self.tell(when, "BOOKMARK", {"kind": "Pod", "metadata": {}})

    def listing(self, when: float | None, *things: Pod | Thing) -> Story:
        """A list: what stood at one moment."""
        items = [one if isinstance(one, dict) else one.json() for one in things]
        line: Thing = {"kind": "List", "apiVersion": "v1", "items": items}
        self.told.append(json.dumps(line | ({} if when is None else {"received": receipt(when)})))
        return self

    def lines(self) -> list[str]:
        """The evidence, one value a line."""
        alive = Story(cluster=self.cluster)
        if self.since is not None:
            last = self.since if self.until is None else self.until
            for when in range(int(self.since), int(last), 60):
                alive.bookmark(when)
            alive.bookmark(self.since)
        if self.until is not None:
            alive.bookmark(self.until)
        return [*alive.told[:-1], *self.told, *alive.told[-1:]]

    def history(self) -> History:
        """Read the evidence as a user's file would be read; nothing in it may be refused."""
        return history(self.lines())


def history(lines: Sequence[str]) -> History:
    """Derive a history from lines of evidence, by way of a file."""
    report = EvidenceReport()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        known = load_history(path, report=report)
    assert report.whole()
    assert not report.refused
    return known


def live(story: Story, name: str, ip: str, born: float = 0, **more: Any) -> Pod:
    """Tell of a pod that comes up as most do: possible from `born`, certain from born + 2 on."""
    pod = Pod(name, created=born, phase="Pending", **more)
    story.tell(born + 0.1, "ADDED", pod)
    pod.ips, pod.phase, pod.sandbox, pod.started = (ip,), "Running", (True, born + 1), born + 2
    story.tell(born + 2.5, "MODIFIED", pod)
    return pod


def complete(story: Story, pod: Pod, finished: float, told: float) -> None:
    """Tell that a pod's containers ended and that its phase is terminal; its address stays in the status."""
    pod.phase, pod.finished, pod.sandbox = "Succeeded", finished, (False, told)
    story.tell(told, "MODIFIED", pod)


def at(known: History, ip: str, seconds: float, **options: Any) -> Answer:
    """Who held an address at a moment."""
    return who_at(known, ip, us(seconds), NamingOptions(**options))


def said(known: History, ip: str, *moments: float, **options: Any) -> list[str]:
    """The answers at some moments, short: `exact web`, `ambiguous a|b`, `none`."""
    return [brief(at(known, ip, one, **options)) for one in moments]


def brief(answer: Answer) -> str:
    """One answer in short: the word, then who."""
    names = [answer.holder.name] if answer.holder else sorted(one.name for one in answer.candidates)
    return " ".join([answer.confidence, *(["|".join(names)] if names else [])])


def held(known: History, ip: str) -> list[tuple[str, str]]:
    """Every (name, uid) that ever held an address, oldest first."""
    views: list[HoldView] = timeline(known, ip)
    return [(one.name, one.uid) for one in views]


def flow(src: str, dst: str, start: float, end: float | None = None, **more: Any) -> Thing:
    """One flow as ingest yields it; more: any column by its name."""
    row: Thing = {one.name: None for one in flow_schema()}
    for side, ip in (("src", src), ("dst", dst)):
        number = ipaddress.ip_address(ip)
        mapped = number if number.version == 6 else ipaddress.ip_address(f"::ffff:{ip}")
        row |= {f"{side}_ip": ip, f"{side}_ip16": mapped.packed, f"{side}_port": 40000 if side == "src" else 8080}
    row |= {"flow_id": f"{us(start):032x}", "start_time": us(start), "end_time": us(start if end is None else end)}
    return row | {"protocol": "tcp", "protocol_number": 6} | more


def batch(*flows: Thing) -> Any:
    """Flows as a batch."""
    schema = flow_schema()
    columns = [pa.array([one[want.name] for one in flows], type=want.type) for want in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def named(known: History, *flows: Thing, **options: Any) -> list[Thing]:
    """Name flows; rows as plain values."""
    rows: list[Thing] = Namer(known, NamingOptions(**options)).name(batch(*flows)).to_pylist()
    return rows

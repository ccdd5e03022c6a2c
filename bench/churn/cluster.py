"""What people and controllers do to pods: make, delete, force, scale; and the controllers that answer them."""

from __future__ import annotations

import random
from typing import Any

from bench.churn.addresses import WAYS
from bench.churn.kubelet import Kubelets
from bench.churn.pod import Plan, Pod
from bench.churn.times import SECOND, START, stamp
from bench.churn.truth import NEVER, Hold, Sight, Versions
from bench.churn.world import Change, Node, Object, Process, World

NAMESPACE = "shop"


class Cluster(World):
    """A world with the verbs of kubectl, and with Services, ReplicaSets and Jobs."""

    def __init__(self, seed: int, name: str = "sim", salt: str = "") -> None:
        super().__init__(seed, name, salt)
        self.kubelets = Kubelets(self)
        self.pods: list[Pod] = []
        self.selectors: dict[str, tuple[str, str]] = {}
        self.virtual: dict[str, Hold] = {}
        self.controllers.append(self._endpoints)
        self.owners: dict[tuple[str, str], Object] = {}
        for namespace in (NAMESPACE, "kube-system"):
            self.write("ADDED", self._bare("Namespace", "v1", "", namespace, f"ns-{namespace}"), request="create")

    def build(self, addresses: int, way: str | None, offsets: tuple[float, ...], latest: float = 6.0) -> None:
        """Add one node for each clock offset."""
        for number, offset in enumerate(offsets):
            chosen = way or self.dice.choice(WAYS)
            self.add_node([f"10.77.{number}.{n + 2}" for n in range(addresses)], chosen, latest, offset)

    def _bare(self, kind: str, version: str, namespace: str, name: str, uid: str) -> Object:
        meta = {"name": name, "uid": uid, "creationTimestamp": stamp(self.now)}
        if namespace:
            meta["namespace"] = namespace
        return {"kind": kind, "apiVersion": version, "metadata": meta}

    # Pods.

    def create(self, name: str, node: Node, plan: Plan | None = None, **more: Any) -> Pod:
        """Make a pod: the object, its binding, its life. more: fields of Pod; workload: its true owner's name."""
        workload = more.pop("workload", name)
        uid = more.pop("uid", None) or self.uid()
        labels = more.pop("labels", None) or {"app": workload}
        namespace = more.pop("namespace", NAMESPACE)
        pod = Pod(name, namespace, uid, node, self.now, plan or Plan(), labels, **more)
        self.pods.append(pod)
        self.workloads[uid], self.names[uid] = workload, f"{namespace}/{name}"
        self.labels.setdefault(uid, Versions()).put(self.now, dict(labels))
        for ip in pod.plan.wanted:
            (node.pool6 if ":" in ip and node.pool6 else node.pool).keep(ip, uid)
        self.write("ADDED", pod.json(), Sight(uid), "create")
        pod.task = self.start(self._bound(pod), pod.plan.bind)
        return pod

    def _bound(self, pod: Pod) -> Process:
        pod.bound = self.now
        self.kubelets.update(pod, "binding")
        pod.node.pods[pod.uid] = pod
        yield from self.kubelets.live(pod)

    def delete(self, pod: Pod, grace: int = 30) -> None:
        """Ask for a graceful end. What is over already goes at once."""
        if pod.gone or (pod.deletion and pod.deletion[1] <= grace):
            return
        shown = pod.published[0]["phase"] if pod.published else "Pending"
        if shown in ("Succeeded", "Failed") or pod.bound is None:
            pod.deletion = (self.now, 0)
            if pod.task and pod.bound is None:
                pod.task.cancelled = True
            self.kubelets.remove(pod)
            return
        pod.deletion = (self.now + grace * SECOND, grace)
        self.kubelets.update(pod, "delete")
        if pod.phase not in ("Succeeded", "Failed"):
            if pod.task:
                pod.task.cancelled = True
            delay = self.dice.uniform(0.001, 0.1)
            pod.task = self.start(self.kubelets.terminate(pod, grace), delay)
        else:
            pod.then = lambda: self.start(self.kubelets._last_delete(pod), 0.01)
            self.kubelets.dirty(pod)

    def force(self, pod: Pod) -> None:
        """Delete with grace 0 and force: the object goes at once, its containers do not."""
        if pod.gone:
            return
        pod.deletion = (self.now, 0)
        self.kubelets.update(pod, "delete")
        if pod.task and pod.phase not in ("Succeeded", "Failed"):
            pod.task.cancelled = True
            pod.task = self.start(self.kubelets.killed(pod))
        self.after(self.dice.uniform(0.001, 0.005), self.kubelets.remove, pod)

    def interrupt(self, pod: Pod, steps: Process) -> None:
        """Let something else happen to a pod than what it was about to do; not while its sandbox is being made anew."""
        if pod.renewed:
            return
        if pod.task:
            pod.task.cancelled = True
        pod.task = self.start(steps)

    def relabel(self, pod: Pod, labels: dict[str, str]) -> None:
        """Change labels in place."""
        if not pod.gone:
            pod.labels = dict(labels)
            self.labels[pod.uid].put(self.now, dict(labels))
            self.kubelets.update(pod, "patch")

    # Owners.

    def owner(self, kind: str, name: str, above: Object | None = None) -> Object:
        """Make a ReplicaSet, Job, StatefulSet …; returns what an ownerReference says of it."""
        uid = self.uid()
        version = {"Job": "batch/v1", "CronJob": "batch/v1", "Node": "v1"}.get(kind, "apps/v1")
        if kind in ("ReplicaSet", "Job", "CronJob"):
            thing = self._bare(kind, version, NAMESPACE, name, uid)
            if above:
                thing["metadata"]["ownerReferences"] = [above | {"controller": True}]
            self.write("ADDED", thing, request="create")
            self.owners[kind, uid] = thing
        return {"apiVersion": version, "kind": kind, "name": name, "uid": uid}

    def collect(self, reference: Object) -> None:
        """The garbage collector removes an owner."""
        thing = self.owners.pop((reference["kind"], reference["uid"]), None)
        if thing:
            self.write("DELETED", thing, request="delete")

    def deployment(self, name: str) -> tuple[Object, str]:
        """A Deployment's ReplicaSet: (ownerReference, its name)."""
        token = "".join(self.dice.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(10))
        above = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": self.uid()}
        return self.owner("ReplicaSet", f"{name}-{token}", above), f"{name}-{token}"

    # Services.

    def service(self, name: str, ip: str, selector: tuple[str, str], port: int = 80, node_port: int = 0) -> str:
        """Make a Service and its EndpointSlice; returns its UID."""
        uid = self.uid()
        thing = self._bare("Service", "v1", NAMESPACE, name, uid)
        ports: Object = {"port": port, "protocol": "TCP"} | ({"nodePort": node_port} if node_port else {})
        thing["spec"] = {"clusterIP": ip, "clusterIPs": [ip], "ports": [ports],
                         "selector": dict([selector]), "type": "NodePort" if node_port else "ClusterIP"}  # fmt: skip
        self.write("ADDED", thing, request="create")
        hold = Hold(ip, [uid], self.now, kind="service", name=name, told=True)
        self.holds.append(hold)
        self.virtual[uid] = hold
        self.owners["Service", uid] = thing
        self.selectors[uid] = selector
        self.slices[uid] = set()
        self.after(0.05, self._slice, uid, "ADDED")
        return uid

    def drop_service(self, uid: str) -> None:
        """Delete a Service: its address is free at once."""
        thing = self.owners.pop(("Service", uid))
        self.virtual[uid].end = self.now
        self.write("DELETED", thing, request="delete")
        self.selectors.pop(uid)
        self._slice(uid, "DELETED")

    def _endpoints(self, change: Change) -> None:
        """The EndpointSlice controller: some time after a pod's write, slices follow."""
        if change.kind == "Pod":
            for uid in list(self.selectors):
                self.after(self.dice.uniform(0.03, 0.4), self._slice, uid, "MODIFIED")

    def _members(self, selector: tuple[str, str]) -> set[str]:
        """Pods that a slice lists: labels fit, an address is known, not over, not gone."""
        found = set()
        for one in self.pods:
            if one.gone or one.labels.get(selector[0]) != selector[1] or not one.published:
                continue
            status = one.published[0]
            if status.get("podIP") and status["phase"] not in ("Succeeded", "Failed"):
                found.add(one.uid)
        return found

    def _slice(self, uid: str, verb: str) -> None:
        if verb != "DELETED" and uid not in self.selectors:
            return
        now = self._members(self.selectors[uid]) if verb != "DELETED" else set()
        if verb == "MODIFIED" and now == self.slices[uid]:
            return
        name = self.virtual[uid].name
        thing = self._bare("EndpointSlice", "discovery.k8s.io/v1", NAMESPACE, f"{name}-x", f"{uid}-slice")
        thing["metadata"]["labels"] = {"kubernetes.io/service-name": name}
        thing["metadata"]["creationTimestamp"] = stamp(self.virtual[uid].start)
        thing["addressType"] = "IPv4"
        listed = sorted(now if verb != "DELETED" else self.slices[uid])
        thing["endpoints"] = [{"targetRef": {"kind": "Pod", "uid": one}} for one in listed]
        self.write(verb, thing)
        for one in now ^ self.slices[uid]:
            served = sorted(
                self.virtual[up].name for up in self.slices if one in (now if up == uid else self.slices[up])
            )
            self.services.setdefault(one, Versions()).put(self.now, ",".join(served))
        self.slices[uid] = now

    def background(self, seconds: float, rate: float = 0.8) -> None:
        """Pods of all kinds come and go, see background.py."""
        from bench.churn.background import churn

        self.start(churn(self, self.now + int(seconds * SECOND), rate))

    def finish(self, seconds: float) -> None:
        """Let time pass up to some seconds after the start."""
        self.run(START + int(seconds * SECOND))
        for one in self.holds:
            if one.end == NEVER:
                one.end = self.now


def offsets(dice: random.Random, count: int, spread: float) -> tuple[float, ...]:
    """Clock offsets of nodes, seconds; half of the nodes are right within some milliseconds."""
    if not spread:
        return (0.0,) * count
    return tuple(dice.uniform(-spread, spread) if dice.random() < 0.5 else dice.uniform(-0.02, 0.02)
                 for _ in range(count))  # fmt: skip

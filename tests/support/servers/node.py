"""A node that plays its pods' lives against a real apiserver, and writes down who held which address when.

What really happens and what is told of it are kept apart: holds begin and end by the node's own clock, and go to the
truth at once; statuses wait, as a kubelet's do, and only the newest version is written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from support.servers.addresses import Range
from support.servers.api import MERGE, Api, ApiError
from support.servers.lives import Life, Pod, publication_lag
from support.servers.pods import PODS, small
from support.servers.workloads import Workloads

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE_SECONDS = 10.0
AGAIN_SECONDS = 0.5
LOST_SECONDS = (1.0, 2.4)  # from the loss of a sandbox to its CNI DEL
NOTICED_SECONDS = 0.2  # until a kubelet knows of a deletion
After = Callable[..., None]  # (seconds, act, *arguments)


class Node:
    """One node: its addresses, its pods, and its writer of statuses. All of it runs in one thread."""

    def __init__(
        self, name: str, address: str, range: Range, api: Api, after: After, truth: Callable[[bytes], object],
        workloads: Workloads, seed: int,
    ) -> None:  # fmt: skip
        self.name = name
        self.address = address
        self.pods: dict[str, Pod] = {}
        self.lost_until = 0.0
        self.written = 0
        self.range = range
        self.after = after
        self._api = api
        self._truth = truth
        self._workloads = workloads
        self._seed = seed
        self._random = Random(f"{seed}/{name}")
        self._waiting: set[str] = set()

    def renew_lease(self) -> None:
        """Tell that the node lives, by its own clock, as a kubelet does every ten seconds; not while it is lost."""
        if time.time() >= self.lost_until:
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
            spec = {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": now}
            answer = self.ask("PATCH", f"{LEASES}/{self.name}", {"spec": spec})
            if answer is not None and answer.status == 404:
                self.ask("POST", LEASES, {"metadata": {"name": self.name}, "spec": spec})
        self.after(LEASE_SECONDS, self.renew_lease)

    # A life, step by step

    def create(self, life: Life, name: str = "") -> None:
        """Somebody creates a pod that is bound to this node."""
        labels, owners, named = self._workloads.of(life)
        manifest = small(name or named, self.name, labels, terminationGracePeriodSeconds=life.grace)
        manifest["metadata"] |= {"ownerReferences": owners}
        if life.shape == "held":
            manifest["metadata"]["finalizers"] = ["example.com/held"]
        uid = self._made(manifest)
        if uid is None:
            self.after(AGAIN_SECONDS, self.create, life, name)
            return
        pod = Pod(life, manifest["metadata"]["name"], self._workloads.namespace, uid, self.name, self.address)
        pod.lags = Random(f"{self._seed}/{life.number}/lags")
        self.pods[uid] = pod
        self.after(life.seen, self._see, pod)
        if life.shape == "flash":
            self.after(life.runs, self._delete, pod, life.tells_end)

    def _made(self, manifest: dict[str, Any]) -> str | None:
        """Create, and return the UID; None when it is to be tried again."""
        path = PODS.format(self._workloads.namespace)
        answer = self.ask("POST", path, manifest)
        if answer is not None and answer.status == 409:  # an earlier try went through, and its answer was lost
            answer = self.ask("GET", f"{path}/{manifest['metadata']['name']}")
        if answer is None or answer.status >= 300:
            return None
        return str(json.loads(answer.body)["metadata"]["uid"])

    def _see(self, pod: Pod) -> None:
        if pod.since:
            return
        pod.see(time.time())
        self._tell(pod)
        self.after(pod.life.sandbox, self._connect, pod, None)

    def _connect(self, pod: Pod, wanted: str | None) -> None:
        """The sandbox is made: the pod gets an address."""
        if pod.ending:
            return
        pod.address = self.range.take(wanted)
        if pod.address is None:
            self.after(0.2, self._connect, pod, wanted)
            return
        pod.held_since_us = time.time_ns() // 1000
        pod.network(True, time.time())
        if not pod.life.modern and self._random.random() < 0.5:
            pod.shown = pod.address
        self._tell(pod)
        self.after(pod.life.start, self._begin, pod)

    def _begin(self, pod: Pod) -> None:
        """The container starts."""
        if pod.ending or pod.address is None or (pod.runs and pod.runs[-1].finished is None):
            return
        if pod.renewed and not pod.stale:
            return
        first = not pod.runs
        pod.shown = pod.address
        pod.begin(time.time())
        self._tell(pod)
        if first:
            self._plan(pod)

    def _plan(self, pod: Pod) -> None:
        life = pod.life
        if life.shape in ("job", "failed"):
            self.after(life.runs, self._stop, pod)
        elif life.shape != "flash":
            self.after(life.runs, self._delete, pod, life.shape == "forced")
        if life.shape in ("moved", "renewed"):
            self.after(life.runs / 2, self.renew, pod)
        if life.shape == "crashing":
            for part in range(1, 4):
                self.after(life.runs * part / 4, self._crash, pod)

    def _crash(self, pod: Pod) -> None:
        if not pod.ending and pod.address is not None and not pod.renewed:
            pod.finish(time.time(), 1)
            self._tell(pod)
            self.after(_pause(pod.lags), self._begin, pod)

    def renew(self, pod: Pod) -> None:
        """The sandbox dies and is made anew, with the same address or another."""
        if pod.ending or pod.address is None or pod.renewed:
            return
        if pod.life.modern and pod.runs and pod.runs[-1].finished is None:
            # The loss is told with the address, and a run that goes on; seconds later the address goes back.
            pod.renewed = True
            pod.network(False, time.time())
            self._tell(pod)
            self.after(pod.lags.uniform(*LOST_SECONDS), self._lose, pod)
            return
        pod.finish(time.time(), 137)
        old = self._release(pod)
        pod.network(False, time.time())
        if pod.life.tells_end:
            pod.shown = None
        self._tell(pod)
        self.after(_pause(pod.lags), self._connect, pod, old if pod.life.shape == "renewed" else None)

    def _lose(self, pod: Pod) -> None:
        """The lost sandbox goes. When the next is ready, it is told with the old address and the old run once more."""
        if pod.ending or pod.address is None:
            return
        pod.stale = True
        pod.finish(time.time(), 137)
        old = self._release(pod)
        self.after(_pause(pod.lags), self._connect, pod, old if pod.life.shape == "renewed" else None)

    def _delete(self, pod: Pod, force: bool) -> None:
        """Somebody deletes the pod."""
        if pod.removed:
            return
        grace = 0 if force else pod.life.grace
        answer = self.ask("DELETE", self._path(pod), _deletion(pod, grace))
        if answer is None:
            self.after(AGAIN_SECONDS, self._delete, pod, force)
            return
        self.notice_deletion(pod, gone=answer.status >= 300 or _at_once(answer.body))

    def notice_deletion(self, pod: Pod, gone: bool) -> None:
        """The kubelet comes to know of a deletion; later, while its node is lost. gone: the object went at once."""
        if gone:
            self._gone(pod)
        if pod.terminal:
            pod.deletion_noticed = True
            self._tell(pod)
        elif not pod.deletion_noticed:
            pod.deletion_noticed = True
            wait = max(0.0, self.lost_until - time.time()) + self._random.uniform(0, NOTICED_SECONDS)
            self.after(wait, self._end, pod)

    def _gone(self, pod: Pod) -> None:
        """The object is removed, but for its finalizer; what the node still has of it lives on."""
        if pod.removed:
            return
        pod.removed = True
        if pod.terminal:
            self.pods.pop(pod.uid, None)
        if pod.life.shape == "held":
            self.after(pod.life.rests, self._let_object_go, pod)
        if pod.life.shape == "ordinal":
            self._workloads.free_ordinal(pod.name)

    def _end(self, pod: Pod) -> None:
        if pod.terminal:  # it ended by itself meanwhile
            self._tell(pod)
            return
        self._see(pod)
        pod.ending = True
        patience = 0.1 if pod.life.shape == "flash" else pod.life.grace
        self.after(min(pod.life.shutdown, patience), self._stop, pod)

    def _stop(self, pod: Pod) -> None:
        """The container ends; the sandbox still has its address."""
        if pod.stopping or (pod.address is None and not pod.ending):
            if not pod.stopping:  # its sandbox is being made anew just now
                self.after(AGAIN_SECONDS, self._stop, pod)
            return
        pod.ending = pod.stopping = True
        pod.stale = False
        pod.finish(time.time(), 1 if pod.life.shape == "failed" else 0)
        if pod.life.tells_end:
            self._tell(pod)
        self.after(pod.life.release, self._let_go, pod)

    def _let_go(self, pod: Pod) -> None:
        """The sandbox goes: the address is free. Only now the end is told."""
        if pod.address is not None:
            self._release(pod)
        pod.network(False, time.time())
        pod.terminal = True
        pod.phase = "Failed" if pod.life.shape == "failed" else "Succeeded"
        self._tell(pod, blank=pod.life.blanked)
        if pod.life.blanked:
            self.after(1.0, self._tell, pod)
        if pod.removed:
            self.pods.pop(pod.uid, None)
        elif not pod.deletion_noticed:
            self.after(pod.life.rests, self._delete, pod, False)

    def _release(self, pod: Pod) -> str:
        address, pod.address = pod.address, None
        assert address is not None
        self.write_down(pod, address, time.time_ns() // 1000)
        self.range.give_back(address)
        return address

    # The truth

    def write_down(self, pod: Pod, address: str, end_us: int | None, **more: Any) -> None:
        """Write a hold to the truth; end None: it lasts."""
        told: dict[str, Any] = {
            "uid": pod.uid, "ip": address, "start_us": pod.held_since_us, "end_us": end_us,
            "taken_up_us": round(pod.since * 1e6), "node": self.name,
            "namespace": pod.namespace, "name": pod.name, "shape": pod.life.shape, "number": pod.life.number,
        }  # fmt: skip
        self._truth(json.dumps(told | more).encode() + b"\n")

    def close(self) -> None:
        """Write down the holds that last."""
        for pod in self.pods.values():
            if pod.address is not None:
                self.write_down(pod, pod.address, None)

    # What is told

    def _tell(self, pod: Pod, blank: bool = False) -> None:
        """Make the newest version of the status; it is written when its time comes, with what is newest then."""
        pod.version(blank)
        if pod.uid not in self._waiting and not pod.removed:
            self._waiting.add(pod.uid)
            self.after(publication_lag(pod.lags), self._write, pod)

    def _write(self, pod: Pod) -> None:
        if pod.removed:
            self._waiting.discard(pod.uid)
            return
        lost = self.lost_until - time.time()
        if lost > 0:
            self.after(lost + self._random.uniform(0, 1), self._write, pod)
            return
        # With the UID: what is meant for one pod must not reach another of its name.
        told = {"metadata": {"uid": pod.uid}, "status": pod.status}
        answer = self.ask("PATCH", self._path(pod) + "/status", told)
        if answer is None:
            self.after(AGAIN_SECONDS, self._write, pod)
            return
        self._waiting.discard(pod.uid)
        self.written += answer.status < 300
        if pod.terminal and pod.deletion_noticed:
            self._remove(pod)

    def _remove(self, pod: Pod) -> None:
        """The kubelet's last word: the end is published, so the object may go."""
        if pod.removed:
            return
        if self.ask("DELETE", self._path(pod), _deletion(pod, 0)) is None:
            self.after(AGAIN_SECONDS, self._remove, pod)
            return
        self._gone(pod)

    def _let_object_go(self, pod: Pod) -> None:
        change = {"metadata": {"uid": pod.uid, "finalizers": None}}
        if self.ask("PATCH", self._path(pod), change) is None:
            self.after(AGAIN_SECONDS, self._let_object_go, pod)

    def _path(self, pod: Pod) -> str:
        return f"{PODS.format(pod.namespace)}/{pod.name}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request; None when the server is not there or too busy, so that it is to be sent again."""
        try:
            return self._api.write(method, path, body, MERGE if method == "PATCH" else "")
        except ApiError as refused:
            return refused if refused.status in (404, 409) else _unless_busy(refused)
        except OSError:
            return None


def _unless_busy(refused: ApiError) -> None:
    """None for a server that is busy or just starts. Raises: ApiError for a request that it will never take."""
    if refused.status < 429 and refused.status not in (401, 403):
        raise refused


def _deletion(pod: Pod, grace_seconds: int) -> dict[str, Any]:
    return {"gracePeriodSeconds": grace_seconds, "preconditions": {"uid": pod.uid}}


def _at_once(body: bytes) -> bool:
    """Say whether an object that was deleted did not wait for its grace."""
    return json.loads(body)["metadata"].get("deletionGracePeriodSeconds", 0) == 0


def _pause(random: Random) -> float:
    """Return how long a kubelet takes to make something anew, in seconds."""
    return random.uniform(0.1, 1.0)

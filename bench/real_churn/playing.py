"""One seed on a real control plane: the test kubelet's churn, recorded by `whowas watch` and by a second watcher."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.servers.addresses import POLICIES
from support.servers.api import Api, ApiError
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import dumb_watcher, settled
from support.servers.flags import controller_flags
from support.servers.kubelet import Churn, kubelet
from support.servers.pods import namespace
from support.servers.process import Server

from enrich.store.evidence_store import Cursor, EvidenceStore
from whowas.errors import StoreError

KINDS = 9
CLUSTER = "test"
# A kubelet that is late, or cut off for a while, tells within this; until then it is not known what cannot be known.
LATE_SECONDS = 25.0
RELABELS_SECONDS = 0.5
WATCHED = ("/api/v1/pods", "/api/v1/nodes", "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices")
SERVED = "/api/v1/namespaces/{}/services"


@dataclass(frozen=True)
class Recorded:
    """What one seed left behind, and between which moments (us) pods were looked at."""

    seed: int
    store: Path
    dumb: Path
    truth: Path
    first: int
    last: int
    told: str


def churn_of(seed: int, seconds: float, rate: float) -> Churn:
    """What is played: each seed gives addresses out again in one of the ways that CNIs do."""
    return Churn(seed=seed, seconds=seconds, rate=rate, nodes=16, addresses=24, workloads=8,
                 policy=POLICIES[seed % len(POLICIES)], settle_seconds=LATE_SECONDS)  # fmt: skip


def play(folder: Path, churn: Churn) -> Recorded:
    """Play it to the end. Raises: AssertionError when anything that should run does not."""
    store, dumb, truth = folder / "history.db", folder / "dumb.jsonl", folder / "truth.jsonl"
    with ControlPlane() as cluster:
        api = cluster.api()
        grant(api)
        _serve(api, churn)
        token = cluster.service_account_token(NAMESPACE, ACCOUNT)
        watched = cluster.kubeconfig("recorder", token=token)
        with dumb_watcher(cluster.kubeconfig(), dumb, WATCHED), _slices(cluster), recording(store, watched):
            first = wait_until(lambda: complete(store), 60)
            with kubelet(cluster.kubeconfig(), truth, churn) as player, _relabelling(api, churn):
                wait_until(lambda: player.pid is None, churn.seconds + churn.settle_seconds + 90)
                told = player.tail(1)
            settled(api, dumb)
            last = time.time_ns() // 1000 - 1_000_000
            wait_until(lambda: cursors(store)["Pod"].received_us > last, 90)
        assert told.startswith("{"), told
        return Recorded(churn.seed, store, dumb, truth, first, cursors(store)["Pod"].received_us, told)


@contextmanager
def recording(store: Path, kubeconfig: Path) -> Iterator[None]:
    """`whowas watch` while the block runs, ended in order."""
    words = ["watch", "--history", str(store), "--kubeconfig", str(kubeconfig), "--listen", "none"]
    with store.with_suffix(".log").open("wb") as log:
        running = subprocess.Popen([sys.executable, "-m", "whowas", *words], stderr=log)
    try:
        yield
        running.terminate()
        assert running.wait(30) == 0, store.with_suffix(".log").read_text()
    finally:
        running.kill()
        running.wait()


def cursors(store: Path) -> dict[str, Cursor]:
    """Up to where each kind is durable; empty before there is a store."""
    with contextlib.suppress(StoreError), contextlib.closing(EvidenceStore(store)) as opened:
        return opened.cursors(CLUSTER)
    return {}


def complete(store: Path) -> int:
    """When all first lists were complete, us; 0 before."""
    found = cursors(store)
    return max(one.received_us for one in found.values()) if len(found) >= KINDS else 0


def _serve(api: Api, churn: Churn) -> None:
    """A Service before each workload."""
    namespace(api, churn.namespace)
    for name in (*(f"app-{number}" for number in range(churn.workloads)), "db"):
        spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
        api.create(SERVED.format(churn.namespace), {"metadata": {"name": name}, "spec": spec})


@contextmanager
def _slices(cluster: ControlPlane) -> Iterator[None]:
    """The real EndpointSlice controller, and no other: others would set about the pods."""
    flags = controller_flags(cluster.folder, cluster.kubeconfig())
    flags = [one for one in flags if not one.startswith("--controllers=")]
    command = [str(cluster.binaries / "kube-controller-manager"), *flags, "--controllers=endpointslice-controller"]
    server = Server("kube-controller-manager", command, cluster.folder / "slices.log", lambda: True)
    server.start()
    try:
        yield
        assert server.pid is not None, server.tail()
    finally:
        server.kill()


@contextmanager
def _relabelling(api: Api, churn: Churn) -> Iterator[None]:
    """Somebody changes labels of living pods all the time: their statuses are written again as they were."""
    leave, dice = threading.Event(), random.Random(churn.seed)
    path = f"/api/v1/namespaces/{churn.namespace}/pods"

    def turn(number: int) -> None:
        living: list[Any] = api.list(path)[0]
        for one in dice.sample(living, min(len(living), 2)):
            change = {"metadata": {"uid": one["metadata"]["uid"], "labels": {"turn": str(number)}}}
            with contextlib.suppress(ApiError):
                api.patch(f"{path}/{one['metadata']['name']}", change)

    def run() -> None:
        number = 0
        while not leave.wait(RELABELS_SECONDS):
            number += 1
            turn(number)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        yield
    finally:
        leave.set()
        worker.join(20)

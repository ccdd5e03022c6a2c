"""The whole way on real parts: pods are network namespaces of two nodes on a real VXLAN, a test kubelet publishes them
to a real kube-apiserver, `whowas watch` records, and tcpdump captures what they say to each other.

Who opened and who accepted each connection is known from the sockets. Every end of every flow must be named rightly, or
be honestly uncertain: from the store while it is written, from the store after, and from a slice of it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from lab.network import Forward, Network
from make_overlay import start_capture, stop_capture
from support.needs import need
from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.recorder.witness import wait_for_version
from support.servers import pods
from support.servers.api import Api
from support.servers.control_plane import ControlPlane
from support.servers.kubelet import Clockwork
from support.servers.lives import SHAPES, Life, draw
from support.servers.real_node import Container, RealNode
from support.servers.traffic import BRIDGE, SERVICE, VIRTUAL, WIRE, Row, Traffic, Truth, key_of
from support.servers.workloads import Workloads

pytestmark = pytest.mark.long

SEED = int(os.environ.get("WHOWAS_END_TO_END_SEED", "4"))
SPACE = SERVICE[1]
TALK_SECONDS = 17.0
PODS_A_SECOND = 2.2
ADDRESSES = 8  # of each node; the lowest that is free is given out: mostly one that was given back just now
SIDES = ("src", "dst")


def lives() -> list[tuple[float, Life]]:
    """When which pod is created: one of each shape, then any."""
    drawn = [draw(SEED, number, 2, 3, 3.0) for number in range(round(TALK_SECONDS * PODS_A_SECOND))]
    for number, shape in enumerate(SHAPES):
        runs = drawn[number].runs
        drawn[number] = replace(drawn[number], shape=shape, runs=runs if shape == "flash" else max(runs, 2.5))
    return [(number / PODS_A_SECOND, life) for number, life in enumerate(drawn)]


def whowas(*words: object) -> list[str]:
    return [sys.executable, "-m", "whowas", *map(str, words)]


@dataclass
class Play:
    """Two nodes, their pods, what these say to each other, and who watches."""

    folder: Path
    cluster: ControlPlane
    network: Network = field(default_factory=lambda: Network(f"ww{os.getpid()}", 4789))
    clock: Clockwork = field(default_factory=Clockwork)

    def __post_init__(self) -> None:
        self.store, self.live = self.folder / "cluster.db", self.folder / "named-live"
        self.api: Api = self.cluster.api()
        self.nodes: list[RealNode] = []

    def set_up(self, stack: ExitStack) -> None:
        """Lay the network and register the nodes; the stack takes it all down."""
        stack.callback(self.network.down)
        self.network.up()
        pods.namespace(self.api, SPACE)
        workloads = Workloads(self.api, SPACE, 3)
        for host in self.network.nodes:
            self.api.create("/api/v1/nodes", pods.node(host.name, host.address, f"10.244.{host.number}.0/24"))
            node = RealNode(self.network, host, ADDRESSES, self.api, workloads, self.clock.after)
            stack.callback(node.stop)
            self.clock.after(0, node.renew_lease)
            self.nodes.append(node)

    def talk(self) -> list[Any]:
        """Let pods come, talk and go. Returns: all connections that were asked for."""
        traffic = Traffic(self.nodes, self.clock, TALK_SECONDS, SEED)
        for seconds, life in lives():
            self.clock.after(seconds, self.nodes[life.node].create, life)
        traffic.go_on()
        self.clock.run(traffic.until + 2)  # tcpdump sees a packet up to a second late
        return traffic.talks

    def open_service(self) -> None:
        """Start a pod on the second node and put a Service before it, in the API and in the kernel."""
        backend = replace(draw(SEED, 10_000, 2, 3, 3.0), shape="server", node=1, runs=600.0, start=0.05)
        self.nodes[1].create(backend, "api-0")
        self.run_while(lambda: not self.nodes[1].running, 10)
        self._publish_service(self.nodes[1].running[0])

    def _publish_service(self, backend: Container) -> None:
        port = {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}
        service = {"metadata": {"name": SERVICE[2]}, "spec": {"clusterIP": VIRTUAL, "ports": [port]}}
        self.api.create(f"/api/v1/namespaces/{SPACE}/services", service)
        target = {"kind": "Pod", "namespace": SPACE, "name": "api-0", "uid": backend.uid}
        conditions = {"ready": True, "serving": True, "terminating": False}
        slice = {
            "metadata": {"name": "api-1", "labels": {"kubernetes.io/service-name": SERVICE[2]}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [backend.address], "conditions": conditions, "targetRef": target}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
        self.api.create(f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices", slice)
        self.network.forward([Forward(VIRTUAL, 80, "tcp", backend.address, 8080)])

    def run_while(self, what: Any, most_seconds: float) -> None:
        """Play on while something is so."""
        until = time.monotonic() + most_seconds
        while what() and time.monotonic() < until:
            self.clock.run(time.monotonic() + 0.2)

    def name_while_it_ends(self) -> None:
        """Delete every pod, and replay against the store to which all of that is being written."""
        naming = subprocess.Popen(self.command(self.store, self.live))
        for node in self.nodes:
            node.delete_all()
        self.run_while(lambda: naming.poll() is None or any(node.pods for node in self.nodes), 25)
        assert naming.wait(60) == 0

    def command(self, history: Path, out: Path) -> list[str]:
        """Return the command that names all captures."""
        captures, how = sorted(self.folder.glob("*.pcap")), ("--count", "every", "--quiet")
        return whowas("replay", *captures, "--history", history, "--out", out, *how)

    def replay(self, history: Path) -> list[Row]:
        """Name all captures by a history."""
        out = self.folder / f"named-by-{history.name}"
        subprocess.run(self.command(history, out), check=True, timeout=60)
        return read(out)


def read(out: Path) -> list[Row]:
    from whowas.batch.replay import open_flows

    rows: list[Row] = open_flows(out).to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["observer"], row["flow_id"]))


@contextmanager
def capturing(play: Play) -> Iterator[None]:
    """Capture on the first node's bridge and on its wire."""
    where = play.network.nodes[0].namespace
    started = []
    try:
        for name, device in {BRIDGE: "cni0", WIRE: "eth0"}.items():
            started.append(start_capture(where, device, play.folder / f"{name}.pcap", 262_144))
        yield
        while started:
            stop_capture(started.pop())
    finally:
        for one in started:
            one.kill()
            one.communicate()


@contextmanager
def recording(play: Play) -> Iterator[None]:
    """Run `whowas watch` under the rights of deploy/; everything is listed and watched when this goes on."""
    grant(play.api)
    kubeconfig = play.cluster.kubeconfig("recorder", token=play.cluster.service_account_token(NAMESPACE, ACCOUNT))
    command = whowas("watch", "--history", play.store, "--kubeconfig", kubeconfig, "--listen", "none", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert any(json.loads(line)["ready"] for line in running.stdout)
            yield
            last = play.api.create(pods.PODS.format(SPACE), pods.small("last"))
            wait_for_version(play.store, int(last["metadata"]["resourceVersion"]))
            running.send_signal(signal.SIGINT)
            assert running.wait(15) == 0
        finally:
            running.kill()


@dataclass(frozen=True)
class Told:
    """What really happened, and what whowas says of it in three ways."""

    truth: Truth
    live: list[Row]
    ended: list[Row]
    sliced: list[Row]


@pytest.fixture(scope="module")
def told(needs_network_namespaces: None, servers_built: None, tmp_path_factory: pytest.TempPathFactory) -> Told:
    need(shutil.which("nft"), "'nft' is not installed")
    with ExitStack() as stack:
        play = Play(tmp_path_factory.mktemp("end-to-end"), stack.enter_context(ControlPlane()))
        play.set_up(stack)
        with recording(play):
            with capturing(play):
                play.open_service()
                talks = play.talk()
            play.name_while_it_ends()
        truth = Truth(play.nodes, talks)
        ended = play.replay(play.store)
        return Told(truth, read(play.live), ended, play.replay(export(play, ended)))


def export(play: Play, rows: list[Row]) -> Path:
    """Cut the history down to the time of the flows."""
    slice = play.folder / "slice.jsonl.zst"
    low, high = min(row["start_time"] for row in rows), max(row["end_time"] for row in rows)
    limits = [f"--from={low:%Y-%m-%dT%H:%M:%S.%fZ}", f"--to={high:%Y-%m-%dT%H:%M:%S.%fZ}"]
    subprocess.run(whowas("history", "export", play.store, slice, *limits), check=True, timeout=60)
    return slice


def test_the_hard_cases_happened(told: Told) -> None:
    """What follows proves little unless addresses changed hands at once, and pods talked when nobody expects it."""
    truth = told.truth
    changes = list(truth.changes())
    assert len([1 for before, after in changes if before["end_us"] // 10**6 == after["start_us"] // 10**6]) >= 3
    assert {one["shape"] for one in truth.holds} == set(SHAPES)
    talked = truth.talked()
    jobs = [after for before, after in changes if before["shape"] == "job" and truth.stood(before, after)]
    assert any((one["uid"], one["ip"]) in talked for one in jobs)
    forced = [one for one in truth.containers if one.shape == "forced"]
    assert any(moment > truth.gone[one.uid] for one in forced for moment in talked.get((one.uid, one.address), ()))


def test_every_connection_is_found(told: Told) -> None:
    found = {key_of(row) for row in told.ended}
    wanted = [key for talk in told.truth.talks if talk.token in told.truth.accepted for key in told.truth.keys(talk)]
    assert len(wanted) > 100
    assert set(wanted) - found == set()
    assert len([row for row in told.ended if row["dst_ip"] == VIRTUAL]) >= 5


@pytest.mark.parametrize("way", ["live", "ended", "sliced"])
def test_no_name_is_wrong(told: Told, way: str) -> None:
    rows: list[Row] = getattr(told, way)
    assert [found for row in rows for side in SIDES if (found := told.truth.wrong(row, side, way == "live"))] == []


@pytest.mark.parametrize("way", ["ended", "sliced"])
def test_what_is_well_inside_a_hold_is_exact(told: Told, way: str) -> None:
    """Of a forced delete nobody hears when it took effect: such a hold is never sure for long."""
    forced = {one["uid"] for one in told.truth.holds if one["shape"] == "forced"}
    words = [
        row[f"{side}_confidence"]
        for row in getattr(told, way)
        for side in SIDES
        if told.truth.is_inside(row, side) and not told.truth.at_end(row, side) & forced
    ]
    assert len(words) > 50
    assert words.count("exact") >= 0.9 * len(words), Counter(words)


def test_a_slice_tells_what_the_store_tells(told: Told) -> None:
    assert told.sliced == told.ended

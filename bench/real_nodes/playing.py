"""One seed: two real nodes, churn, `whowas watch` beside it, and captures. Runs in the hub's network namespace:

python -m bench.real_nodes.playing SEED SECONDS FOLDER
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.servers.api import Api
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import dumb_watcher

from bench.real_churn.playing import WATCHED, complete, cursors, recording
from bench.real_nodes.build import build
from bench.real_nodes.churning import PODS, Churner
from bench.real_nodes.nodes import Node

FLAGS = ("--bind-address=0.0.0.0", "--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP")
# The recorder goes on for so long: what a pod's silence proves takes a while.
AFTER_SECONDS = 70.0
CAPTURED = ("n1-cni0", "n2-cni0", "n1-eth0", "n1-any")
_TUNNEL = ("udp", "port", "8472")


def play(seed: int, seconds: float, folder: Path) -> None:
    """Play it to the end; leave history.db, dumb.jsonl, calls-n?.log, acts.jsonl and captures in the folder."""
    with contextlib.ExitStack() as ending:
        cluster = ending.enter_context(ControlPlane(controllers=True, flags=FLAGS))
        api = cluster.api()
        _allow_nodes(api)
        grant(api)
        nodes = [Node(cluster, number, build(), folder / f"n{number}") for number in (1, 2)]
        for number, node in enumerate(nodes, 1):
            ending.callback(node.close)
            node.start()
            _say_range(api, node.name, number)
        churner = Churner(api, nodes, seed, folder / "acts.jsonl")
        ending.callback(churner.close)
        churner.deployment("web", "n1", 2)
        churner.deployment("api", "n2", 2)
        churner.host("n1")
        wait_until(lambda: _running(api) >= 5, 90)
        ending.enter_context(dumb_watcher(cluster.kubeconfig(), folder / "dumb.jsonl", WATCHED))
        token = cluster.service_account_token(NAMESPACE, ACCOUNT)
        store = folder / "history.db"
        with recording(store, cluster.kubeconfig("recorder", token=token)):
            wait_until(lambda: complete(store), 60)
            _captured_churn(churner, nodes, seconds, folder)
            time.sleep(AFTER_SECONDS)
            last = time.time_ns() // 1000 - 1_000_000
            wait_until(lambda: cursors(store)["Pod"].received_us > last, 90)
        for node in nodes:
            (folder / f"calls-{node.name}.log").write_text(node.calls())


def _captured_churn(churner: Churner, nodes: list[Node], seconds: float, folder: Path) -> None:
    for node in nodes:
        node.capture("cni0", folder / f"{node.name}-cni0.pcap", 160)
    nodes[0].capture("eth0", folder / "n1-eth0.pcap", 220, *_TUNNEL)
    nodes[0].capture("any", folder / "n1-any.pcap", 220, "net", "10.244.0.0/16", "or", *_TUNNEL, "or", "port", "9090")
    churner.run(seconds)
    for node in nodes:
        node.stop_captures()


def _allow_nodes(api: Api) -> None:
    """Without the Node authorizer nobody is bound to the role of nodes."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}
    binding = {"metadata": {"name": "nodes"}, "roleRef": role, "subjects": [group]}
    api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)


def _say_range(api: Api, name: str, number: int) -> None:
    """As the controller manager and flannel write it."""
    flannel = "flannel.alpha.coreos.com"
    notes = {f"{flannel}/backend-type": "vxlan", f"{flannel}/public-ip": f"10.10.0.1{number}"}
    cidr = f"10.244.{number}.0/24"
    spec = {"podCIDR": cidr, "podCIDRs": [cidr]}
    api.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": notes}, "spec": spec})


def _running(api: Api) -> int:
    return sum(pod["status"].get("phase") == "Running" for pod in api.list(PODS)[0])


if __name__ == "__main__":
    play(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))

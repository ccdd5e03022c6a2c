"""Nodes of the test kubelet whose pods are real: each sandbox is a network namespace on the samples' overlay, each
container a process in it that listens and talks. What is told of them stays as late and as coarse as a kubelet's word.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from lab import network as lab
from lab.cluster import Talker
from support.servers.addresses import Range
from support.servers.api import Api
from support.servers.lives import Pod
from support.servers.node import Node
from support.servers.workloads import Workloads

PORTS = [(8080, "TCP"), (9000, "UDP")]
ANSWER_BYTES = 400


class Sandboxes(Range):
    """A node's addresses as a CNI plugin gives them out: with an address comes a namespace that has it.

    The MAC follows the address, as some plugins do it: neighbours need not learn anew who has an address now.
    """

    def __init__(self, network: lab.Network, host: lab.Node, size: int) -> None:
        super().__init__(f"10.244.{host.number}.2", size, "lowest", Random(0))
        self.namespaces: dict[str, str] = {}
        self._network = network
        self._host = host

    def take(self, wanted: str | None = None) -> str | None:
        """Do a CNI ADD."""
        address = super().take(wanted)
        if address is not None:
            *_, node, last = map(int, address.split("."))
            namespace = self._network.add_pod(self._host, address, f"fd00:10:244:{node}::{last}")
            mac = f"0a:58:0a:f4:{node:02x}:{last:02x}"
            lab.run("ip", "-netns", namespace, "link", "set", "eth0", "address", mac)
            self.namespaces[address] = namespace
        return address

    def give_back(self, address: str) -> None:
        """Do a CNI DEL."""
        self._network.remove_pod(self._host, self.namespaces.pop(address))
        super().give_back(address)


@dataclass
class Container:
    """A process that ran in a pod; what it did can still be asked when it is gone."""

    uid: str
    shape: str
    host: lab.Node
    address: str
    talker: Talker
    ended: float | None = None


class RealNode(Node):
    """A node of the test kubelet on a namespace of the lab."""

    def __init__(self, network: lab.Network, host: lab.Node, size: int, api: Api, workloads: Workloads, after: Any):
        self.host = host
        self.sandboxes = Sandboxes(network, host, size)
        self.holds: list[bytes] = []
        self.containers: list[Container] = []
        self.published: set[tuple[str, str]] = set()
        self.gone: dict[str, float] = {}
        self.on_start: Callable[[Container], None] = lambda _: None
        super().__init__(host.name, host.address, self.sandboxes, api, after, self.holds.append, workloads, 1)

    @property
    def running(self) -> list[Container]:
        """The processes that can be talked to now."""
        return [one for one in self.containers if one.ended is None]

    def delete_all(self) -> None:
        """Somebody deletes every pod that is left."""
        for pod in list(self.pods.values()):
            self._delete(pod, False)

    def stop(self) -> None:
        """End the processes that still run."""
        for one in self.running:
            one.talker.stop()

    def _begin(self, pod: Pod) -> None:
        runs = len(pod.runs)
        super()._begin(pod)
        if len(pod.runs) > runs:
            assert pod.address is not None
            talker = Talker(self.sandboxes.namespaces[pod.address])
            talker.listen([pod.address], PORTS, ANSWER_BYTES)
            self.containers.append(Container(pod.uid, pod.life.shape, self.host, pod.address, talker))
            self.on_start(self.containers[-1])

    def _stop(self, pod: Pod) -> None:
        super()._stop(pod)
        self._reap(pod)

    def _crash(self, pod: Pod) -> None:
        super()._crash(pod)
        self._reap(pod)

    def _reap(self, pod: Pod) -> None:
        """End the process of a run that is over."""
        if pod.runs and pod.runs[-1].finished is not None:
            for one in self.running:
                if one.uid == pod.uid:
                    one.ended = time.time()
                    one.talker.stop()

    def _release(self, pod: Pod) -> str:
        self._reap(pod)
        return super()._release(pod)

    def _gone(self, pod: Pod) -> None:
        super()._gone(pod)
        self.gone.setdefault(pod.uid, time.time())

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request, and remember which addresses were told with it."""
        answer = super().ask(method, path, body)
        told = (body or {}).get("status", {}).get("podIP") if path.endswith("/status") else None
        if told and answer is not None and answer.status < 300:
            self.published.add((body["metadata"]["uid"], told))
        return answer

"""Pods that a node has by itself: one on the node's own network, and a static one with its mirror in the API."""

from __future__ import annotations

import json
import time
from random import Random

from support.servers.lives import Pod, draw
from support.servers.node import AGAIN_SECONDS, Node
from support.servers.pods import PODS, small


class Standing:
    """A pod that nobody deletes while the node plays.

    static: its sandbox holds an address of the node's range, runs before the API hears of it, and what the API shows is
    a mirror, removed and made again with another UID now and then; else the pod shares the node's address, and begins
    when it has been created, as that of a DaemonSet does.
    """

    def __init__(self, node: Node, namespace: str, static: bool, random: Random) -> None:
        name = f"{'static' if static else 'agent'}-{node.name}"
        self._manifest = small(name, node.name, {"app": name.split("-")[0]}, hostNetwork=not static)
        if static:
            source = {"kubernetes.io/config.mirror": "0f" * 16, "kubernetes.io/config.source": "file"}
            self._manifest["metadata"]["annotations"] = source
        self._node = node
        self._static = static
        self._random = random
        self._uids: list[str] = []
        self._pod = Pod(draw(0, 0, 1, 1, 1), name, namespace, "", node.name, node.address)

    def start(self) -> None:
        """A static pod's sandbox is there; the API hears of it later."""
        if self._static:
            self._pod.address = self._node.range.take()
            self._pod.held_since_us = time.time_ns() // 1000
            self._begin()
        self._node.after(self._random.uniform(0.1, 3), self._show)

    def _begin(self) -> None:
        pod, now = self._pod, time.time()
        pod.see(now)
        pod.shown = pod.address or pod.host
        pod.network(True, now)
        pod.begin(now)

    def _show(self) -> None:
        path = PODS.format(self._pod.namespace)
        answer = self._node.ask("POST", path, self._manifest)
        if answer is None or answer.status == 409:
            self._node.after(AGAIN_SECONDS, self._show)
            return
        self._uids.append(json.loads(answer.body)["metadata"]["uid"])
        if not self._pod.since:
            self._begin()
        self._node.ask("PATCH", f"{path}/{self._pod.name}/status", {"status": self._pod.version()})
        if self._static:
            self._node.after(self._random.uniform(4, 15), self._renew)

    def _renew(self) -> None:
        self._node.ask("DELETE", f"{PODS.format(self._pod.namespace)}/{self._pod.name}", {"gracePeriodSeconds": 0})
        self._node.after(self._random.uniform(0.1, 1), self._show)

    def close(self) -> None:
        """Write down the hold: it lasts, under every UID it had."""
        if self._pod.address is not None:
            self._pod.uid = (self._uids or [""])[0]
            self._node.write_down(self._pod, self._pod.address, None, shape="static", uids=self._uids)

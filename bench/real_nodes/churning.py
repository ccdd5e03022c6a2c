"""What is done to the cluster: Deployments, Jobs and bare pods come and go, by every way to end a pod."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.servers.api import Api, ApiError

from bench.real_nodes.build import TALK_IMAGE
from bench.real_nodes.nodes import LAST_HOST, Node
from bench.real_nodes.truth import read_calls

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
NAMES = ("web", "api")
MOST_PODS = LAST_HOST - 3  # of a node, so that an address is free when a pod comes
PORT, HOST_PORT = 8080, 9090
PAUSES = (0.3, 1.6)


def pod_spec(node: str, *flags: str, port: int = PORT, **spec: Any) -> dict[str, Any]:
    """Return the spec of a pod that serves, and asks every address of both nodes, held or not."""
    asked = [f"10.244.{number}.2-{LAST_HOST}:{PORT}" for number in (1, 2)]
    words = ["mesh", f"-port={port}", *flags, *asked, f"10.10.0.11-11:{HOST_PORT}", "10.10.0.1-1:7"]
    container = {"name": "talk", "image": TALK_IMAGE, "imagePullPolicy": "Never", "args": words,
                 "ports": [{"containerPort": port}]}  # fmt: skip
    return {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 2, **spec}


class Churner:
    """Does one thing after the other, chosen by a seed, and writes down what. Close it when done."""

    def __init__(self, api: Api, nodes: list[Node], seed: int, acts: Path) -> None:
        self._api, self._nodes, self._dice, self._number = api, nodes, random.Random(seed), 0
        self._acts = acts.open("w")
        self._ways: dict[Callable[[], None], float] = {
            self.job: 5, self.bare: 6, self.delete: 4, self.force: 2, self.sandbox: 2, self.scale: 2, self.roll: 1,
            self.sweep: 2, self.restart_kubelet: 0.3,
        }  # fmt: skip

    def close(self) -> None:
        """Close the list of what was done."""
        self._acts.close()

    def run(self, seconds: float) -> None:
        """Churn so long. What the API refuses, since a pod went in between, is passed over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            (act,) = self._dice.choices([*self._ways], [*self._ways.values()])
            with contextlib.suppress(ApiError, subprocess.CalledProcessError, ProcessLookupError):
                act()
            time.sleep(self._dice.uniform(*PAUSES))

    # What comes

    def deployment(self, name: str, node: str, replicas: int) -> None:
        """A Deployment and its Service; nodeName stands in the template, as there is no scheduler."""
        labels = {"app": name}
        spec = pod_spec(node)
        spec["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 3}
        template = {"metadata": {"labels": labels}, "spec": spec}
        deployment = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self._api.create(DEPLOYMENTS, {"metadata": {"name": name}, "spec": deployment})
        service = {"selector": labels, "ports": [{"port": 80, "targetPort": PORT}]}
        self._api.create(SERVICES, {"metadata": {"name": name}, "spec": service})

    def host(self, node: str) -> None:
        """A pod of the node's own network."""
        spec = pod_spec(node, port=HOST_PORT, hostNetwork=True)
        self._api.create(PODS, {"metadata": {"name": "host"}, "spec": spec})

    def job(self) -> None:
        """A Job of some seconds."""
        if node := self._room():
            name, seconds = self._next("job"), self._dice.randint(1, 7)
            spec = pod_spec(node, f"-for={seconds}s", restartPolicy="Never")
            self._api.create(JOBS, {"metadata": {"name": name}, "spec": {"template": {"spec": spec}}})
            self._write("job", name)

    def bare(self) -> None:
        """A pod of nobody; half of them do not end when they are asked to."""
        if node := self._room():
            name = self._next("bare")
            deaf = ["-deaf"] if self._dice.random() < 0.5 else []
            self._api.create(PODS, {"metadata": {"name": name, "labels": {"app": name}}, "spec": pod_spec(node, *deaf)})
            self._write("bare", name)

    def scale(self) -> None:
        """Another number of replicas."""
        name = self._dice.choice(NAMES)
        self._api.patch(f"{DEPLOYMENTS}/{name}", {"spec": {"replicas": self._dice.randint(1, 3)}})
        self._write("scale", name)

    def roll(self) -> None:
        """Another template: all pods are made anew."""
        name = self._dice.choice(NAMES)
        change = {"metadata": {"annotations": {"turn": self._next("turn")}}}
        self._api.patch(f"{DEPLOYMENTS}/{name}", {"spec": {"template": change}})
        self._write("roll", name)

    # What goes

    def delete(self) -> None:
        """Delete a bare pod with its grace."""
        if name := self._choose("bare"):
            self._write("delete", name)
            self._api.delete(f"{PODS}/{name}")

    def force(self) -> None:
        """Delete any pod by force."""
        if name := self._choose(""):
            self._write("force", name)
            self._api.delete(f"{PODS}/{name}", grace_seconds=0)

    def sandbox(self) -> None:
        """Kill a pod's sandbox: the kubelet makes another, with another address."""
        name = self._choose("")
        for node in self._nodes if name else ():
            mine = [call.sandbox for call in read_calls(node.calls()) if call.pod == name and call.adds]
            if mine and node.kill_sandbox(mine[-1]):
                self._write("sandbox", name or "")

    def sweep(self) -> None:
        """Remove some of the Jobs that are over."""
        for pod in self._pods():
            name, over = pod["metadata"]["name"], pod["status"].get("phase") in ("Succeeded", "Failed")
            if over and name.startswith("job") and self._dice.random() < 0.4:
                self._api.delete(f"{JOBS}/{name.rsplit('-', 1)[0]}", propagationPolicy="Background")

    def restart_kubelet(self) -> None:
        """Kill a kubelet and start it again; its pods live on."""
        node = self._dice.choice(self._nodes)
        node.kill_kubelet()
        node.start_kubelet()
        self._write("kubelet", node.name)

    # What is there

    def _pods(self) -> list[dict[str, Any]]:
        return list(self._api.list(PODS)[0])

    def _room(self) -> str | None:
        living = [pod["spec"].get("nodeName") for pod in self._pods() if not pod["spec"].get("hostNetwork")
                  and pod["status"].get("phase") not in ("Succeeded", "Failed")]  # fmt: skip
        free = [node.name for node in self._nodes if living.count(node.name) < MOST_PODS]
        return self._dice.choice(free) if free else None

    def _choose(self, prefix: str) -> str | None:
        names = sorted(
            pod["metadata"]["name"] for pod in self._pods()
            if pod["metadata"]["name"].startswith(prefix) and pod["status"].get("phase") == "Running"
            and not pod["spec"].get("hostNetwork") and "deletionTimestamp" not in pod["metadata"]
        )  # fmt: skip
        return self._dice.choice(names) if names else None

    def _next(self, word: str) -> str:
        self._number += 1
        return f"{word}-{self._number}"

    def _write(self, act: str, name: str) -> None:
        print(json.dumps({"at": time.time(), "act": act, "name": name}), file=self._acts, flush=True)

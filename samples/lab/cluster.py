"""The lab's cluster: pods that run, talk and end, each step also told to the recorder and to the truth."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lab.network import LabError, Network, Node
from lab.pods import PodObject
from lab.record import Recorder

TALKER = Path(__file__).with_name("talker.py")
PATIENCE_SECONDS = 20.0


class Talker:
    """A process in a namespace that listens and talks when told (lab/talker.py)."""

    def __init__(self, namespace: str) -> None:
        words = ("ip", "netns", "exec", namespace, sys.executable, "-I", "-S", str(TALKER))
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._heard = threading.Condition()
        self.listening: list[dict[str, Any]] = []
        self.calling: dict[str, dict[str, Any]] = {}
        self.accepted: dict[str, dict[str, Any]] = {}
        self.done: dict[str, dict[str, Any]] = {}
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._heard:
                if "listening" in told:
                    self.listening.append(told)
                elif "accepted" in told:
                    self.accepted.setdefault(told["accepted"].rstrip("."), told)
                elif "calling" in told:
                    self.calling[told["calling"]] = told
                else:
                    self.done[told["done"]] = told
                self._heard.notify_all()

    def tell(self, **command: Any) -> None:
        """Send one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def listen(self, addresses: list[str], ports: list[tuple[int, str]], answer: int) -> None:
        """Open every port at every address; return when all are open."""
        wanted = [(address, port, protocol.lower()) for address in addresses for port, protocol in ports]
        for address, port, protocol in wanted:
            self.tell(do="listen", address=address, port=port, protocol=protocol, answer=answer)
        with self._heard:
            if not self._heard.wait_for(lambda: len(self.listening) >= len(wanted), PATIENCE_SECONDS):
                raise LabError(f"cannot open ports {wanted}: only {self.listening} are open")

    def result(self, token: str) -> dict[str, Any]:
        """Wait for a talk to end."""
        with self._heard:
            if not self._heard.wait_for(lambda: token in self.done, PATIENCE_SECONDS):
                raise LabError(f"cannot finish talk '{token}': no answer in {PATIENCE_SECONDS} s")
            return self.done[token]

    def stop(self) -> None:
        """End the process as a container ends."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass
class Pod:
    """A pod that runs, with what only the lab knows: when its address really came and went."""

    object: PodObject
    node: Node
    addresses: list[str]
    namespace: str
    talker: Talker
    start: float
    started: float
    busy: list[str] = field(default_factory=list)
    end: float | None = None

    @property
    def name(self) -> str:
        return f"{self.object.space}/{self.object.name}"


class Cluster:
    """Runs pods on the network's nodes."""

    def __init__(self, network: Network, recorder: Recorder) -> None:
        self.network = network
        self.recorder = recorder
        self.pods: list[Pod] = []
        self._apart: list[Talker] = []

    def talker(self, namespace: str) -> Talker:
        """A process that is no pod: the outside, or a node itself."""
        self._apart.append(Talker(namespace))
        return self._apart[-1]

    def start(self, told: PodObject, node: Node, addresses: list[str], *, existed: bool = False) -> Pod:
        """Run a pod. One that `existed` was there before the recorder came and is listed, not watched."""
        created = time.time()
        namespace, own = node.namespace, told.host_network
        if not own:
            namespace = self.network.add_pod(node, *addresses)
        sandbox = time.time()
        talker = Talker(namespace)
        talker.listen(addresses, told.ports, answer=600)
        pod = Pod(told, node, addresses, namespace, talker, told.created if existed else sandbox, time.time())
        if existed:
            self._tell_existing(pod)
        else:
            self._tell_start(pod, created, sandbox)
        self.pods.append(pod)
        return pod

    def _tell_existing(self, pod: Pod) -> None:
        told = pod.object
        told.bound(pod.node.name, told.created)
        told.accepted(pod.node.address, told.created + 1)
        pod.started = told.created + 4
        told.running(pod.addresses, told.created + 2, pod.started)

    def _tell_start(self, pod: Pod, created: float, sandbox: float) -> None:
        told, recorder = pod.object, self.recorder
        told.set_created(created)
        uid = told.uid
        recorder.write(created, "ADDED", uid, told.now)
        recorder.write(created + 0.01, "MODIFIED", uid, partial(told.bound, pod.node.name, created + 0.01))
        seen = created + 0.02  # the kubelet hears of it; the sandbox follows at once
        recorder.publish(seen, uid, partial(told.accepted, pod.node.address, seen))
        recorder.publish(pod.started, uid, partial(told.running, pod.addresses, sandbox, pod.started))

    def delete(self, pod: Pod, grace_traffic_seconds: float = 0.0) -> None:
        """Somebody deletes the pod; it goes on for a while, then its containers are ended."""
        asked = time.time()
        self.recorder.write(asked, "MODIFIED", pod.object.uid, partial(pod.object.asked_to_stop, asked))
        time.sleep(grace_traffic_seconds)
        written = self._end(pod, "Failed")
        last = partial(pod.object.last_delete, written + 0.05)
        uid = pod.object.uid
        self.recorder.write(written + 0.05, "MODIFIED", uid, last)
        self.recorder.write(written + 0.06, "DELETED", uid, pod.object.now)

    def complete(self, pod: Pod) -> None:
        """The container of a Job exits by itself. The object stays, and with it status.podIP."""
        self._end(pod, "Succeeded")

    def _end(self, pod: Pod, phase: str) -> float:
        for token in pod.busy:
            pod.talker.result(token)
        finished = time.time()
        pod.talker.stop()
        if not pod.object.host_network:
            self.network.remove_pod(pod.node, pod.namespace)
        pod.end = time.time()
        step = partial(pod.object.terminal, phase, pod.started, finished, pod.end)
        return self.recorder.publish(pod.end, pod.object.uid, step)

    def relabel(self, pod: Pod, **labels: str) -> None:
        """Somebody changes labels in place."""
        self.recorder.write(time.time(), "MODIFIED", pod.object.uid, partial(pod.object.relabelled, **labels))

    def stop(self) -> None:
        """End what still runs, without a word to the recorder: it was gone by then."""
        for pod in self.pods:
            if pod.end is None:
                pod.talker.stop()
        for talker in self._apart:
            talker.stop()

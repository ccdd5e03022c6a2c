"""Many kubelets in one process, against a real apiserver: churn whose truth is known.

`python -m support.servers.kubelet --kubeconfig K --truth FILE --seed 1 --seconds 60 --rate 50` (started in tests/)
creates, runs and removes pods in real time. The truth has a JSON line for every hold of an address: uid, ip, start_us,
end_us (null: it lasts), node, name and the shape of the life. Same seed, same lives; the apiserver's own time differs.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Any

from support.servers.addresses import POLICIES, Range
from support.servers.api import Api, ApiError, from_kubeconfig
from support.servers.lives import Life, draw
from support.servers.node import Node
from support.servers.pods import PODS, namespace, node
from support.servers.process import Server
from support.servers.standing import Standing
from support.servers.workloads import Workloads

THREADS = 4
TESTS = Path(__file__).resolve().parents[2]
FIRST_NODE = int(IPv4Address("192.0.2.1"))
RANGES = int(IPv4Address("10.244.0.0"))


@dataclass(frozen=True)
class Churn:
    """What is played.

    Args: seed: same seed, same lives. seconds: how long pods are created. rate: pods a second. mean_seconds: of a pod's
    life. addresses: of each node. policy: how they are given out again. settle_seconds: how long lives go on after
    the last pod was created; those that last then go on without being told of. disturbed: nodes get lost and reboot,
    about one in ten seconds. Each node has a static pod and one on its own network besides. shapes: of lives.SHAPES,
    separated by commas; all when empty. "forced" costs the server least (under four requests a pod, others six).
    """

    seed: int = 1
    seconds: float = 60.0
    rate: float = 50.0
    nodes: int = 20
    mean_seconds: float = 4.0
    addresses: int = 32
    policy: str = "lowest"
    workloads: int = 10
    settle_seconds: float = 5.0
    disturbed: bool = True
    shapes: str = ""
    namespace: str = "churn"


class Clockwork:
    """Acts at their times, one after the other, in one thread."""

    def __init__(self) -> None:
        self.late_seconds = 0.0
        self.acts = 0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = itertools.count()

    def after(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        """Do it some seconds from now."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._count), act, arguments))

    def run(self, until: float) -> None:
        """Do what is due until a time of the monotonic clock."""
        while (now := time.monotonic()) < until:
            wait = self._due[0][0] - now if self._due else 0.05
            if wait > 0:
                time.sleep(min(wait, 0.05))
                continue
            _, _, act, arguments = heapq.heappop(self._due)
            self.late_seconds = max(self.late_seconds, -wait)
            self.acts += 1
            act(*arguments)


class Share:
    """One thread's nodes, and the pods that are created on them."""

    def __init__(
        self, number: int, churn: Churn, api: Api, workloads: Workloads, truth: Callable[[bytes], int]
    ) -> None:
        self.churn = churn
        self.clock = Clockwork()
        self.created = 0
        self.failed: BaseException | None = None
        self._api = api
        self._random = Random(f"{churn.seed}/share {number}")
        self._number = number
        self._lives = itertools.count()
        self._started = 0.0
        self.nodes = {index: self._node(index, api, workloads, truth) for index in range(number, churn.nodes, THREADS)}

    def _node(self, index: int, api: Api, workloads: Workloads, truth: Callable[[bytes], int]) -> Node:
        churn, name = self.churn, f"churn-{index}"
        first = str(IPv4Address(RANGES + 256 * index + 2))
        addresses = Range(first, churn.addresses, churn.policy, Random(f"{churn.seed}/range {index}"))
        where = str(IPv4Address(FIRST_NODE + index))
        return Node(name, where, addresses, api, self.clock.after, truth, workloads, churn.seed)

    def play(self) -> None:
        """Play it in this thread."""
        try:
            self._play()
        except BaseException as error:
            self.failed = error
            raise

    def _play(self) -> None:
        self._started = time.monotonic()
        namespace = self.churn.namespace
        standing = [
            Standing(one, namespace, static, self._random) for one in self.nodes.values() for static in (False, True)
        ]
        for pod in standing:
            pod.start()
        for one in self.nodes.values():
            self.clock.after(self._random.uniform(0, 2), one.renew_lease)
        if self.churn.disturbed and self.nodes:
            self.clock.after(self._random.uniform(3, 10 * THREADS), self._disturb)
        self._next()
        self.clock.run(self._started + self.churn.seconds + self.churn.settle_seconds)
        for holder in (*standing, *self.nodes.values()):
            holder.close()

    def _next(self) -> None:
        """Wait for the next pod that is ours: pods come at times of their own, whatever happens to those before."""
        while True:
            number = next(self._lives)
            due = Random(f"{self.churn.seed}/{number}/due").uniform(number, number + 1) / self.churn.rate
            if due > self.churn.seconds:
                return
            life = self._draw(number)
            if life.node in self.nodes:
                self.clock.after(self._started + due - time.monotonic(), self._create, life)
                return

    def _draw(self, number: int) -> Life:
        churn = self.churn
        shapes = [one for one in churn.shapes.split(",") if one]
        return draw(churn.seed, number, churn.nodes, churn.workloads, churn.mean_seconds, shapes)

    def _create(self, life: Life) -> None:
        self.created += 1
        self.nodes[life.node].create(life)
        self._next()

    def _disturb(self) -> None:
        """A node is lost for some seconds, or starts anew."""
        one = self._random.choice(list(self.nodes.values()))
        if self._random.random() < 0.5:
            for pod in list(one.pods.values()):
                one.renew(pod)
        else:
            one.lost_until = time.time() + self._random.uniform(4, 10)
            self.clock.after(self._random.uniform(1, 3), self._give_up, one)
        self.clock.after(self._random.uniform(5, 15) * THREADS, self._disturb)

    def _give_up(self, one: Node) -> None:
        """The control plane removes the pods of a lost node, which go on living there."""
        for pod in list(one.pods.values()):
            if not pod.terminal and not pod.removed and self._random.random() < 0.7:
                try:
                    self._api.delete(f"{PODS.format(pod.namespace)}/{pod.name}", 0, preconditions={"uid": pod.uid})
                except (ApiError, OSError):
                    continue
                one.notice_deletion(pod, gone=True)


def play(api: Api, churn: Churn, truth: Path) -> dict[str, Any]:
    """Play to the end and return what was done. The truth is appended to a file.

    late_seconds says how far the play fell behind at its worst: what the server could not take in time came later,
    and the truth has it as it came.
    """
    namespace(api, churn.namespace)
    for index in range(churn.nodes):
        pod_range = f"{IPv4Address(RANGES + 256 * index)}/24"
        _register(api, node(f"churn-{index}", str(IPv4Address(FIRST_NODE + index)), pod_range))
    workloads = Workloads(api, churn.namespace, churn.workloads)
    out = os.open(truth, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    shares = [Share(number, churn, api, workloads, lambda line: os.write(out, line)) for number in range(THREADS)]
    threads = [threading.Thread(target=share.play, name=f"nodes {number}") for number, share in enumerate(shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(out)
    for share in shares:
        if share.failed is not None:
            raise share.failed
    return {
        "created": sum(share.created for share in shares),
        "statuses": sum(one.written for share in shares for one in share.nodes.values()),
        "cpu_seconds": round(time.process_time(), 2),
        "late_seconds": round(max(share.clock.late_seconds for share in shares), 2),
        **asdict(churn),
    }


def _register(api: Api, thing: dict[str, Any]) -> None:
    try:
        api.create("/api/v1/nodes", thing)
    except ApiError as error:
        if error.status != 409:
            raise


@contextmanager
def kubelet(kubeconfig: Path, truth: Path, churn: Churn) -> Iterator[Server]:
    """Play in a process of its own while the block runs; `pid` is None once it has ended by itself."""
    chosen = [
        f"--{name.replace('_', '-')}={text}" for name, text in asdict(churn).items() if not isinstance(text, bool)
    ]
    command = [
        sys.executable,
        "-m",
        "support.servers.kubelet",
        f"--kubeconfig={kubeconfig}",
        f"--truth={truth}",
        *chosen,
    ]
    calm = [] if churn.disturbed else ["--calm"]
    log = truth.with_name(truth.name + ".log")
    player = Server("kubelet", ["env", f"PYTHONPATH={TESTS}", *command, *calm], log, truth.exists)
    player.start()
    try:
        yield player
    finally:
        player.kill()


def main() -> None:
    """Play, and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--truth", type=Path, required=True)
    for one in fields(Churn):
        if one.name != "disturbed":
            options: dict[str, Any] = {"choices": POLICIES} if one.name == "policy" else {}
            parser.add_argument(
                f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default, **options
            )
    parser.add_argument("--calm", action="store_true", help="no node is lost or reboots")
    chosen = vars(parser.parse_args())
    api, truth = from_kubeconfig(chosen.pop("kubeconfig")), chosen.pop("truth")
    print(json.dumps(play(api, Churn(disturbed=not chosen.pop("calm"), **chosen), truth)), flush=True)


if __name__ == "__main__":
    main()

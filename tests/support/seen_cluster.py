"""Clusters of workloads that speak with each other, as named flows in a folder, for what proposes policies."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from support.policy_flows import end, named

from detect.policy.model import NAME_LABEL, Pod

# (namespace, workload): labels that stay; each pod has some of its own besides.
PORTS = (80, 443, 5432, 8080, 9090)


def pod_end(namespace: str, workload: str, address: str, labels: dict[str, str], **more: Any) -> dict[str, Any]:
    """A certain pod of a Deployment; its UID is its address."""
    told = {"namespace": namespace, "workload": workload, "workload_kind": "Deployment", "pod": f"{workload}-x"}
    return end(workload, address, labels=list(labels.items()), **told | {"pod_uid": address} | more)


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    """Write flows as a replay would."""
    folder.mkdir(parents=True, exist_ok=True)
    answered = {"packets_out": 5, "packets_in": 5, "bytes_in": 400}
    pq.write_table(named(*(answered | row for row in rows)), folder / "flows.parquet")
    return folder


class SeenCluster:
    """Random workloads, whose labels overlap as they do in life, and who asks whom on which port."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.workloads = [
            (space, f"{app}-{number}", {"app": app, "tier": self.random.choice("xy"), "n": str(number)})
            for number, (space, app) in enumerate(
                (self.random.choice("abc"), self.random.choice(("web", "db", "api"))) for _ in range(8)
            )
        ]
        for _, _, labels in self.workloads:
            if self.random.random() < 0.3:
                labels.pop("tier")
        self.pods = [(place, copy, self._address(place, copy)) for place in range(8) for copy in range(2)]
        self.asked = {self._asked() for _ in range(14)}

    @staticmethod
    def _address(place: int, copy: int) -> str:
        return f"10.244.{copy}.{place + 1}"

    def _asked(self) -> tuple[int, int, int, str]:
        source, target = self.random.sample(range(8), 2)
        return source, target, self.random.choice(PORTS), self.random.choice(("tcp", "tcp", "udp"))

    def labels(self, place: int, copy: int) -> dict[str, str]:
        """Of one pod: what its controllers write, and what one of them alone has."""
        return self.workloads[place][2] | {"pod-template-hash": f"h{place}", **({"canary": "yes"} if copy else {})}

    def end(self, place: int, copy: int) -> dict[str, Any]:
        """One pod as an end."""
        space, name, _ = self.workloads[place]
        return pod_end(space, name, self._address(place, copy), self.labels(place, copy))

    def pod(self, place: int, copy: int) -> tuple[Pod, str]:
        """One pod as engines know it."""
        space, name, _ = self.workloads[place]
        address = self._address(place, copy)
        return Pod(space, f"{name}-{copy}", address, self.labels(place, copy)), address

    def namespaces(self) -> dict[str, dict[str, str]]:
        """Labels of namespaces."""
        return {name: {NAME_LABEL: name} for name in "abc"}

    def write(self, folder: Path) -> Path:
        """Write a flow of each pair of pods that asked, and one of each pod with the outside."""
        rows = [
            {"src": self.end(source, one), "dst": self.end(target, other), "dst_port": port, "protocol": protocol}
            for source, target, port, protocol in sorted(self.asked)
            for one, other in ((0, 0), (1, 1))
        ]
        outside = end("", "192.0.2.7", "none")
        rows += [{"src": self.end(place, copy), "dst": outside, "dst_port": 443} for place, copy, _ in self.pods]
        return write(folder, *rows)

"""Pods that live through everything once, on a real apiserver: created, placed, run, moved, ended, deleted.

Statuses are written as a kubelet does: a strategic merge patch of what changed, with the pod's UID.
"""

from __future__ import annotations

import copy
import random
import time
from typing import Any

from support.servers.api import STRATEGIC, Api
from support.servers.pods import rfc3339, small

PODS = "/api/v1/namespaces/default/pods"
MERGED = {"conditions": "type", "podIPs": "ip"}


def two_way(old: dict[str, Any], new: dict[str, Any], uid: str) -> dict[str, Any]:
    """The strategic merge patch from one status to another, as client-go makes it."""
    patch: dict[str, Any] = {}
    for name in {**old, **new}:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name in MERGED and before and after is not None:
            key = MERGED[name]
            known = {one[key]: one for one in before}
            gone = [{"$patch": "delete", key: one} for one in known if one not in {it[key] for it in after}]
            patch[name] = gone + [one for one in after if known.get(one[key]) != one]
            patch[f"$setElementOrder/{name}"] = [{key: one[key]} for one in after]
        else:
            patch[name] = after
    return {"metadata": {"uid": uid}, "status": patch}


class Played:
    """One pod and the status that its kubelet has published."""

    def __init__(self, api: Api, name: str, node: str, **spec: Any) -> None:
        self.api, self.name = api, name
        wanted = small(name, node, **spec)
        del wanted["spec"]["nodeName"]
        made = api.create(PODS, wanted)
        self.uid = made["metadata"]["uid"]
        target = {"kind": "Node", "name": node}
        api.create(f"{PODS}/{name}/binding", {"metadata": {"name": name, "uid": self.uid}, "target": target})
        self.status: dict[str, Any] = api.get(f"{PODS}/{name}")["status"]

    def publish(self, **change: Any) -> None:
        """Write a status with some fields changed."""
        new = copy.deepcopy(self.status) | change
        patch = two_way(self.status, new, self.uid)
        self.status = self.api.patch(f"{PODS}/{self.name}/status", patch, STRATEGIC)["status"]

    def conditions(self, **values: str) -> list[dict[str, Any]]:
        """The conditions with some of them set now."""
        found = {one["type"]: one for one in self.status.get("conditions", ())}
        for kind, value in values.items():
            found[kind] = {"type": kind, "status": value, "lastTransitionTime": rfc3339(time.time())}
        return list(found.values())

    def run(self, ip: str) -> None:
        """The sandbox stands, a container runs."""
        now = rfc3339(time.time())
        box = {"name": "c", "image": "i", "imageID": "", "ready": True, "restartCount": 0, "lastState": {}}
        self.publish(
            phase="Running",
            podIP=ip,
            podIPs=[{"ip": ip}],
            hostIP="192.0.2.1",
            startTime=self.status.get("startTime", now),
            conditions=self.conditions(PodReadyToStartContainers="True", Ready="True"),
            containerStatuses=[box | {"state": {"running": {"startedAt": now}}}],
        )

    def end(self, phase: str = "Succeeded") -> None:
        """The container ended, the sandbox is torn down; the address stays in the status."""
        box = copy.deepcopy(self.status["containerStatuses"])
        ran = box[0]["state"].pop("running")
        box[0]["state"]["terminated"] = {"exitCode": 0, **ran, "finishedAt": rfc3339(time.time())}
        conditions = self.conditions(PodReadyToStartContainers="False", Ready="False")
        self.publish(phase=phase, conditions=conditions, containerStatuses=box)

    def delete(self, grace: int | None = None) -> None:
        self.api.delete(f"{PODS}/{self.name}", grace_seconds=grace)

    def evict(self) -> None:
        meta = {"name": self.name, "namespace": "default"}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        self.api.create(f"{PODS}/{self.name}/eviction", body)


def play(api: Api, seed: int = 1, count: int = 24, pause: float = 0.02) -> None:
    """Let pods of every fate share few addresses, in some ten seconds."""
    chance = random.Random(seed)
    free = [f"10.244.7.{n}" for n in range(2, 8)]
    living: list[tuple[Played, str]] = []
    for number in range(count):
        one = Played(api, f"p{number}", f"n{number % 3}", labels={"app": "web", "turn": str(number % 4)})
        time.sleep(pause)
        if not free:
            _finish(api, *living.pop(chance.randrange(len(living))), number, free)
        ip = free.pop(0)
        one.run(ip)
        living.append((one, ip))
        if number % 5 == 4:
            api.patch(f"{PODS}/{one.name}", {"metadata": {"labels": {"turn": "changed"}}})
        time.sleep(pause * chance.random() * 6)
    api.call("DELETE", f"{PODS}?labelSelector=turn%20in%20(0,1)")
    time.sleep(pause)
    for number, (one, ip) in enumerate(living):
        _finish(api, one, ip, number, free)


def _finish(api: Api, one: Played, ip: str, number: int, free: list[str]) -> None:
    """End a pod in one of several ways, then give its address to others."""
    fate = number % 5
    if fate == 0:
        one.end()  # a Job's pod that stays, with its address in the status
    elif fate == 1:
        one.delete(0)  # by force
    elif fate == 2:
        one.evict()
        one.end("Failed")
        one.delete(0)
    elif fate == 3 and free:
        one.run(free.pop(0))  # another sandbox, another address
    else:
        one.delete(2)
        one.end()
        one.delete(0)
    free.append(ip)

"""Case 32: the same writes as the audit logs of three apiservers, out of order, with refused and dry-run writes.

Every write of a Pod becomes one or two audit.k8s.io/v1 events (RequestReceived, ResponseComplete) at level
RequestResponse, by the verb and subresource that its writer used. Each event goes to one of three logs, whose clocks
differ by some milliseconds and whose lines are out of order within a second. Among them stand writes that were refused
(409, 403) and dry runs, which show addresses that no pod ever had.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from bench.churn.cluster import Cluster
from bench.churn.times import SECOND, micro
from bench.churn.world import Change

SERVERS = 3
VERBS = {
    "create": ("create", ""), "binding": ("create", "binding"), "patch status": ("patch", "status"),
    "patch": ("patch", ""), "update": ("update", ""), "delete": ("delete", ""),
}  # fmt: skip
RESOURCES = {"Pod": "pods", "Service": "services", "Node": "nodes", "EndpointSlice": "endpointslices", "Job": "jobs",
             "ReplicaSet": "replicasets", "Namespace": "namespaces"}  # fmt: skip


def write_logs(world: Cluster, folder: Path) -> list[Path]:
    """Write the logs of all apiservers; returns their paths."""
    dice = random.Random(f"audit {world.name}")
    logs: list[list[tuple[int, str]]] = [[] for _ in range(SERVERS)]
    off = [dice.randint(-20_000, 20_000) for _ in range(SERVERS)]
    for number, change in enumerate(world.log):
        if change.kind not in RESOURCES:
            continue
        server = dice.randrange(SERVERS)
        logs[server] += [(at, json.dumps(one)) for at, one in _events(change, number, off[server], dice)]
    paths = []
    for number, lines in enumerate(logs):
        lines.sort(key=lambda one: one[0] + dice.randint(0, SECOND))
        path = folder / f"audit-{number}.log"
        path.write_text("".join(f"{text}\n" for _, text in lines))
        paths.append(path)
    return paths


def _events(change: Change, number: int, off: int, dice: random.Random) -> list[tuple[int, dict[str, Any]]]:
    """One write, and now and then one that came to nothing beside it."""
    thing = json.loads(change.text)
    verb, subresource = VERBS[change.request]
    event = _event(change, thing, verb, subresource, f"audit-{number}", off)
    found = [(change.at, event)]
    if dice.random() < 0.3:
        early = event | {"stage": "RequestReceived", "stageTimestamp": micro(change.at + off - 2000)}
        early.pop("responseObject", None)
        early.pop("responseStatus", None)
        found.append((change.at - 2000, early))
    if change.kind == "Pod" and dice.random() < 0.1:
        found.append((change.at + 500, _came_to_nothing(event, f"audit-{number}-x", dice)))
    return found


def _event(change: Change, thing: dict[str, Any], verb: str, subresource: str, audit: str, off: int) -> dict[str, Any]:
    space, name = change.meta
    group = thing.get("apiVersion", "v1").rpartition("/")[0]
    where = f"/api/v1/namespaces/{space}/{RESOURCES[change.kind]}/{name}" + (f"/{subresource}" if subresource else "")
    reference = {"resource": RESOURCES[change.kind], "namespace": space, "name": name, "apiVersion": "v1"}
    if group:
        reference["apiGroup"] = group
    if subresource:
        reference["subresource"] = subresource
    asked: dict[str, Any] = thing
    if verb == "delete":
        asked = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    elif subresource == "binding":
        target = {"kind": "Node", "name": thing["spec"].get("nodeName", "")}
        asked = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": name, "namespace": space},
            "target": target,
        }
    elif subresource == "status":
        asked = {"metadata": {"uid": thing["metadata"]["uid"]}, "status": thing["status"]}
    answer = {"kind": "Status", "apiVersion": "v1", "status": "Success"} if subresource == "binding" else thing
    return {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": audit,
        "stage": "ResponseComplete", "requestURI": where, "verb": verb, "user": {"username": "system:admin"},
        "objectRef": reference, "responseStatus": {"code": 201 if verb == "create" else 200},
        "requestObject": asked, "responseObject": answer,
        "requestReceivedTimestamp": micro(change.at + off - 2000), "stageTimestamp": micro(change.at + off),
    }  # fmt: skip


def _came_to_nothing(event: dict[str, Any], audit: str, dice: random.Random) -> dict[str, Any]:
    """A refused write, or a dry run, of an address that the pod never had."""
    told: dict[str, Any] = json.loads(json.dumps(event)) | {"auditID": audit}
    for name in ("requestObject", "responseObject"):
        status = told.get(name, {}).get("status")
        if isinstance(status, dict):
            ip = f"10.77.{dice.randrange(3)}.{dice.randrange(2, 10)}"
            status |= {"podIP": ip, "podIPs": [{"ip": ip}], "phase": "Running"}
    if dice.random() < 0.5:
        told["requestURI"] += "?dryRun=All"
    else:
        told["responseStatus"] = {"code": dice.choice((409, 403)), "status": "Failure"}
        told["responseObject"] = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return told

"""A recorded cluster in which policies change, as evidence lines, and a log of who spoke with whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DENY_ALL = {"podSelector": {}, "policyTypes": ["Ingress"]}
TO_DB = {
    "podSelector": {"matchLabels": {"app": "db"}},
    "policyTypes": ["Ingress"],
    "ingress": [
        {
            "from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}],
            "ports": [{"port": "sql", "protocol": "TCP"}],
        }
    ],
}
PODS = {
    "shop/web-1": ("10.244.1.5", "web"), "shop/web-2": ("10.244.2.5", "web"), "batch/job-1": ("10.244.1.6", "job"),
    "data/db-0": ("10.244.1.9", "db"), "data/cache-0": ("10.244.2.9", "cache"),
}  # fmt: skip
SPACES = {"shop": {"team": "shop"}, "batch": {"team": "batch"}, "data": {}}


def line(verb: str, at: str, thing: dict[str, Any]) -> str:
    told = {"type": verb, "received": f"2026-11-20T{at}Z", "cluster": "prod", "object": thing}
    return json.dumps(told) + "\n"


def thing(kind: str, name: str, namespace: str = "", spec: Any = None, **more: Any) -> dict[str, Any]:
    uid, labels = f"{kind}-{namespace}-{name}".lower(), more.pop("labels", {})
    meta = {
        "name": name, "namespace": namespace, "uid": uid, "labels": labels, "creationTimestamp": "2026-11-20T09:00:00Z",
    }  # fmt: skip
    return {"kind": kind, "metadata": meta | more.pop("meta", {}), "spec": spec or {}, **more}


def pod(name: str) -> dict[str, Any]:
    namespace, own = name.split("/")
    address, app = PODS[name]
    ports = [{"name": "sql", "containerPort": 5432}] if app == "db" else []
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": "2026-11-20T09:00:00Z"}
    owner = [{"kind": "StatefulSet", "name": app, "uid": f"owner-{app}", "controller": True}]
    return thing(
        "Pod", own, namespace, {"nodeName": "n1", "containers": [{"ports": ports}]}, labels={"app": app}, status=status,
        meta={"ownerReferences": owner},
    )  # fmt: skip


def bookmarks(at: str, *kinds: str) -> str:
    return "".join(line("BOOKMARK", at, {"kind": kind, "metadata": {"resourceVersion": "9"}}) for kind in kinds)


def evidence(folder: Path, *, policies: bool = True) -> Path:
    """Watched from 10:00 to 12:00. data/to-db stands from the start; data/deny-all comes at 11:00:00."""
    text = "".join(line("ADDED", "10:00:00", pod(name)) for name in PODS)
    text += "".join(line("ADDED", "10:00:00", thing("Namespace", name, labels=said)) for name, said in SPACES.items())
    if policies:
        text += line("ADDED", "10:00:00", thing("NetworkPolicy", "to-db", "data", TO_DB))
        idle = {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Ingress"]}
        text += line("ADDED", "10:00:00", thing("NetworkPolicy", "idle", "shop", idle))
        late = {"creationTimestamp": "2026-11-20T11:00:00Z"}
        text += line("ADDED", "11:00:00.2", thing("NetworkPolicy", "deny-all", "data", DENY_ALL, meta=late))
    kinds = ("Pod", "Namespace", "NetworkPolicy") if policies else ("Pod", "Namespace")
    text += "".join(bookmarks(f"{10 + minute // 60}:{minute % 60:02}:30", *kinds) for minute in range(1, 120))
    path = folder / "history.jsonl"
    path.write_text(text + "".join(line("MODIFIED", "11:59:59", pod(name)) for name in PODS))
    return path


def conn(at: float, source: str, target: str, port: int) -> str:
    """A record of Zeek. at: minutes after ten."""
    told = {
        "ts": 1_795_168_800.0 + 60 * at, "uid": "C", "id.orig_h": PODS.get(source, (source,))[0], "id.orig_p": 40000,
        "id.resp_h": PODS.get(target, (target,))[0], "id.resp_p": port, "proto": "tcp", "duration": 0.5,
        "orig_bytes": 100, "resp_bytes": 200, "conn_state": "SF", "orig_pkts": 5, "orig_ip_bytes": 400, "resp_pkts": 5,
        "resp_ip_bytes": 500,
    }  # fmt: skip
    return json.dumps(told) + "\n"


def log(folder: Path) -> Path:
    """Thirty flows: shop/web to the database and its cache, batch/job to both."""
    text = "".join(
        conn(at, source, target, port)
        for at in (10, 30, 90)
        for source in ("shop/web-1", "shop/web-2", "batch/job-1")
        for target, port in (("data/db-0", 5432), ("data/cache-0", 6379), ("192.0.2.7", 443))
    )
    path = folder / "conn.log"
    path.write_text(text)
    return path

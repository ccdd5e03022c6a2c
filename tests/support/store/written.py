"""Observations made by hand, one at a time."""

from __future__ import annotations

from typing import Any

import msgspec

from whowas.observation import KubeObject, Observation

T0 = 1_795_168_800_000_000
SECOND = 1_000_000


def thing(uid: str, kind: str = "Pod", version: int | str = 1, **more: Any) -> KubeObject:
    """An object as an apiserver has it; a running pod unless told otherwise."""
    meta = {"name": more.pop("name", uid), "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    meta |= {"creationTimestamp": "2026-11-20T10:00:00Z"} | more.pop("meta", {})
    status = {"phase": "Running", "podIP": more.pop("ip", "10.0.0.9"), "startTime": "2026-11-20T10:00:00Z"}
    status["containerStatuses"] = [{"restartCount": 0, "state": {"running": {"startedAt": "2026-11-20T10:00:01Z"}}}]
    made = {"kind": kind, "metadata": meta} | ({"status": status} if kind == "Pod" else {}) | more
    return msgspec.convert(made, KubeObject)


def seen(verb: str, of: KubeObject, seconds: float, cluster: str | None = "c", **more: Any) -> Observation:
    """An observation some seconds after T0."""
    at = T0 + int(seconds * SECOND)
    return Observation(verb, of, at, more.pop("not_before_us", at), cluster, "", **more)


def numbered(count: int, first: int = 0) -> list[Observation]:
    """Pods that come, change and go, each event with a version of its own."""
    found = []
    for number in range(first, first + count):
        verb = ("ADDED", "MODIFIED", "DELETED")[number % 3]
        labels = {"labels": {"step": verb}}
        pod = thing(f"pod-{number // 3}", version=number + 1, ip=f"10.0.{number // 768 % 256}.{number // 3 % 256}",
                    meta=labels)  # fmt: skip
        found.append(seen(verb, pod, 2 + number * 0.01))
    return found

"""Evidence written by hand, in its three forms, and a short way to read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ingest.cluster import EvidenceReport, read_observations
from whowas.observation import Observation

AT = "2026-11-20T10:00:00.250000Z"
AT_US = 1_795_168_800_250_000


def pod(name: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "7"}
    meta["creationTimestamp"] = "2026-11-20T09:00:00Z"
    status = {"phase": "Running", "podIP": "10.244.1.5", "startTime": "2026-11-20T09:00:01Z"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"nodeName": "n"}, "status": status} | more


def event(name: str, verb: str = "ADDED", **more: Any) -> dict[str, Any]:
    return {"type": verb, "object": pod(name)} | more


def read(data: bytes | str, tmp_path: Path, cluster: str | None = None) -> tuple[list[Observation], EvidenceReport]:
    path = tmp_path / "evidence"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    report = EvidenceReport()
    found = list(read_observations([str(path)], cluster, report))
    assert found[0].verb == "START"
    return found[1:], report


def names(found: list[Observation]) -> list[str]:
    return [one.object.metadata.name if one.object.metadata else one.verb for one in found]


def offsets(report: EvidenceReport) -> list[int]:
    return [bad.offset for bad in report.files[0].unreadable]


def lines(*values: Any) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in values)


def dump(*values: Any) -> str:
    """As `kubectl get -w -o json --output-watch-events` prints: indented, one behind another."""
    return "".join(f"{json.dumps(one, indent=4)}\n" for one in values)


def listing(*items: Any, kind: str = "List", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": ""}, "items": list(items)} | more

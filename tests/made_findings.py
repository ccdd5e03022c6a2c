"""Findings as tests make them: of flows like those of named captures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from detect.model import Finding, RuleInfo
from whowas.schema import table_schema

T0 = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
RULE = RuleInfo(
    id="0c5d3d0e-6a63-4b62-9f2e-0a9b5d2f8c11",
    name="metadata_service",
    title="A pod asks the cloud's metadata service",
    level="high",
    description="Whoever reads it gets the node's credentials.",
    status="stable",
    author="whowas",
    tags=("attack.credential_access", "attack.t1552.005"),
    attacks=("T1552.005",),
    false_positives=("agents that are meant to ask",),
    references=("https://attack.mitre.org/techniques/T1552/005/",),
    group_by=("src_namespace", "src_workload"),
)


def flow(**said: Any) -> dict[str, Any]:
    """A row of table_schema: a pod's flow, with what is said put in its place; all else null."""
    row: dict[str, Any] = dict.fromkeys(table_schema().names)
    row |= {
        "flow_id": "3f" * 16, "start_time": T0, "end_time": T0 + timedelta(seconds=2), "cluster": "prod",
        "src_ip": "10.244.1.12", "src_port": 41000, "dst_ip": "169.254.169.254", "dst_port": 80, "protocol": "tcp",
        "protocol_number": 6, "bytes_out": 600, "bytes_in": 1900, "packets_out": 6, "packets_in": 5, "tcp_flags": 27,
        "directionality": "bi", "direction": "outbound", "src_confidence": "exact", "src_reason": "one holder",
        "src_kind": "pod", "src_namespace": "shop", "src_pod": "web-6c9f7d-abcde", "src_node": "worker-1",
        "src_pod_uid": "8e1c2a54-7f0e-4a3c-9d53-0d9c1c7e2b10", "src_workload": "web", "src_workload_kind": "Deployment",
        "src_labels": {"app": "web", "tier": "front"}, "src_images": ["registry.example/web:4.2"], "src_zone": "b",
        "dst_confidence": "external", "dst_reason": "outside the cluster's ranges", "dst_kind": "external",
        "source_format": "pcap", "observer": "node1.pcap",
    }  # fmt: skip
    return row | said


def finding(**said: Any) -> Finding:
    """A finding of one flow, with what is said put in its place."""
    first = int(T0.timestamp()) * 1_000_000
    made = Finding(
        uid="5b" * 16, rule=RULE, group=(("src_namespace", "shop"), ("src_workload", "web")), window_start_us=first,
        first_us=first, last_us=first + 2_000_000, count=1, revision=1, flows=(flow(),),
    )  # fmt: skip
    return replace(made, **said)

"""Findings as tests make them: of flows like those of named captures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from detect.model import LEVELS, Finding, RuleInfo
from whowas.schema import COLUMNS, CONFIDENCES, KINDS, table_schema

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


WORDS = st.text(max_size=12) | st.sampled_from(
    ["'", '"; rm -rf /', "$(id)", "`id`", "\x1b[2J", "\u202e", "é漢", "-x", "a\nb", ""]
)
NAMES = st.sampled_from(["web", "web-6c9f7d-abcde", "a" * 253, "kube-system", "x.y"]) | WORDS
ADDRESSES = (st.ip_addresses().map(str)) | st.sampled_from(["fe80::1%$(id)", "::ffff:1.2.3.4", "nonsense"])
LABELS = st.dictionaries(
    st.sampled_from(["app", "app.kubernetes.io/name", "$(id)", "-x", ""]) | WORDS, WORDS, max_size=4
)
CANDIDATES = st.lists(
    st.fixed_dictionaries(
        {name: st.none() | NAMES for name in ("kind", "namespace", "name", "uid", "workload", "reason")}
    ),
    max_size=4,
)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))
UIDS = st.uuids().map(str) | st.sampled_from(["0" * 32, "' OR 1=1 --"]) | WORDS
KINDS_OF_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "start_time": MOMENTS, "end_time": MOMENTS, "received_time": MOMENTS,
    "vlan": st.lists(st.integers(0, 4095), max_size=3),
    "encapsulated": st.booleans(), "direction": st.sampled_from(["internal", "inbound", "outbound", "external"]),
}  # fmt: skip
KINDS_OF_ENDS: dict[str, st.SearchStrategy[Any]] = {
    "ip": ADDRESSES, "nat_ip": ADDRESSES, "mac": st.sampled_from(["02:42:ac:11:00:02", "bad"]), "labels": LABELS,
    "confidence": st.sampled_from(CONFIDENCES), "kind": st.sampled_from(KINDS), "pod_uid": UIDS,
    "images": st.lists(WORDS, max_size=3), "candidates": CANDIDATES, "ip16": st.binary(min_size=16, max_size=16),
}  # fmt: skip

MOST = {one.name: one.most for one in COLUMNS}


def _values(column: Any) -> st.SearchStrategy[Any]:
    known = KINDS_OF_VALUES.get(column.name, KINDS_OF_ENDS.get(column.name[4:]))
    if known is not None:
        return known
    if MOST.get(column.name):
        return st.integers(0, MOST[column.name])
    if pa.types.is_integer(column.type):
        width, signed = column.type.bit_width, pa.types.is_signed_integer(column.type)
        return st.integers(0, (1 << (width - signed)) - 1)
    return NAMES


def flows() -> st.SearchStrategy[dict[str, Any]]:
    """Rows in which anything may be null and every name may be hostile."""
    return st.fixed_dictionaries({column.name: st.none() | _values(column) for column in table_schema()})


TAGS = st.sampled_from(["attack.t1046", "attack.t1552.005", "attack.discovery", "attack.credential-access", "tlp.red"])
RULES = st.builds(
    RuleInfo,
    id=st.uuids().map(str), name=NAMES, title=WORDS, level=st.sampled_from([*LEVELS, "odd"]), description=WORDS,
    status=WORDS, author=WORDS, tags=st.lists(TAGS | WORDS, max_size=3).map(tuple),
    attacks=st.lists(st.sampled_from(["T1046", "T1552.005", "T9999", "T9999.001", "T1078"]), max_size=3).map(tuple),
    false_positives=st.lists(WORDS, max_size=2).map(tuple), references=st.lists(WORDS, max_size=2).map(tuple),
    topic=st.none() | st.just("own"), path=WORDS, line=st.integers(0, 99),
)  # fmt: skip
TIMES = st.integers(0, 4 * 10**15)


def findings(most_flows: int = 3) -> st.SearchStrategy[Finding]:
    """Findings of every kind: without flows, of many, correlations with values, any revision."""
    group = st.lists(st.tuples(st.sampled_from(table_schema().names), st.none() | WORDS), max_size=3).map(tuple)
    return st.builds(
        Finding,
        uid=st.integers(0, 2**128 - 1).map(lambda n: f"{n:032x}"), rule=RULES, group=group, window_start_us=TIMES,
        first_us=TIMES, last_us=TIMES, count=st.integers(0, 10**9), revision=st.integers(0, 5),
        values=st.none() | st.integers(0, 999), flows=st.lists(flows(), max_size=most_flows).map(tuple),
    )  # fmt: skip

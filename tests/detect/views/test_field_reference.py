"""Every field that a view writes is documented, and every documented field is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.findings import RULE, finding, findings, flow

from detect.model import Finding
from detect.views import ecs, ocsf
from detect.views import field_reference as fields
from whowas.schema import table_schema

# As Beats' add_kubernetes_metadata and its kubernetes module name them; they are no part of ECS.
BEATS = {"kubernetes.pod.name", "kubernetes.pod.uid", "kubernetes.pod.ip", "kubernetes.namespace",
         "kubernetes.node.name", "kubernetes.service.name", "kubernetes.labels.*", "kubernetes.*.name"}  # fmt: skip


def leaves(told: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each path that ends in a value, and the value; `[]` for each element of a list."""
    if isinstance(told, dict):
        for name, value in told.items():
            # A dot in a label is no step of a path.
            yield from leaves(value, f"{at}.{name.replace('.', '·').replace('[', '·') or '·'}" if at else name)
    elif isinstance(told, list):
        for value in told:
            yield from leaves(value, f"{at}[]")
    else:
        yield at, told


def pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\*", r"[^.]*"), re.S)


@cache
def patterns(view: str) -> tuple[re.Pattern[str], ...]:
    known = fields.OCSF if view == "ocsf" else fields.ECS
    return tuple(pattern(one.path) for one in known)


def full() -> list[Finding]:
    """Findings in which, together, every column and every kind of name has a value."""
    row = {column.name: 7 for column in table_schema()} | {
        name: value for name, value in flow().items() if value is not None
    }
    row |= {name: f"x-{name}" for name in row if row[name] == 7 and table_schema().field(name).type == "string"}
    row |= {column.name: f"x-{column.name}" for column in table_schema() if str(column.type).startswith("dictionary")}
    other = {"kind": "pod", "namespace": "shop", "name": "old", "uid": "1", "workload": "w", "reason": "possible"}
    base = flow()
    row |= {
        "start_time": base["start_time"], "end_time": base["end_time"], "received_time": base["end_time"],
        "vlan": [1, 2],
        "src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "src_nat_ip": "10.0.0.3", "dst_nat_ip": "10.0.0.4",
        "src_mac": "02:42:ac:11:00:02", "dst_mac": "02:42:ac:11:00:03", "src_kind": "pod", "dst_kind": "pod",
        "src_labels": {"a.b/c": "d"}, "dst_labels": {"a": "b"}, "src_images": ["i"], "dst_images": ["j"],
        "src_pod_uid": base["src_pod_uid"], "dst_pod_uid": base["src_pod_uid"], "src_confidence": "exact",
        "src_workload_kind": "Deployment", "src_candidates": None, "dst_candidates": [other], "src_pod": "web",
        "src_namespace": "shop", "src_ip16": b"1" * 16, "dst_ip16": b"2" * 16, "direction": "internal",
    }  # fmt: skip
    rule = replace(RULE, path="rules/x.yml", line=3)
    told = finding(flows=(row,), rule=rule, values=3)
    bare = finding(flows=(row | {"src_candidates": [other], "src_confidence": "ambiguous"},))
    return [told, bare, finding(flows=(row | {"tls_version": None},)), finding(flows=tuple([row] * 200))]


VIEWS = {"ocsf": ocsf.view, "ecs": ecs.view}


def undocumented(name: str, one: Finding) -> set[str]:
    return {path for path, _ in leaves(VIEWS[name](one)) if not any(known.fullmatch(path) for known in patterns(name))}


@pytest.mark.parametrize("name", VIEWS)
def test_every_documented_field_is_written_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocsf, "LARGEST", 200_000)
    written = {path for one in full() for path, _ in leaves(VIEWS[name](one))}
    assert set().union(*(undocumented(name, one) for one in full())) == set()
    lacking = [known.pattern for known in patterns(name) if not any(known.fullmatch(path) for path in written)]
    assert lacking == []


@pytest.mark.parametrize("name", VIEWS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(one=findings())
def test_any_finding_has_documented_fields_alone(name: str, one: Finding) -> None:
    assert undocumented(name, one) == set()


@cache
def published() -> dict[str, str]:
    """Fields of ECS by name."""
    lines = (Path(__file__).parent / f"ecs-{ecs.VERSION}-fields.txt").read_text().splitlines()
    return dict(line.split(" ") for line in lines if not line.startswith("#"))


KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(findings())
def test_every_field_outside_our_own_is_one_of_ecs_of_its_type(one: Finding) -> None:
    for path, value in leaves(ecs.view(one)):
        name = path.removesuffix("[]")
        if path.startswith("whowas.") or any(pattern(known).fullmatch(path) for known in BEATS):
            assert isinstance(value, (str, int, float, bool)), path
            continue
        assert name in published(), path
        assert KINDS[published()[name].removesuffix("[]")](value), (path, value)


def test_both_versions_are_the_ones_documented() -> None:
    assert ecs.view(finding())["ecs"]["version"] == ecs.VERSION
    assert ocsf.view(finding())["metadata"]["version"] == ocsf.OCSF


def test_the_ends_are_where_an_analyst_of_ecs_looks() -> None:
    told = ecs.view(finding())
    assert told["event"]["kind"] == "alert"
    assert told["source"]["ip"] == "10.244.1.12"
    assert told["kubernetes"]["pod"]["name"] == "web-6c9f7d-abcde"
    assert told["kubernetes"]["deployment"] == {"name": "web"}
    assert told["orchestrator"]["cluster"]["name"] == "prod"
    assert told["threat"]["technique"]["subtechnique"]["id"] == ["T1552.005"]
    assert told["whowas"]["source"]["confidence"] == "exact"
    assert told["whowas"]["source"]["labels"] == ["app=web", "tier=front"]
    assert told["whowas"]["destination"]["kind"] == "external"

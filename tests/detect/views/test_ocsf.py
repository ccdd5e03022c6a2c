"""The OCSF view, held against the published schema: nothing unknown, nothing missing, whatever the finding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from support.findings import finding, findings, flow

from detect.model import Finding
from detect.views import ocsf


@cache
def schema() -> dict[str, Any]:
    made: dict[str, Any] = OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.OCSF)).get_class_schema(
        "detection_finding", ocsf.PROFILES
    )
    return made


@cache
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def valid(one: Finding) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(ocsf.view(one)))
    wrong = [f"{error.json_path}: {error.message[:200]}" for error in validator().iter_errors(told)]
    assert wrong == []
    return told


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(findings())
def test_every_finding_is_valid(one: Finding) -> None:
    told = valid(one)
    assert told["finding_info"]["uid"] == one.uid
    assert told["count"] == one.count
    assert len(told["evidences"] if one.flows else ()) == len(one.flows)


def test_the_schema_refuses_what_it_does_not_know() -> None:
    """Or the test above would say nothing."""
    told = ocsf.view(finding())
    for path in ((), ("finding_info",), ("metadata", "product"), ("evidences", 0, "src_endpoint", "container")):
        broken = json.loads(json.dumps(told))
        place = broken
        for step in path:
            place = place[step]
        place["invented"] = 1
        assert not validator().is_valid(broken), path


def test_both_ends_are_told_with_all_that_is_known() -> None:
    told = valid(finding())
    source = told["evidences"][0]["src_endpoint"]
    assert source["container"]["labels"] == ["app=web", "tier=front"]
    assert source["container"]["image"]["name"] == "registry.example/web:4.2"
    assert (source["ip"], source["port"], source["hostname"]) == ("10.244.1.12", 41000, "worker-1")
    names = {one["name"]: one["data"] for one in told["enrichments"]}
    pod = names["evidences[].src_endpoint.ip"]
    assert {key: pod[key] for key in ("namespace", "pod", "workload", "node", "confidence", "reason", "images")} == {
        "namespace": "shop", "pod": "web-6c9f7d-abcde", "workload": "web", "node": "worker-1", "confidence": "exact",
        "reason": "one holder", "images": ["registry.example/web:4.2"],
    }  # fmt: skip
    assert names["evidences[].dst_endpoint.ip"]["confidence"] == "external"
    assert told["evidences"][0]["data"]["traffic"] == {
        "bytes_out": 600, "bytes_in": 1900, "packets_out": 6, "packets_in": 5,
    }  # fmt: skip


def test_candidates_stand_beside_an_ambiguous_name() -> None:
    others = [{"kind": "pod", "namespace": "shop", "name": name, "uid": None, "workload": None, "reason": "possible"}
              for name in ("old", "new")]  # fmt: skip
    one = flow(src_confidence="ambiguous", src_pod=None, src_pod_uid=None, src_candidates=others)
    told = valid(finding(flows=(one,)))
    (named,) = (two for two in told["enrichments"] if two["name"] == "evidences[].src_endpoint.ip")
    assert [other["name"] for other in named["data"]["candidates"]] == ["old", "new"]
    assert told["confidence_score"] < 40
    assert "resources" not in told


def test_the_uid_stays_and_the_activity_tells_of_revisions() -> None:
    first, second = valid(finding(revision=1)), valid(finding(revision=2, count=7))
    assert first["finding_info"]["uid"] == second["finding_info"]["uid"] == first["metadata"]["correlation_uid"]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert (first["activity_name"], second["activity_name"]) == ("Create", "Update")
    assert (first["type_uid"], second["type_uid"]) == (200401, 200402)


@pytest.mark.parametrize(
    ("level", "severity"), [("informational", 1), ("low", 2), ("medium", 3), ("high", 4), ("critical", 5)]
)
def test_severity_is_the_rules_level(level: str, severity: int) -> None:
    from dataclasses import replace

    from support.findings import RULE

    told = valid(finding(rule=replace(RULE, level=level)))
    assert (told["severity_id"], told["severity"].lower()) == (severity, level)


def captions(place: str, told: Any, objects: Mapping[str, Any], kind: Mapping[str, Any]) -> Iterator[str]:
    """What stands beside a number of an enum must be its caption, and no deprecated attribute may be used."""
    for name, value in told.items():
        attribute = kind["attributes"][name]
        if "@deprecated" in attribute:
            yield f"{place}.{name} is deprecated"
        sibling = attribute.get("sibling")
        if attribute.get("enum") and sibling in told and value != 99:
            if told[sibling] != attribute["enum"][str(value)]["caption"]:
                yield f"{place}.{name}: {value} is not {told[sibling]}"
        below = objects.get(attribute.get("object_type") or "", {})
        if below.get("attributes"):
            for one in value if isinstance(value, list) else [value]:
                yield from captions(f"{place}.{name}", one, objects, below)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(findings())
def test_words_and_numbers_agree_and_nothing_deprecated_is_used(one: Finding) -> None:
    published = get_ocsf_schema(ocsf.OCSF)
    kind = published["classes"]["detection_finding"]
    assert list(captions("", ocsf.view(one), published["objects"], kind)) == []


def test_an_alert_is_never_too_large_for_a_broker() -> None:
    """A history that somebody forged: thousands of labels, each as long as can be."""
    labels = {f"{n:05}" + "k" * 2000: "v" * 2000 for n in range(300)}
    candidate = dict.fromkeys(("kind", "namespace", "name", "uid", "workload", "reason"), "c" * 5000)
    big = flow(src_labels=labels, dst_labels=labels, src_images=["i" * 9000 + str(n) for n in range(99)],
               src_candidates=[candidate] * 200, dst_pod="p" * 9999)  # fmt: skip
    flows = tuple(big | {"flow_id": f"{n:032x}", "src_ip": f"10.0.0.{n}"} for n in range(10))
    told = valid(finding(flows=flows, count=10))
    assert len(json.dumps(told)) <= ocsf.LARGEST
    assert 1 <= len(told["evidences"]) < 10
    assert told["metadata"]["is_truncated"] is True
    assert told["unmapped"]["evidence_flows"] == 10

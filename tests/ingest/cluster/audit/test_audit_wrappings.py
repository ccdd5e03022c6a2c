"""Audit events as clouds hand them out, and as anything might come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cluster.audit_lines import KUBELET, at, bind, create, delete, done, pod, running, text, us, write
from support.cluster.audit_reading import IP, read, shown
from support.cluster.mutations import ANY, changed, load, places
from support.cluster.mutations import read as read_bytes

from ingest.cluster.audit.external_sort import Runs
from ingest.cluster.audit.object_state import Write
from ingest.cluster.audit.patches import PatchError, patched, reduced
from ingest.cluster.audit.selectors import selects

RELAXED = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EVENTS = [create("a", 0), bind("a", 1), running("a", 5, IP), done("a", 50, began=4), delete("a", 60, 0, user=KUBELET)]
LINES = [text(running(f"p{n}", n, f"10.0.0.{n}")).encode() for n in range(5)]
WHOLE = shown(read_bytes(text(*EVENTS).encode())[0])


def cloudwatch(event: Any) -> dict[str, Any]:
    return {"timestamp": 1_795_168_800_000, "message": json.dumps(event), "ingestionTime": 1_795_168_801_000}


def azure(event: Any) -> dict[str, Any]:
    log = {"log": json.dumps(event) + "\n", "stream": "stdout", "pod": "kube-apiserver-x"}
    return {"time": at(0), "category": "kube-audit-admin", "operationName": "x", "properties": log}


FORMS = {
    "lines": text(*EVENTS),
    "pretty": "".join(json.dumps(one, indent=2) + "\n" for one in EVENTS),
    "list": json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": EVENTS}),
    "bare items": json.dumps(
        {
            "kind": "EventList",
            "apiVersion": "audit.k8s.io/v1",
            "items": [{k: v for k, v in one.items() if k not in ("kind", "apiVersion")} for one in EVENTS],
        },
        indent=1,
    ),
    "cloudwatch lines": text(*(cloudwatch(one) for one in EVENTS)),
    "aws command line": json.dumps({"events": [cloudwatch(one) for one in EVENTS], "searchedLogStreams": []}, indent=4),
    "subscription": json.dumps(
        {
            "messageType": "DATA_MESSAGE",
            "logGroup": "/aws/eks/x/cluster",
            "logEvents": [cloudwatch(one) for one in EVENTS],
        }
    ),
    "export to S3": "".join(f"{one['stageTimestamp'][:23]}Z {json.dumps(one)}\n" for one in EVENTS),
    "azure lines": text(*(azure(one) for one in EVENTS)),
    "azure records": json.dumps({"records": [azure(one) for one in EVENTS]}),
    "azure table": text(*({"TimeGenerated": at(0), "log_s": json.dumps(one)} for one in EVENTS)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_wrapping_says_the_same(form: str, tmp_path: Path) -> None:
    found, report = read(tmp_path, FORMS[form])
    assert shown(found) == WHOLE
    assert report.whole()


def google(method: str, name: str, seconds: float, request: Any, response: Any, **more: Any) -> dict[str, Any]:
    said = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "k8s.io",
        "methodName": method,
        "resourceName": name,
        "authenticationInfo": {"principalEmail": KUBELET},
        "status": {},
    }
    said |= {"request": request} if request is not None else {}
    said |= {"response": response} if response is not None else {}
    return {"insertId": f"g-{seconds}", "protoPayload": said, "timestamp": at(seconds)} | more


def test_google_cloud_audit_logs(tmp_path: Path) -> None:
    path = "core/v1/namespaces/shop/pods/a"
    patch = running("a", 5, IP)["requestObject"] | {"@type": "k8s.io/Patch"}
    answer = pod("a", 7) | {"@type": "core.k8s.io/v1.Pod", "status": {"phase": "Running", "podIP": IP}}
    del answer["kind"]
    slices = {"kind": "EndpointSlice", "metadata": {"name": "s", "uid": "u", "resourceVersion": "3"}, "endpoints": []}
    entries = [
        google("io.k8s.core.v1.pods.create", "core/v1/namespaces/shop/pods", 0, pod("a"), pod("a", 1)),
        google("io.k8s.core.v1.pods.status.patch", f"{path}/status", 5, patch, None),
        google("io.k8s.core.v1.pods.patch", path, 9, {}, answer),
        google("io.k8s.core.v1.pods.delete", path, 10, None, None) | {"operation": {"first": True, "id": "x"}},
        google(
            "io.k8s.discovery.v1.endpointslices.update",
            "discovery.k8s.io/v1/namespaces/shop/endpointslices/s",
            11,
            slices,
            None,
        ),
        google("google.container.v1.ClusterManager.UpdateCluster", "projects/x/clusters/y", 12, {}, {}),
    ]
    refused = google("io.k8s.core.v1.pods.delete", path, 20, {"gracePeriodSeconds": 0}, None)
    refused["protoPayload"]["status"] = {"code": 7, "message": "forbidden"}
    found, report = read(tmp_path, text(*entries, refused))
    assert shown(found) == [
        ("ADDED", "a", None),
        ("MODIFIED", "a", IP),
        ("MODIFIED", "a", IP),
        ("MODIFIED", "s", None),
    ]
    assert [one.received_us for one in found] == [us(0), us(5), us(9), us(11)]
    assert report.whole()


def test_a_message_that_was_cut_costs_itself(tmp_path: Path) -> None:
    lines = [cloudwatch(one) for one in EVENTS]
    lines[1]["message"] = lines[1]["message"][:200]
    found, report = read(tmp_path, text(*lines))
    assert len(found) == len(WHOLE) - 1
    assert [bad.offset for bad in report.files[0].unreadable] == [len(text(lines[0]))]
    assert report.refused == {"broken_json": 1}


def test_kubectl_objects_that_speak_of_audit_are_still_objects(tmp_path: Path) -> None:
    thing = pod("a", 1) | {"status": {"podIP": IP}}
    thing["metadata"]["annotations"] = {"note": "see audit.k8s.io/v1"}
    found, report = read(tmp_path, json.dumps({"kind": "List", "apiVersion": "v1", "items": [thing]}))
    assert shown(found) == [("LISTED", "a", IP)]
    assert report.whole()


ITEMS = {"kind": "PodList", "items": [pod("b", 3, nodeName="n1") | {"status": {"phase": "Running", "podIP": IP}}]}
MORE = [
    *EVENTS[:3],
    write("create", "a", 6, {"kind": "Eviction", "deleteOptions": {"gracePeriodSeconds": 5}}, subresource="eviction"),
    write("create", "s", 7, {}, {"kind": "Service", "metadata": {"name": "s", "uid": "u"}}, resource="services"),
    write("delete", "s", 8, {"propagationPolicy": "Foreground"}, resource="services"),
    write("update", "a", 9, pod("a", 8), resource="pods"),
    write("patch", "a", 10, [{"op": "replace", "path": "/metadata/labels/app", "value": "b"}]),
    write("deletecollection", "", 11, {}, ITEMS),
    write("deletecollection", "", 12, {}, requestURI="/api/v1/namespaces/shop/pods?labelSelector=app%3Da"),
    *EVENTS[3:],
]


@given(st.data())
@RELAXED
def test_anything_anywhere_in_an_event_stops_nothing(data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(MORE) - 1))
    odd = changed(MORE[row], data.draw(st.sampled_from(places(MORE[row]))), data.draw(ANY))
    events = [*MORE[:row], odd, *MORE[row + 1 :], running("good", 90, "10.0.0.1")]
    content = text(*events).encode("utf-8", "surrogatepass")
    found, _ = read_bytes(content)
    assert ("MODIFIED", "good", "10.0.0.1") in shown(found)
    load(content)


@given(st.data())
@RELAXED
def test_bytes_changed_cost_the_line_that_was_hit(data: st.DataObject) -> None:
    lines = list(LINES)
    row = data.draw(st.integers(0, 4))
    place = data.draw(st.integers(1, len(lines[row]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != 10))
    lines[row] = lines[row][:place] + bytes([byte]) + lines[row][place + 1 :]
    found, report = read_bytes(b"".join(lines))
    others = {("MODIFIED", f"p{n}", f"10.0.0.{n}") for n in range(5) if n != row}
    assert others <= set(shown(found))
    assert all(bad.offset == len(b"".join(lines[:row])) for bad in report.files[0].unreadable if "JSON" in bad.reason)
    load(b"".join(lines))


PATCHED = {"metadata": {"labels": {"a": "1"}}, "spec": {}, "status": {"podIPs": [{"ip": IP}], "conditions": []}}
OPERATION = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
        "path": st.sampled_from(
            ["/status/podIP", "/status/podIPs/0", "/status/podIPs/-", "/metadata/labels/a~1b", "", "/x/y"]
        ),
    },
    optional={"value": ANY, "from": st.sampled_from(["/status/podIPs/0/ip", "/status/none", "/metadata"])},
)


@given(ANY, st.lists(OPERATION | ANY, max_size=5) | ANY)
@RELAXED
def test_any_patch_of_anything_fits_or_is_refused(thing: Any, patch: Any) -> None:
    known = reduced(thing, frozenset()) if isinstance(thing, dict) else PATCHED
    before = json.dumps(known)
    try:
        made = patched(known, patch, frozenset())
    except PatchError:
        made = {}
    assert isinstance(made, dict)
    assert json.dumps(known) == before


@pytest.mark.parametrize(
    ("patch", "ips"),
    [
        ({"podIPs": [{"ip": "10.0.0.2"}]}, ["10.0.0.2"]),
        ({"podIPs": [{"ip": "fd00::1"}], "$setElementOrder/podIPs": [{"ip": "fd00::1"}, {"ip": IP}]}, ["fd00::1", IP]),
        ({"podIPs": [{"ip": IP, "$patch": "delete"}, {"ip": "10.0.0.3"}]}, ["10.0.0.3"]),
        ({"podIPs": [{"$patch": "replace"}, {"ip": "10.0.0.4"}]}, ["10.0.0.4"]),
        ({"podIPs": None}, None),
        ({"$retainKeys": ["phase"], "phase": "Failed"}, None),
        ({"$patch": "replace", "podIPs": []}, []),
        ({"phase": "Running"}, [IP]),
    ],
)
def test_directives(patch: dict[str, Any], ips: list[str] | None) -> None:
    made = patched({"status": {"podIPs": [{"ip": IP}], "phase": "Pending"}}, {"status": patch}, frozenset())
    found = made["status"].get("podIPs")
    assert (None if found is None else [one["ip"] for one in found]) == ips


@given(st.text(max_size=40))
@RELAXED
def test_any_selector_is_understood_or_means_nothing(words: str) -> None:
    assert isinstance(selects(f"/api/v1/pods?labelSelector={words}&fieldSelector={words}", pod("a")), bool)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=60))
@RELAXED
def test_runs_come_back_in_order(times: list[int]) -> None:
    runs = Runs(Write, held=2000)
    for at_us in times:
        runs.add(at_us, Write(at_us, 0, "", "", "", "", "", "", 0, False, False, "", b"", b"", "", "", 0))
    assert [one.at_us for one in runs.sorted()] == sorted(times)

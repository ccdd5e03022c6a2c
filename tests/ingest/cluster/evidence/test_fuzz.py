"""Evidence that nobody foresaw: nothing crashes, and everything that can be read is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cluster.mutations import ANY, IP, changed, load, places, read
from support.cluster.written import AT, dump, event, lines, listing, names, pod

from whowas.errors import WhowasError
from whowas.observation import Observation

RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.binary(max_size=3000))
@RELAXED
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found, report = read(data)
    except WhowasError:
        pytest.fail("a file that is there is never an error")
    assert len(found) == sum(report.observations.values())
    if data.removeprefix(b"\xef\xbb\xbf").strip() and not found:
        assert not report.whole()
    assert all(0 <= bad.offset <= 1 << 30 for bad in report.files[0].unreadable)


GARBAGE = st.one_of(
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from(
        [b"{", b"}", b"{}", b"[", b"{{", b"}}", b'{"type":"ADDED","object":', b'"', b"", b"  {", b"\x1f\x8b"]
    ),
    st.text(max_size=30).map(lambda text: json.dumps({"type": text, "object": text}).encode()),
)


def kept(found: list[Observation]) -> list[str]:
    return [name for name in names(found) if name.startswith("good-")]


@given(st.lists(GARBAGE, min_size=1, max_size=12))
@RELAXED
def test_every_good_line_between_garbage_is_read(garbage: list[bytes]) -> None:
    # The first line is good: what a file's first bytes say of compression is another matter.
    data = lines(event("good-0")).encode()
    for number, bad in enumerate(garbage, 1):
        data += bad + b"\n" + lines(event(f"good-{number}")).encode()
    found, _ = read(data)
    assert kept(found) == [f"good-{n}" for n in range(len(garbage) + 1)]


@given(st.lists(GARBAGE, min_size=1, max_size=8))
@RELAXED
def test_every_good_value_of_a_dump_between_garbage_is_read(garbage: list[bytes]) -> None:
    data = dump(event("good-0")).encode()
    for number, bad in enumerate(garbage, 1):
        data += bad + b"\n" + dump(event(f"good-{number}")).encode()
    found, _ = read(data)
    assert kept(found) == [f"good-{n}" for n in range(len(garbage) + 1)]


@given(st.data())
@RELAXED
def test_evidence_with_bytes_changed_loses_only_the_lines_that_were_hit(data: st.DataObject) -> None:
    parts = [lines(event(f"good-{n}", received=AT)).encode() for n in range(6)]
    hit = data.draw(st.sets(st.integers(0, 5), min_size=1, max_size=3))
    for number in hit:
        # The line's first byte and its end stay: a line that begins like a value of several lines is another matter.
        at = data.draw(st.integers(1, len(parts[number]) - 2))
        byte = data.draw(st.integers(0, 255).filter(lambda one: one != 10))
        parts[number] = parts[number][:at] + bytes([byte]) + parts[number][at + 1 :]
    found, report = read(b"".join(parts))
    untouched = {f"good-{n}" for n in range(6)} - {f"good-{n}" for n in hit}
    assert untouched <= set(names(found))
    assert len(found) + report.refused["broken_json"] >= 6 - len(hit)
    load(b"".join(parts))


@given(st.data())
@RELAXED
def test_evidence_cut_anywhere_keeps_every_whole_line(data: st.DataObject) -> None:
    whole = "".join(lines(event(f"good-{n}")) for n in range(5)).encode()
    size = data.draw(st.integers(0, len(whole)))
    found, report = read(whole[:size])
    # A last line that lacks only its line end is whole.
    complete = whole[:size].count(b"\n") + (size < len(whole) and whole[size : size + 1] == b"\n")
    assert kept(found) == [f"good-{n}" for n in range(complete)]
    assert report.whole() == (
        size == len(whole) or whole[size : size + 1] == b"\n" or size == 0 or whole[size - 1] == 10
    )


def full(kind: str) -> dict[str, Any]:
    """An object of a kind with every field that is read."""
    made = pod("a", kind=kind)
    ran = {"startedAt": AT, "finishedAt": AT}
    made["metadata"] |= {"deletionTimestamp": AT, "deletionGracePeriodSeconds": 30, "labels": {"app": "a"}}
    made["metadata"] |= {"annotations": {"cni.projectcalico.org/podIP": IP}}
    made["metadata"] |= {"ownerReferences": [{"kind": "Job", "name": "j", "uid": "u", "controller": True}]}
    made["spec"] |= {
        "hostNetwork": False,
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1"],
        "podCIDR": "10.244.1.0/24",
    }
    made["spec"] |= {"containers": [{"image": "i", "ports": [{"containerPort": 80}]}], "externalIPs": ["192.0.2.1"]}
    made["spec"] |= {"ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}], "podCIDRs": ["10.244.1.0/24"]}
    state = {"state": {"running": ran}, "lastState": {"terminated": ran}, "restartCount": 1}
    made["status"] |= {"podIPs": [{"ip": IP}], "containerStatuses": [state], "initContainerStatuses": [state]}
    conditions = [
        {"type": one, "status": "True", "lastTransitionTime": AT}
        for one in ("PodScheduled", "PodReadyToStartContainers")
    ]
    made["status"] |= {"conditions": conditions, "addresses": [{"type": "InternalIP", "address": "192.0.2.2"}]}
    made["status"] |= {"loadBalancer": {"ingress": [{"ip": "192.0.2.3"}]}}
    return made | {"endpoints": [{"targetRef": {"kind": "Pod", "uid": "uid-a"}}]}


KINDS = ("Pod", "Service", "Node", "EndpointSlice", "ReplicaSet")


@given(st.data(), st.sampled_from(KINDS), st.sampled_from(["ADDED", "MODIFIED", "DELETED"]))
@RELAXED
def test_anything_anywhere_in_an_event_stops_nothing(data: st.DataObject, kind: str, verb: str) -> None:
    whole = {"type": verb, "object": full(kind), "received": AT, "cluster": "c"}
    odd = changed(whole, data.draw(st.sampled_from(places(whole))), data.draw(ANY))
    content = lines(event("good-1", received=AT), odd, event("good-2", received=AT)).encode("utf-8", "surrogatepass")
    found, _ = read(content)
    assert kept(found) == ["good-1", "good-2"]
    load(content)


@given(st.data(), st.sampled_from(KINDS))
@RELAXED
def test_anything_anywhere_in_a_bare_object_stops_nothing(data: st.DataObject, kind: str) -> None:
    odd = changed(full(kind), data.draw(st.sampled_from(places(full(kind)))), data.draw(ANY))
    content = lines(event("good-1"), odd, event("good-2")).encode("utf-8", "surrogatepass")
    assert kept(read(content)[0]) == ["good-1", "good-2"]
    load(content)


@given(st.data())
@RELAXED
def test_anything_in_one_field_of_one_item_costs_no_item_of_a_list(data: st.DataObject) -> None:
    items = [pod("good-1"), full("Pod"), pod("good-2")]
    inside = [path for path in places(items[1]) if len(path) > 1]
    items[1] = changed(items[1], data.draw(st.sampled_from(inside)), data.draw(ANY))
    found, _ = read(lines(listing(*items)).encode("utf-8", "surrogatepass"))
    assert len(found) == 3


@given(st.lists(ANY, max_size=6))
@RELAXED
def test_any_json_stops_nothing(values: list[Any]) -> None:
    content = lines(*values, event("good-1")).encode("utf-8", "surrogatepass")
    assert kept(read(content)[0]) == ["good-1"]
    load(content)

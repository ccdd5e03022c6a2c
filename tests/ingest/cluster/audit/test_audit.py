"""Audit logs as history: each rule of reading them, on events written by hand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from support.cluster.audit_lines import (
    KUBELET,
    at,
    bind,
    condition,
    create,
    delete,
    done,
    pod,
    running,
    second,
    status,
    text,
    us,
    write,
)
from support.cluster.audit_reading import IP, read, read_all, shown

from enrich.naming.who import who_at
from whowas.history.queries import load_history


def spans(tmp_path: Path, verb: str, *files: str) -> list[tuple[int, int] | None]:
    """When somebody looked (WATCHED), or a kubelet's word was missing (GAP)."""
    return [one.span for one in read_all(tmp_path, *files)[0] if one.verb == verb]


def life(name: str = "a", begin: float = 0, ip: str = IP) -> list[dict[str, Any]]:
    """A pod from its creation to its deletion, 60 s long."""
    return [
        create(name, begin),
        bind(name, begin + 1),
        running(name, begin + 5, ip),
        delete(name, begin + 60, 1),
        delete(name, begin + 62, 0, user=KUBELET),
    ]


def test_a_life_by_requests_and_one_answer(tmp_path: Path) -> None:
    found, report = read(tmp_path, text(*life()))
    assert [one.verb for one in found] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
    last = found[2].object
    assert last.metadata is not None
    assert last.spec is not None
    assert last.status is not None
    assert (last.metadata.uid, last.metadata.labels) == ("uid-a", {"app": "a"})
    assert (last.spec.nodeName, last.status.podIP) == ("n1", IP)
    assert last.status.podIPs is not None
    assert [one.type for one in last.status.conditions or ()] == ["PodReadyToStartContainers", "PodScheduled"]
    assert found[2].received_us == us(5)
    assert report.whole()
    assert not report.refused


def test_the_same_life_names_its_address(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text(text(*life(), create("other", 200, 9)))
    known = load_history(str(tmp_path / "audit.log"))
    answer = who_at(known, IP, us(30))
    assert (answer.confidence, answer.holder and answer.holder.name) == ("exact", "a")


def test_requests_alone_suffice_for_addresses(tmp_path: Path) -> None:
    asked = write("create", "a", 0, pod("a"))
    found, report = read(tmp_path, text(asked, *life()[1:]))
    assert ("MODIFIED", "a", IP) in shown(found)
    assert {one.object.metadata.uid for one in found if one.object.metadata} == {"uid-a"}
    created = found[0].object.metadata
    assert created is not None
    assert created.creationTimestamp == at(-1)[:20] + "000000Z"  # the request came just before the second
    assert not report.refused


def test_a_patch_of_a_pod_never_seen_is_evidence_when_it_says_the_address(tmp_path: Path) -> None:
    only_ready = status("a", 1, conditions=[condition("Ready", "True", 1)])
    found, _ = read(tmp_path, text(only_ready, running("a", 5, IP), done("a", 50)))
    assert shown(found) == [("MODIFIED", "a", IP), ("MODIFIED", "a", IP)]


def test_a_pod_that_is_over_is_evidence_without_an_address(tmp_path: Path) -> None:
    found, _ = read(tmp_path, text(done("a", 50)))
    assert shown(found) == [("MODIFIED", "a", None)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"stage": "RequestReceived"}, "not done yet"),
        ({"code": 409}, "refused"),
        ({"requestURI": "/api/v1/namespaces/shop/pods?dryRun=All"}, "a rehearsal"),
        ({"verb": "get"}, "no write"),
        ({"group": "metrics.k8s.io"}, "another API"),
        ({"subresource": "exec"}, "no change of the object"),
    ],
)
def test_what_changed_nothing_says_nothing(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    event = write(
        **{"verb": "create", "name": "a", "seconds": 0, "request": pod("a"), "response": pod("a", 1)} | change
    )
    found, report = read(tmp_path, text(event, running("b", 5, IP)))
    assert [name for _, name, _ in shown(found)] == ["b"], why
    assert report.whole()


def test_a_rehearsed_delete_and_eviction_delete_nothing(tmp_path: Path) -> None:
    dry = write("delete", "a", 20, {"gracePeriodSeconds": 0, "dryRun": ["All"]})
    asked = {"kind": "Eviction", "deleteOptions": {"dryRun": ["All"]}}
    evicted = write("create", "a", 21, asked, subresource="eviction")
    found, _ = read(tmp_path, text(create("a", 0), dry, evicted))
    assert [one.verb for one in found] == ["ADDED"]


def test_the_same_event_twice_counts_once(tmp_path: Path) -> None:
    events = life()
    found, report = read(tmp_path, text(*events), text(*events[2:4]))
    assert len(found) == 5
    assert report.refused == {"audit_twice": 2}


def test_an_audit_id_chosen_by_a_client_hides_nothing(tmp_path: Path) -> None:
    events = [one | {"auditID": "mine"} for one in life()]
    assert len(read(tmp_path, text(*events))[0]) == 5


def test_three_apiservers_out_of_order_say_what_one_says(tmp_path: Path) -> None:
    events = [event for n in range(30) for event in life(f"p{n}", n * 7, f"10.0.0.{n % 5}")]
    events.sort(key=lambda one: one["stageTimestamp"])
    chance = random.Random(5)
    logs: list[list[Any]] = [[], [], []]
    for event in events:
        chance.choice(logs).append(event)
    for log in logs:
        log.sort(key=lambda one: one["stageTimestamp"][:18] + str(chance.random()))  # any order within ten seconds
    whole, _ = read(tmp_path, text(*events))
    split, report = read(tmp_path, *(text(*log) for log in logs))
    assert shown(split) == shown(whole)
    assert not report.refused


def answered(name: str, seconds: float, version: int, ip: str | None) -> dict[str, Any]:
    thing = pod(name, version) | {"status": {"phase": "Running", "podIP": ip}}
    return write("patch", name, seconds, {"status": {}}, thing, subresource="status", user=KUBELET)


def test_versions_go_before_clocks(tmp_path: Path) -> None:
    # The second apiserver's clock is two seconds behind.
    events = [create("a", 0), answered("a", 10, 5, None), answered("a", 8.5, 6, IP), create("b", 100, 9)]
    found, _ = read(tmp_path, text(*events))
    assert shown(found) == [("ADDED", "a", None), ("MODIFIED", "a", None), ("MODIFIED", "a", IP), ("ADDED", "b", None)]


def test_beyond_the_window_the_clock_decides(tmp_path: Path) -> None:
    events = [create("a", 0), answered("a", 40, 5, None), answered("a", 8.5, 6, IP)]
    found, _ = read(tmp_path, text(*events))
    assert [ip for _, _, ip in shown(found)] == [None, IP, None]


def test_deletions(tmp_path: Path) -> None:
    marked, gone = (read(tmp_path, text(*life()))[0][n].object.metadata for n in (3, 4))
    assert marked is not None
    assert gone is not None
    assert (marked.deletionTimestamp, marked.deletionGracePeriodSeconds) == (second(61)[:-1] + ".000000Z", 1)
    assert gone.deletionGracePeriodSeconds == 0


def test_a_delete_without_a_period_takes_that_of_the_pod(tmp_path: Path) -> None:
    made = create("a", 0, terminationGracePeriodSeconds=7, nodeName="n1")
    found, _ = read(tmp_path, text(made, running("a", 5, IP), delete("a", 60)))
    meta = found[-1].object.metadata
    assert meta is not None
    assert (found[-1].verb, meta.deletionGracePeriodSeconds) == ("MODIFIED", 7)


def test_a_pod_that_was_never_placed_goes_at_once(tmp_path: Path) -> None:
    found, _ = read(tmp_path, text(create("a", 0), delete("a", 10)))
    assert [one.verb for one in found] == ["ADDED", "DELETED"]


def test_a_finalizer_holds_a_deleted_pod(tmp_path: Path) -> None:
    thing = pod("a", 1, nodeName="n1")
    thing["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    released = {"metadata": {"uid": "uid-a", "$deleteFromPrimitiveList/finalizers": thing["metadata"]["finalizers"]}}
    events = [write("create", "a", 0, pod("a"), thing), running("a", 5, IP), done("a", 20, began=4)]
    events += [delete("a", 30, 0, user=KUBELET), write("patch", "a", 40, released)]
    found, _ = read(tmp_path, text(*events))
    assert [one.verb for one in found] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]


def test_an_eviction_is_a_deletion(tmp_path: Path) -> None:
    asked = {"kind": "Eviction", "metadata": {"name": "a"}, "deleteOptions": {"gracePeriodSeconds": 5}}
    evicted = write("create", "a", 20, asked, subresource="eviction")
    found, _ = read(tmp_path, text(create("a", 0, nodeName="n1"), running("a", 5, IP), evicted))
    meta = found[-1].object.metadata
    assert meta is not None
    assert meta.deletionGracePeriodSeconds == 5


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", set()),
        ("?labelSelector=app%3Da", {"b", "c"}),
        ("?labelSelector=app+in+%28a%2Cb%29", {"c"}),
        ("?labelSelector=app%21%3Da", {"a"}),
        ("?labelSelector=tier", {"a", "b", "c"}),
        ("?fieldSelector=metadata.name%3Db", {"a", "c"}),
        ("?fieldSelector=spec.unknown%3Db", {"a", "b", "c"}),
        ("?labelSelector=%28%28", {"a", "b", "c"}),
    ],
)
def test_deletecollection_deletes_what_it_selects(tmp_path: Path, query: str, left: set[str]) -> None:
    uri = f"/api/v1/namespaces/shop/pods{query}"
    many = write("deletecollection", "", 10, {"kind": "DeleteOptions"}, requestURI=uri)
    found, _ = read(tmp_path, text(*(create(name, n) for n, name in enumerate("abc")), many))
    assert {name for _, name, _ in shown(found[:3])} - {name for _, name, _ in shown(found[3:])} == left


def test_the_answer_of_a_deletecollection_says_what_went(tmp_path: Path) -> None:
    items = [pod("a", 3, nodeName="n1") | {"status": {"phase": "Running", "podIP": IP}}]
    many = write("deletecollection", "", 10, {}, {"kind": "PodList", "items": items})
    found, _ = read(tmp_path, text(create("b", 0), many))
    assert shown(found)[1:] == [("MODIFIED", "a", IP)]


def test_a_name_taken_again_is_another_pod(tmp_path: Path) -> None:
    again = [write("create", "a", 100, pod("a"), pod("a", 9, 100, "uid-second")), running("a", 105, IP, "uid-second")]
    late = delete("a", 106, 0, user=KUBELET)
    late["requestObject"]["preconditions"] = {"uid": "uid-a"}
    found, _ = read(tmp_path, text(*life()[:3], *again, late))
    uids = [one.object.metadata.uid for one in found if one.object.metadata]
    assert uids == ["uid-a"] * 3 + ["uid-second"] * 2


def test_sights_wait_for_the_uid(tmp_path: Path) -> None:
    patch = {"status": {"phase": "Running", "podIP": IP}}
    events = [
        write("create", "a", 0, pod("a")),
        write("patch", "a", 5, patch, subresource="status"),
        running("a", 9, IP),
    ]
    found, report = read(tmp_path, text(*events))
    assert [(one.received_us, one.object.metadata and one.object.metadata.uid) for one in found] == [
        (us(0), "uid-a"),
        (us(5), "uid-a"),
        (us(9), "uid-a"),
    ]
    assert not report.refused


def test_what_never_got_a_uid_is_counted(tmp_path: Path) -> None:
    events = [write("create", "a", 0, pod("a")), write("create", "", 1, {"metadata": {"generateName": "b-"}})]
    found, report = read(tmp_path, text(*events))
    assert found == []
    assert report.refused == {"audit_uid_unknown": 1, "audit_name_unknown": 1}


def hide(event: dict[str, Any]) -> dict[str, Any]:
    """The same event at level Metadata."""
    return {name: value for name, value in event.items() if name not in ("requestObject", "responseObject")}


def test_a_policy_that_hides_addresses_is_named_once_with_its_cure(tmp_path: Path) -> None:
    events = [create(f"p{n}", n) for n in range(5)]
    events += [hide(running(f"p{n}", 10 + n, f"10.0.0.{n}")) for n in range(5)]
    found, report = read(tmp_path, text(*events))
    bad = report.files[0].unreadable
    assert len(bad) == 1
    assert bad[0].offset == len(text(*events[:5]))
    assert "5 of 5 writes of pods/status" in bad[0].reason
    assert (
        '- {level: Request, verbs: [update, patch], resources: [{group: "", resources: [pods/status]}]}'
        in bad[0].reason
    )
    assert [ip for _, _, ip in shown(found)] == [None] * 5
    assert spans(tmp_path, "GAP", text(*events)) == [(us(10 - 0.01), us(14))]
    assert not spans(tmp_path, "WATCHED", text(*events))


def test_a_log_without_a_word_of_kubelets_says_so(tmp_path: Path) -> None:
    _, report = read(tmp_path, text(create("a", 0), bind("a", 1)))
    assert "it has no writes of pods/status" in report.files[0].unreadable[0].reason


def test_after_a_hidden_word_nothing_goes_on_by_silence(tmp_path: Path) -> None:
    events = [create("a", 0), bind("a", 1), running("a", 5, IP), hide(done("a", 60)), create("other", 600, 9)]
    (tmp_path / "audit.log").write_text(text(*events))
    known = load_history(str(tmp_path / "audit.log"))
    assert who_at(known, IP, us(20)).confidence == "exact"
    assert who_at(known, IP, us(300)).confidence != "exact"


def test_truncated_events_are_counted(tmp_path: Path) -> None:
    cut = hide(running("a", 5, IP)) | {"annotations": {"audit.k8s.io/truncated": "true"}}
    azure = running("b", 6, "10.0.0.9") | {"requestObject": "skipped-too-big-size-object"}
    _, report = read(tmp_path, text(create("a", 0), cut, azure))
    assert report.refused == {"audit_truncated": 1}
    assert "2 of 2" in report.files[0].unreadable[0].reason


def test_other_kinds(tmp_path: Path) -> None:
    service = {"kind": "Service", "metadata": {"name": "s", "uid": "uid-s"}, "spec": {"clusterIP": "10.96.0.9"}}
    slices = {"kind": "EndpointSlice", "metadata": {"name": "s-x", "uid": "uid-x", "resourceVersion": "3"}}
    slices["endpoints"] = [{"addresses": [IP], "targetRef": {"kind": "Pod", "uid": "uid-a"}}]  # type: ignore[assignment]
    group = {"resource": "endpointslices", "group": "discovery.k8s.io"}
    lease = {"kind": "Lease", "spec": {"renewTime": at(3.5)}}
    kube = {"resource": "leases", "group": "coordination.k8s.io", "namespace": "kube-node-lease"}
    found, _ = read(
        tmp_path,
        text(
            write("create", "s", 0, {"spec": {}}, service, resource="services"),
            write("update", "s-x", 1, slices, **group),
            write("update", "n1", 4, lease, **kube),
            write("delete", "s", 5, {}, {"kind": "Status", "status": "Success"}, resource="services"),
        ),
    )
    assert [(one.verb, one.object.kind) for one in found] == [
        ("ADDED", "Service"),
        ("MODIFIED", "EndpointSlice"),
        ("CLOCK", "Node"),
        ("DELETED", "Service"),
    ]
    assert found[1].object.endpoints is not None
    assert found[2].object.spec is not None
    assert found[2].object.spec.renewTime == at(3.5)


def test_of_bodies_only_what_is_read_is_kept(tmp_path: Path) -> None:
    thing = pod("a", 1)
    thing["metadata"]["annotations"] = {"token": "secret", "cni.projectcalico.org/podIP": f"{IP}/32"}
    found, _ = read(tmp_path, text(write("create", "a", 0, pod("a"), thing)))
    meta = found[0].object.metadata
    assert meta is not None
    assert meta.annotations == {"cni.projectcalico.org/podIP": f"{IP}/32"}
    assert "secret" not in str(found[0])


def test_a_client_that_asked_for_metadata_alone(tmp_path: Path) -> None:
    brief = {"kind": "PartialObjectMetadata", "metadata": pod("a", 44)["metadata"]}
    patch = {"status": {"phase": "Running", "podIP": IP}}
    found, _ = read(tmp_path, text(write("patch", "a", 5, patch, brief, subresource="status")))
    meta = found[0].object.metadata
    assert meta is not None
    assert (meta.uid, meta.resourceVersion) == ("uid-a", "44")


def test_where_one_of_several_logs_is_not_there_yet_nobody_looked(tmp_path: Path) -> None:
    first = [event for n in range(40) for event in life(f"a{n}", n * 60, f"10.0.1.{n}")]
    other = [event for n in range(20) for event in life(f"b{n}", 1200 + n * 60, f"10.0.2.{n}")]
    assert spans(tmp_path, "WATCHED", text(*first), text(*other)) == [(us(1200), us(2402))]
    assert spans(tmp_path, "WATCHED", text(*first)) == [(us(0), us(2402))]


def test_a_copy_of_a_part_is_no_second_apiserver(tmp_path: Path) -> None:
    events = [event for n in range(40) for event in life(f"a{n}", n * 60, f"10.0.1.{n}")]
    assert spans(tmp_path, "WATCHED", text(*events), text(*events[100:])) == [(us(0), us(2402))]


def test_rotated_files_are_one_log_unless_one_is_missing(tmp_path: Path) -> None:
    parts = [text(*life("a", 0)), text(*life("b", 70, "10.0.0.2")), text(*life("c", 600, "10.0.0.3"))]
    assert spans(tmp_path, "WATCHED", *parts) == [(us(0), us(132)), (us(600), us(662))]


def test_silence_is_no_proof_where_a_file_is_missing(tmp_path: Path) -> None:
    begin = [create("a", 0), bind("a", 1), running("a", 5, IP), create("x", 60, 4)]
    (tmp_path / "1.log").write_text(text(*begin))
    (tmp_path / "3.log").write_text(text(create("y", 600, 9), create("z", 660, 10)))
    known = load_history(str(tmp_path))
    assert who_at(known, IP, us(20)).confidence == "exact"
    assert who_at(known, IP, us(300)).confidence == "unknown"
    assert who_at(known, IP, us(630)).confidence != "exact"

"""Workloads by the UIDs of their owners, and labels as they were at the moment."""

from __future__ import annotations

import pytest
from support.cluster_story import Owner, Pod, Story, at, complete, flow, live, named, service, thing

from enrich import History

IP = "10.244.1.5"
HASH = "7d9f8b6c5"


def workload(known: History, seconds: float = 50) -> tuple[str, str]:
    """(kind, name) of the workload at a moment, from the one answer that is exact."""
    answer = at(known, IP, seconds)
    assert answer.confidence == "exact"
    assert answer.holder is not None
    return answer.holder.workload_kind, answer.holder.workload


def owned(*owners: tuple[str, Owner | None], owner: Owner, **more: str) -> History:
    """A pod with an owner, and what is known of the owners: (`Kind/name/uid`, its own owner)."""
    story = Story()
    for named_, above in owners:
        kind, name, uid = named_.split("/")
        story.tell(-50, "ADDED", thing(kind, name, uid, owner=above))
    live(story, "web-x", IP, owner=owner, labels=more)
    return story.history()


def test_a_deployment_is_found_through_its_replicaset_by_uid() -> None:
    above: Owner = ("Deployment", "web", "uid-d")
    known = owned((f"ReplicaSet/web-{HASH}/uid-rs", above), owner=("ReplicaSet", f"web-{HASH}", "uid-rs"))
    assert workload(known) == ("Deployment", "web")


def test_a_deployment_whose_name_looks_like_a_hash_keeps_it() -> None:
    """Splitting names would cut `api-5d4f8c7b9d` off at the wrong dash."""
    above: Owner = ("Deployment", "api-5d4f8c7b9d", "uid-d")
    owner: Owner = ("ReplicaSet", f"api-5d4f8c7b9d-{HASH}", "uid-rs")
    assert workload(owned((f"ReplicaSet/{owner[1]}/uid-rs", above), owner=owner)) == ("Deployment", "api-5d4f8c7b9d")


def test_a_cronjob_is_found_through_its_job() -> None:
    above: Owner = ("CronJob", "nightly", "uid-c")
    known = owned(("Job/nightly-29381/uid-j", above), owner=("Job", "nightly-29381", "uid-j"))
    assert workload(known) == ("CronJob", "nightly")


def test_a_rollout_is_no_deployment() -> None:
    above: Owner = ("Rollout", "web", "uid-r")
    known = owned((f"ReplicaSet/web-{HASH}/uid-rs", above), owner=("ReplicaSet", f"web-{HASH}", "uid-rs"))
    assert workload(known) == ("Rollout", "web")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "ReplicaSet", "GameServer"])
def test_a_direct_owner_is_the_workload(kind: str) -> None:
    assert workload(owned(owner=(kind, "db", "uid-o"))) == (kind, "db")


def test_a_bare_pod_and_a_static_pod_are_their_own() -> None:
    assert workload(owned(owner=("Node", "node-1", "uid-node"))) == ("Pod", "web-x")
    story = Story()
    live(story, "alone", IP)
    assert workload(story.history()) == ("Pod", "alone")


def test_an_owner_that_is_no_controller_does_not_count() -> None:
    story = Story()
    pod = Pod("web", [IP], sandbox=(True, 1), started=2).json()
    pod["metadata"]["ownerReferences"] = [
        {"kind": "ConfigMap", "name": "other", "uid": "uid-o"},
        {"kind": "StatefulSet", "name": "db", "uid": "uid-s", "controller": True},
    ]
    assert workload(story.tell(3, "ADDED", pod).history()) == ("StatefulSet", "db")


def test_a_replicaset_deleted_before_its_pod_still_leads_to_the_deployment() -> None:
    story = Story()
    above: Owner = ("Deployment", "web", "uid-d")
    told = thing("ReplicaSet", f"web-{HASH}", "uid-rs", owner=above)
    story.tell(-50, "ADDED", told).tell(-10, "DELETED", told)
    live(story, "web-x", IP, owner=("ReplicaSet", f"web-{HASH}", "uid-rs"))
    assert workload(story.history()) == ("Deployment", "web")


def test_a_replicaset_first_seen_after_the_pods_end_still_counts() -> None:
    story = Story()
    pod = live(story, "web-x", IP, owner=("ReplicaSet", f"web-{HASH}", "uid-rs"))
    complete(story, pod, finished=100, told=101)
    above: Owner = ("Deployment", "web", "uid-d")
    story.tell(200, "ADDED", thing("ReplicaSet", f"web-{HASH}", "uid-rs", owner=above))
    assert workload(story.history()) == ("Deployment", "web")


def test_a_replicaset_never_seen_is_guessed_from_its_hash_and_that_is_said() -> None:
    known = owned(owner=("ReplicaSet", f"web-{HASH}", "uid-rs"), **{"pod-template-hash": HASH})
    assert workload(known) == ("Deployment", "web")
    assert "by the name of a ReplicaSet never seen" in at(known, IP, 50).reason
    rollout = owned(owner=("ReplicaSet", f"web-{HASH}", "uid-rs"), **{"rollouts-pod-template-hash": HASH})
    assert workload(rollout) == ("Rollout", "web")


def test_a_replicaset_seen_without_an_owner_is_the_workload_whatever_its_name() -> None:
    owner: Owner = ("ReplicaSet", f"web-{HASH}", "uid-rs")
    known = owned((f"ReplicaSet/web-{HASH}/uid-rs", None), owner=owner, **{"pod-template-hash": HASH})
    assert workload(known) == ("ReplicaSet", f"web-{HASH}")


def test_replicasets_of_one_name_are_told_apart_by_uid() -> None:
    name = f"web-{HASH}"
    first: Owner = ("Deployment", "web", "uid-d1")
    second: Owner = ("Rollout", "web", "uid-d2")
    owners = ((f"ReplicaSet/{name}/uid-1", first), (f"ReplicaSet/{name}/uid-2", second))
    assert workload(owned(*owners, owner=("ReplicaSet", name, "uid-1"))) == ("Deployment", "web")
    assert workload(owned(*owners, owner=("ReplicaSet", name, "uid-2"))) == ("Rollout", "web")


def test_owners_that_own_each_other_end_the_search() -> None:
    one: Owner = ("A", "a", "uid-a")
    two: Owner = ("B", "b", "uid-b")
    assert workload(owned(("A/a/uid-a", two), ("B/b/uid-b", one), owner=one))[0] in ("A", "B")


def test_labels_are_those_of_the_moment() -> None:
    story = Story()
    pod = live(story, "web", IP, labels={"track": "canary"})
    for when, labels in ((100, {"track": "stable"}), (200, {}), (300, {"track": "canary"})):
        pod.labels = labels
        story.tell(when, "MODIFIED", pod)
    rows = named(story.history(), *(flow(IP, "8.8.8.8", when) for when in (50, 99.9, 100, 150, 250, 350)))
    tracks = [dict(row["src_labels"]).get("track") for row in rows]
    assert tracks == ["canary", "canary", "stable", "stable", None, "canary"]


def test_labels_that_change_in_mid_connection_are_those_of_its_start() -> None:
    story = Story()
    pod = live(story, "web", IP, labels={"version": "1"})
    pod.labels = {"version": "2"}
    story.tell(100, "MODIFIED", pod)
    (row,) = named(story.history(), flow(IP, "8.8.8.8", 90, 110))
    assert row["src_confidence"] == "exact"
    assert dict(row["src_labels"]) == {"version": "1"}


def test_everything_a_pod_is_called_stands_in_its_columns() -> None:
    story = Story()
    live(story, "web", IP, uid="u-1", owner=("StatefulSet", "db", "uid-s"), labels={"app": "db"})
    story.tell(-50, "ADDED", service("web", "10.96.0.1"))
    (row,) = named(story.history(), flow(IP, "10.96.0.1", 50))
    told = {name.removeprefix("src_"): value for name, value in row.items() if name.startswith("src_")}
    assert (told["namespace"], told["pod"], told["pod_uid"]) == ("shop", "web", "u-1")
    assert (told["workload"], told["workload_kind"], told["node"]) == ("db", "StatefulSet", "node-1")
    assert (told["service_account"], told["images"]) == ("default", ["registry.example/app:1"])
    assert (row["dst_kind"], row["dst_namespace"], row["dst_service"]) == ("service", "shop", "web")
    assert (row["cluster"], row["direction"]) == ("default", "internal")

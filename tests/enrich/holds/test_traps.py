"""Traps of reuse: an address goes from pod to pod, and the API tells of it late, in another order, or not at all."""

from __future__ import annotations

import pytest
from support.cluster_story import Pod, Story, at, complete, held, live, said

IP = "10.244.1.5"


def test_one_pod_at_every_telling_moment() -> None:
    story = Story()
    pod = live(story, "web", IP)
    complete(story, pod, finished=100, told=101.5)
    known = story.history()
    assert said(known, IP, -1, 0.5, 2.5, 50, 99.4) == ["none", "likely web", "exact web", "exact web", "exact web"]
    assert said(known, IP, 100.5, 101.4, 101.5, 300) == ["likely web", "likely web", "none", "none"]
    assert "one possible holder: start" in at(known, IP, 0.5).reason
    assert at(known, IP, 50).reason.startswith("one holder, certain ")
    assert at(known, IP, 300).reason == "no object of the cluster held it; a networks file can name its range"


def test_a_completed_job_keeps_its_ip_in_the_status_and_the_address_is_reused() -> None:
    story = Story()
    job = live(story, "job", IP, owner=("Job", "nightly", "uid-nightly"))
    complete(story, job, finished=100, told=101)
    live(story, "web", IP, born=110)
    # Long after, something touches the finished pod: its status still shows the address.
    job.labels = {"seen": "yes"}
    story.tell(200, "MODIFIED", job)
    story.tell(300, "DELETED", job)
    known = story.history()
    assert said(known, IP, 50, 105, 111, 150, 250, 400) == [
        "exact job", "none", "likely web", "exact web", "exact web", "exact web",
    ]  # fmt: skip


def test_a_completed_job_first_seen_in_a_list_names_nobody_after_its_end() -> None:
    job = Pod("job", [IP], phase="Succeeded", sandbox=(False, 41), started=2, finished=40)
    story = Story().listing(500, job, Pod("web", [IP], created=100, sandbox=(True, 101), started=102))
    known = story.history()
    assert said(known, IP, 150, 400) == ["exact web", "exact web"]
    assert at(known, IP, 20).confidence == "exact"
    # The sandbox was over within the second after 41: what is later is nobody's.
    assert said(known, IP, 41.5, 60) == ["likely job", "none"]


def test_the_successor_is_visible_before_its_predecessor_is_deleted() -> None:
    story = Story()
    old = live(story, "old", IP)
    old.deleted = (130, 30)
    story.tell(100, "MODIFIED", old)
    live(story, "new", IP, born=104)
    old.finished, old.sandbox = 105, None
    story.tell(112, "DELETED", old)
    known = story.history()
    assert said(known, IP, 50, 103.9, 107, 200) == ["exact old", "exact old", "exact new", "exact new"]
    # Between the last container and the first proof of the new one, either may have held it or nobody.
    assert said(known, IP, 105.5) == ["ambiguous new|old"]
    assert at(known, IP, 105.5).reason == "several may have held it then"
    assert len(at(known, IP, 105.5).candidate_reasons) == 2


def test_a_forced_pod_is_over_when_another_began_that_never_ran() -> None:
    """The other has no moment in which it is certain: its image is never there. Its start is known all the same."""
    story = Story()
    old = live(story, "old", IP)
    old.deleted = (100, 0)
    story.tell(100, "MODIFIED", old)
    story.tell(100.01, "DELETED", old)
    other = Pod("other", [IP], created=120, phase="Pending", sandbox=(True, 122))
    story.tell(122.8, "MODIFIED", other)
    other.deleted = (130, 0)
    story.tell(130, "MODIFIED", other)
    story.tell(130.01, "DELETED", other)
    known = story.history()
    assert said(known, IP, 50, 110) == ["exact old", "likely old"]
    assert said(known, IP, 121, 125, 300) == ["ambiguous old|other", "likely other", "likely other"]


def test_traffic_goes_on_after_the_deletion_was_asked_for() -> None:
    story = Story()
    pod = live(story, "web", IP)
    pod.deleted = (130, 30)
    story.tell(100, "MODIFIED", pod)
    pod.finished, pod.phase = 125, "Succeeded"
    story.tell(126, "MODIFIED", pod)
    story.tell(126.2, "DELETED", pod)
    known = story.history()
    assert said(known, IP, 101, 115, 124.4, 127) == ["exact web", "exact web", "exact web", "none"]


def test_a_finalizer_keeps_the_object_for_minutes_after_the_address_is_free() -> None:
    story = Story()
    pod = live(story, "web", IP)
    complete(story, pod, finished=100, told=101)
    live(story, "next", IP, born=103)
    story.tell(700, "DELETED", pod)
    assert said(story.history(), IP, 50, 106, 690, 710) == ["exact web", "exact next", "exact next", "exact next"]


def test_an_ip_blanked_on_the_terminal_write_and_restored_is_no_new_hold() -> None:
    story = Story()
    pod = live(story, "web", IP)
    pod.ips = ()
    complete(story, pod, finished=100, told=101)
    pod.ips = (IP,)
    story.tell(103, "MODIFIED", pod)
    story.tell(300, "DELETED", pod)
    known = story.history()
    assert held(known, IP) == [("web", "uid-web")]
    assert said(known, IP, 50, 99, 102, 104, 200) == ["exact web", "exact web", "none", "none", "none"]


def test_a_new_sandbox_has_a_new_address_under_the_same_uid() -> None:
    story, other = Story(), "10.244.1.6"
    pod = live(story, "web", IP)
    pod.ips, pod.sandbox, pod.finished = (), (False, 50), 49
    story.tell(51, "MODIFIED", pod)
    pod.ips, pod.sandbox, pod.started, pod.finished = (other,), (True, 53), 54, None
    story.tell(55, "MODIFIED", pod)
    known = story.history()
    assert said(known, IP, 30, 51.5, 80) == ["exact web", "none", "none"]
    assert said(known, other, 30, 52.5, 56, 80) == ["none", "likely web", "exact web", "exact web"]


def test_a_new_sandbox_with_the_same_address_leaves_a_moment_of_doubt() -> None:
    story = Story()
    pod = live(story, "web", IP)
    pod.sandbox, pod.started, pod.finished = (False, 50), 2, 49
    pod.ips = ()
    story.tell(50.5, "MODIFIED", pod)
    pod.ips, pod.sandbox, pod.started, pod.finished = (IP,), (True, 60), 61, None
    story.tell(62, "MODIFIED", pod)
    known = story.history()
    assert said(known, IP, 30, 62, 100) == ["exact web", "exact web", "exact web"]
    assert said(known, IP, 55) == ["likely web"]


def test_two_pods_swap_their_addresses_after_a_reboot() -> None:
    story, one, two = Story(), IP, "10.244.1.6"
    left, right = live(story, "left", one), live(story, "right", two)
    for pod in (left, right):
        pod.ips, pod.sandbox, pod.finished = (), (False, 100), 99
        story.tell(101, "MODIFIED", pod)
    for pod, ip in ((left, two), (right, one)):
        pod.ips, pod.sandbox, pod.started, pod.finished = (ip,), (True, 110), 111, None
        story.tell(112, "MODIFIED", pod)
    known = story.history()
    assert said(known, one, 50, 120) == ["exact left", "exact right"]
    assert said(known, two, 50, 120) == ["exact right", "exact left"]
    assert "exact" not in " ".join(said(known, one, 105) + said(known, two, 105))


def test_a_pod_first_published_as_terminal_sorts_behind_its_successor() -> None:
    """Its first write with the address comes after the successor's: that must not make it the later holder."""
    story = Story()
    short = Pod("short", created=10, phase="Pending")
    story.tell(10.1, "ADDED", short)
    live(story, "next", IP, born=13)
    short.ips, short.started, short.finished, short.phase = (IP,), 11, 12, "Succeeded"
    story.tell(17, "MODIFIED", short)
    known = story.history()
    assert said(known, IP, 16, 18, 100) == ["exact next", "exact next", "exact next"]
    assert "exact" not in said(known, IP, 13.5)[0]


def test_a_pod_whose_ip_is_never_published_is_never_named() -> None:
    story = Story()
    ghost = Pod("ghost", created=10, phase="Pending")
    story.tell(10.1, "ADDED", ghost)
    story.tell(11, "DELETED", ghost)
    live(story, "web", IP, born=20)
    known = story.history()
    assert said(known, IP, 10.5, 30) == ["none", "exact web"]
    assert held(known, IP) == [("web", "uid-web")]


def test_release_and_reuse_in_the_same_second_are_never_exact_there() -> None:
    story = Story()
    old = live(story, "old", IP)
    complete(story, old, finished=100, told=100.9)
    new = Pod("new", [IP], created=100, sandbox=(True, 100), started=100)
    story.tell(101.2, "ADDED", new)
    known = story.history()
    assert said(known, IP, 99.4, 101.6) == ["exact old", "exact new"]
    for moment in (100, 100.4, 100.8):
        assert at(known, IP, moment).confidence in ("likely", "ambiguous"), moment


def test_a_slow_pull_publishes_no_address_but_the_flows_before_it_are_likely() -> None:
    """The sandbox stands at 1, the address is first published at 21; packets at 10 are the pod's."""
    story = Story()
    pod = Pod("web", phase="Pending", sandbox=(True, 1))
    story.tell(1.5, "ADDED", pod)
    pod.ips, pod.phase, pod.started = (IP,), "Running", 20
    story.tell(21, "MODIFIED", pod)
    known = story.history()
    assert said(known, IP, 30) == ["exact web"]
    assert at(known, IP, 10).confidence in ("exact", "likely")
    assert said(known, IP, -5) == ["none"]


@pytest.mark.parametrize("verb", ["ADDED", "MODIFIED", "DELETED"])
def test_an_old_event_told_again_changes_nothing(verb: str) -> None:
    """After a reconnect a watch may repeat: the resourceVersion says that it is old."""
    story = Story()
    pod = live(story, "web", IP)
    stale = story.told[-1]
    complete(story, pod, finished=100, told=101)
    before = said(story.history(), IP, 50, 100.5, 200)
    story.told.append(stale.replace('"MODIFIED"', f'"{verb}"', 1))
    live(story, "next", IP, born=300)
    assert said(story.history(), IP, 50, 100.5, 200) == before
    assert said(story.history(), IP, 350) == ["exact next"]

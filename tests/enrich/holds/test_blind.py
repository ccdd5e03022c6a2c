"""Where evidence is missing, late, or contradicts itself: what is not proven is never called exact."""

from __future__ import annotations

import json

import pytest
from support.cluster_story import Pod, Story, at, complete, held, history, live, receipt, said

IP = "10.244.1.5"
OTHER = "10.244.1.77"


def test_a_gap_is_unknown_and_the_reason_says_which_blindness_it_is() -> None:
    story = Story(since=0, until=1000)
    complete(story, live(story, "web", IP, born=10), finished=50, told=51)
    known = story.gap(100, 200).history()
    assert said(known, IP, -5, 70, 150, 250, 1500) == ["unknown", "none", "unknown", "none", "unknown"]
    assert at(known, IP, -5).reason == "the history begins later"
    assert at(known, IP, 150).reason == "the history has a gap at that time"
    assert at(known, IP, 1500).reason == "the history ends earlier"
    assert at(known, IP, 990).reason.startswith("the history ends too soon after")
    assert said(known, OTHER, 150, 250) == ["unknown", "none"]


def test_a_pod_seen_on_both_sides_of_a_gap_held_its_address_in_it() -> None:
    story = Story()
    pod = live(story, "web", IP)
    story.gap(100, 200)
    pod.labels = {"later": "yes"}
    story.tell(250, "MODIFIED", pod)
    assert said(story.history(), IP, 150, 205) == ["exact web", "exact web"]


def test_a_pod_seen_only_before_a_gap_is_not_exact_in_it_or_behind_it() -> None:
    story = Story()
    live(story, "web", IP)
    known = story.gap(100, 200).history()
    assert said(known, IP, 50) == ["exact web"]
    assert said(known, IP, 150) == ["unknown web"]
    assert "exact" not in said(known, IP, 300)[0]


def test_a_replacement_of_the_same_name_in_a_gap_is_another_pod() -> None:
    story = Story()
    live(story, "db-0", IP, uid="uid-first")
    story.gap(100, 200)
    again = Pod("db-0", [IP], created=150, uid="uid-second", sandbox=(True, 152), started=153)
    known = story.tell(201, "ADDED", again).history()
    before, after = at(known, IP, 50), at(known, IP, 160)
    assert [before.confidence, after.confidence] == ["exact", "exact"]
    assert before.holder is not None
    assert after.holder is not None
    assert [before.holder.uid, after.holder.uid] == ["uid-first", "uid-second"]
    assert "exact" not in " ".join(said(known, IP, 99, 120, 151))


def test_a_stateful_pod_comes_back_with_name_and_address_but_is_another() -> None:
    story = Story()
    first = live(story, "db-0", IP, uid="uid-first", owner=("StatefulSet", "db", "uid-db"))
    complete(story, first, finished=100, told=101)
    story.tell(101.1, "DELETED", first)
    live(story, "db-0", IP, born=102, uid="uid-second", owner=("StatefulSet", "db", "uid-db"))
    known = story.history()
    assert held(known, IP) == [("db-0", "uid-first"), ("db-0", "uid-second")]
    assert said(known, IP, 101.5) == ["none"]
    uids = [one.holder.uid for one in (at(known, IP, 50), at(known, IP, 150)) if one.holder]
    assert uids == ["uid-first", "uid-second"]


def test_a_force_delete_does_not_end_the_hold() -> None:
    """DELETED comes milliseconds after the order; the containers may go on sending for as long as they like."""
    story = Story()
    pod = live(story, "web", IP)
    pod.deleted = (100, 0)
    known = story.tell(100, "MODIFIED", pod).tell(100.003, "DELETED", pod).history()
    assert said(known, IP, 60, 105, 500) == ["exact web", "likely web", "likely web"]


def test_the_successor_of_a_forced_delete_ends_the_doubt() -> None:
    story = Story()
    pod = live(story, "web", IP)
    pod.deleted = (100, 0)
    story.tell(100, "MODIFIED", pod).tell(100.003, "DELETED", pod)
    live(story, "next", IP, born=110)
    known = story.history()
    assert said(known, IP, 60, 105, 111, 112.5, 300) == [
        "exact web", "likely web", "ambiguous next|web", "exact next", "exact next",
    ]  # fmt: skip


def test_a_kubelets_own_last_delete_with_grace_zero_is_an_end() -> None:
    story = Story()
    pod = live(story, "web", IP)
    pod.deleted, pod.phase, pod.finished = (100, 0), "Succeeded", 99
    known = story.tell(100.5, "DELETED", pod).history()
    assert said(known, IP, 98, 100, 101) == ["exact web", "likely web", "none"]


def test_a_lost_node_proves_no_end() -> None:
    """The controller writes Failed and deletes by force while the node, cut off, lets its containers run."""
    story = Story()
    pod = live(story, "web", IP)
    pod.reason, pod.deleted = "NodeLost", (130, 30)
    story.tell(100, "MODIFIED", pod)
    pod.phase, pod.deleted = "Failed", (130, 0)
    known = story.tell(140, "MODIFIED", pod).tell(140.1, "DELETED", pod).history()
    assert said(known, IP, 60) == ["exact web"]
    assert said(known, IP, 145, 600) == ["likely web", "likely web"]


def test_a_watch_dump_without_times_of_receipt_says_what_the_objects_prove() -> None:
    story = Story(since=None, until=None)
    pod = Pod("web", [IP], sandbox=(True, 1), started=2)
    story.tell(None, "ADDED", pod)
    pod.phase, pod.finished = "Succeeded", 100
    known = story.tell(None, "MODIFIED", pod).history()
    assert said(known, IP, 50) == ["exact web"]
    assert said(known, IP, -5, 200) == ["unknown", "unknown web"]
    assert at(known, OTHER, 50).reason == "nobody was watching at that time"


def test_a_running_pod_in_a_dump_without_times_is_not_exact_beyond_its_own_times() -> None:
    story = Story(since=None, until=None).tell(None, "ADDED", Pod("web", [IP], sandbox=(True, 1), started=2))
    assert said(story.history(), IP, 1.5, 300) == ["likely web", "unknown web"]


def test_a_list_is_evidence_of_one_point_in_time() -> None:
    pod = Pod("web", [IP], sandbox=(True, 1), started=2)
    known = Story(since=None, until=None).listing(500, pod).history()
    # What had ended in the last half minute before the list may not have been published.
    assert said(known, IP, 100, 465, 475, 495, 510) == [
        "exact web", "exact web", "likely web", "likely web", "unknown web",
    ]  # fmt: skip
    assert said(known, OTHER, 400) == ["unknown"]


def test_a_list_without_a_time_was_made_at_its_newest_stamp_at_the_earliest() -> None:
    old = Pod("old", [IP], sandbox=(True, 1), started=2)
    new = Pod("new", [OTHER], created=290, sandbox=(True, 298), started=300)
    known = Story(since=None, until=None).listing(None, old, new).history()
    assert said(known, IP, 200, 290, 400) == ["exact old", "likely old", "unknown old"]


def test_a_node_clock_ahead_makes_no_certainty_near_the_end() -> None:
    """A node whose clock is 20 s ahead: its container ends after the collector saw the terminal phase."""
    story = Story()
    complete(story, live(story, "web", IP), finished=121, told=101)
    known = story.history()
    assert said(known, IP, 50) == ["exact web"]
    assert "exact" not in " ".join(said(known, IP, 100, 110, 121))
    assert "the clock of its node is off by" in known.cluster(None).entities[0].note


def _packed(ip: str) -> bytes:
    return b"\0" * 10 + b"\xff\xff" + bytes(int(part) for part in ip.split("."))


def test_two_proven_holders_at_once_contradict_each_other() -> None:
    story = Story()
    one, two = live(story, "one", IP), live(story, "two", IP, born=50)
    complete(story, one, finished=100, told=101)
    complete(story, two, finished=150, told=151)
    known = story.history()
    assert said(known, IP, 75) == ["ambiguous one|two"]
    assert at(known, IP, 75).reason == "holders contradict each other"
    # Before the second was made and after the first was over there is no contradiction.
    assert said(known, IP, 20, 52, 99, 120) == ["exact one", "ambiguous one|two", "ambiguous one|two", "exact two"]
    assert "exact" not in " ".join(said(known, IP, 50.5, 75, 100.5))


def test_a_node_clock_behind_makes_no_early_certainty() -> None:
    """Containers that started before their pod was made: the node's clock is 5 s behind.

    The old pod truly gave the address back at 0.8; at 0.5 the new one is not certain.
    """
    story = Story()
    old = Pod("old", [IP], created=-50, sandbox=(True, -54), started=-53)
    story.tell(-47, "ADDED", old)
    old.phase, old.finished, old.sandbox = "Succeeded", -6, (False, -5)
    new = Pod("new", created=0, phase="Pending", scheduled=0)
    story.tell(0.1, "ADDED", new).tell(1.0, "MODIFIED", old)
    new.ips, new.phase, new.sandbox, new.started = [IP], "Running", (True, -4), -3
    known = story.tell(2.5, "MODIFIED", new).history()
    assert said(known, IP, 100) == ["exact new"]
    assert "exact" not in said(known, IP, 0.5)[0]


def test_a_node_clock_ahead_does_not_hide_what_the_api_has_shown() -> None:
    """The address was in the API at 2.5; the node, 5 s ahead, says that it began at 5."""
    story = Story()
    pod = Pod("web", [IP], created=0, scheduled=5, sandbox=(True, 6), started=7)
    known = story.tell(2.5, "MODIFIED", pod).history()
    assert said(known, IP, 3) != ["none"]
    assert said(known, IP, 100) == ["exact web"]


def test_the_sensors_skew_widens_every_edge() -> None:
    story = Story()
    complete(story, live(story, "web", IP), finished=100, told=101)
    known = story.history()
    assert said(known, IP, 3, 99, 103) == ["exact web", "exact web", "none"]
    assert said(known, IP, 3, 50, 99, 103, sensor_skew_seconds=5) == [
        "likely web", "exact web", "likely web", "likely web",
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["", "abc", "12.5", "-3"])
def test_an_event_whose_version_is_no_number_is_taken_in(version: str) -> None:
    """It cannot be called older than the last one, so it counts."""
    story = Story()
    pod = live(story, "web", IP)
    pod.phase, pod.finished, pod.sandbox = "Succeeded", 100, (False, 101)
    told = pod.json()
    told["metadata"]["resourceVersion"] = version
    known = story.tell(101, "MODIFIED", told).history()
    assert said(known, IP, 50, 300) == ["exact web", "none"]


def test_versions_that_go_backwards_after_a_restore_lose_no_end() -> None:
    """An object restored from a backup has lower versions; a DELETED of it is no repetition of anything."""
    story = Story()
    pod = live(story, "web", IP)
    pod.phase, pod.finished, pod.deleted = "Succeeded", 100, (100, 0)
    told = pod.json()
    told["metadata"]["resourceVersion"] = "7"
    known = story.tell(101, "DELETED", told).history()
    assert "exact" not in said(known, IP, 300)[0]


def test_evidence_in_the_wrong_order_gives_no_wrong_certainty() -> None:
    story = Story()
    job = live(story, "job", IP)
    complete(story, job, finished=100, told=101)
    story.tell(105, "DELETED", job)
    live(story, "web", IP, born=110)
    known = history(story.lines()[::-1])
    assert said(known, IP, 50)[0] in ("exact job", "likely job", "unknown job", "none")
    for moment in (105, 150, 300):
        assert said(known, IP, moment)[0] not in ("exact job", "likely job"), moment


def test_two_gaps_that_overlap_are_one_gap() -> None:
    lines = Story().gap(100, 200).gap(50, 150).lines()
    known = history(lines)
    assert said(known, OTHER, 40, 60, 120, 190, 210) == ["none", "unknown", "unknown", "unknown", "none"]


def test_a_gap_written_backwards_hides_nothing_that_was_watched() -> None:
    gap = json.dumps({"type": "GAP", "from": receipt(200), "to": receipt(100)})
    known = history([*Story().lines(), gap])
    assert said(known, OTHER, 50, 300) == ["none", "none"]

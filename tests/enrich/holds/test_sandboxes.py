"""A sandbox that is made anew, as a kubelet of 1.36 tells of it: the old address once more, as if it were ready."""

from __future__ import annotations

import pytest
from support.cluster_story import Pod, Story, held, history, live, said

OLD, NEW = "10.244.1.5", "10.244.1.6"


def lost(story: Story, pod: Pod, since: float = 100) -> None:
    """The sandbox died: told with its address, its container `running`. CNI gives the address back 2 s later."""
    pod.sandbox = (False, since)
    story.tell(since + 0.9, "MODIFIED", pod)


def told_once_more(story: Story, pod: Pod, ready: float = 103) -> None:
    """Another sandbox is ready, and the status has the old address and the old run still."""
    pod.sandbox = (True, ready)
    story.tell(ready + 0.6, "MODIFIED", pod)


def made_anew(story: Story, pod: Pod, ip: str, ready: float = 103, finished: float = 102) -> None:
    """The container runs in the other sandbox."""
    assert pod.started is not None
    pod.before, pod.restarts = (pod.started, finished), pod.restarts + 1
    pod.ips, pod.sandbox, pod.started = (ip,), (True, ready), ready
    story.tell(ready + 0.9, "MODIFIED", pod)


def test_the_old_address_told_once_more_is_nobodys() -> None:
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    told_once_more(story, pod)
    made_anew(story, pod, NEW)
    known = story.history()
    assert held(known, OLD) == [("web", "uid-web")]
    # lastState.finishedAt: up to there the old sandbox certainly stood. From what was told once more on it did not.
    assert said(known, OLD, 50, 101.4, 102.5, 103.7, 104, 500) == [
        "exact web", "exact web", "likely web", "none", "none", "none",
    ]  # fmt: skip
    assert said(known, NEW, 99, 103.2, 104.5, 500) == ["none", "likely web", "exact web", "exact web"]


def test_the_old_address_told_once_more_is_its_next_holders() -> None:
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    other = live(story, "other", OLD, born=101)
    told_once_more(story, pod, ready=104)
    made_anew(story, pod, NEW, ready=104)
    known = story.history()
    assert said(known, OLD, 50, 105, 500) == ["exact web", "exact other", "exact other"]
    assert other.ips == (OLD,)


def test_what_was_told_once_more_is_certain_for_nobody_however_long_it_stands() -> None:
    """An image is pulled for minutes: the status with the old address is the last for all that time."""
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    told_once_more(story, pod)
    assert said(story.history(), OLD, 50, 110, 250)[0] == "exact web"
    assert "exact" not in " ".join(said(story.history(), OLD, 103.7, 110, 250))
    # The address may be the same: it is not nobody's.
    assert said(story.history(), OLD, 250) == ["likely web"]
    made_anew(story, pod, NEW, ready=103)
    assert said(story.history(), OLD, 110, 250) == ["none", "none"]


def test_the_same_address_again_is_certain_with_the_first_run_in_the_new_sandbox() -> None:
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    told_once_more(story, pod)
    made_anew(story, pod, OLD)
    known = story.history()
    assert said(known, OLD, 50, 101.4, 102.5, 106, 500) == [
        "exact web", "exact web", "likely web", "exact web", "exact web",
    ]  # fmt: skip


def test_a_third_sandbox_says_nothing_of_the_second() -> None:
    """The second had the first's address, or not: nobody tells any more."""
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    told_once_more(story, pod)
    made_anew(story, pod, NEW, ready=110, finished=109)
    known = story.history()
    assert said(known, OLD, 105, 109) == ["likely web", "likely web"]
    assert said(known, NEW, 500) == ["exact web"]


def test_a_lost_sandbox_that_cannot_be_made_anew_holds_nothing_for_certain() -> None:
    """No address is free, so that the status with the old one stands; it was given back long ago."""
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    pod.labels = {"touched": "yes"}
    story.tell(400, "MODIFIED", pod)
    known = story.history()
    assert said(known, OLD, 50, 60) == ["exact web", "exact web"]
    assert "exact" not in " ".join(said(known, OLD, 104, 200, 390, 500))


def test_a_pod_first_seen_as_its_old_address_is_told_once_more() -> None:
    pod = Pod("web", [OLD], sandbox=(True, 300), started=2)
    story = Story().listing(300.4, pod)
    known = story.history()
    assert "exact" not in " ".join(said(known, OLD, 299.5, 301, 400, 800))
    made_anew(story, pod, NEW, ready=300, finished=298)
    known = story.history()
    assert said(known, OLD, 100) == ["exact web"]
    assert said(known, OLD, 301.5) == ["none"]
    assert said(known, NEW, 500) == ["exact web"]


def test_a_pod_first_seen_with_its_sandbox_lost() -> None:
    pod = Pod("web", [OLD], sandbox=(False, 300), started=2)
    story = Story().listing(300.5, pod)
    told_once_more(story, pod, ready=303)
    made_anew(story, pod, NEW, ready=303, finished=302)
    known = story.history()
    assert said(known, OLD, 100, 301, 304.5, 900) == ["exact web", "exact web", "none", "none"]
    assert said(known, NEW, 500) == ["exact web"]


def test_a_condition_that_is_late_is_no_other_sandbox() -> None:
    """Before 1.36 the condition is written with the first status after the container's start."""
    pod = Pod("web", [OLD], sandbox=(True, 304), started=302)
    known = Story().listing(500, pod).history()
    assert said(known, OLD, 310, 900) == ["exact web", "exact web"]


def test_two_sandboxes_in_one_second() -> None:
    """Both became ready in the second 10; that the first was lost was never told. In between nobody held it."""
    story = Story()
    pod = Pod("web", created=9, phase="Pending")
    story.tell(9.1, "ADDED", pod)
    pod.ips, pod.phase, pod.sandbox, pod.started = (OLD,), "Running", (True, 10), 10
    story.tell(10.3, "MODIFIED", pod)
    pod.restarts, pod.before = 1, (10, 10)
    story.tell(12, "MODIFIED", pod)
    known = story.history()
    assert said(known, OLD, 10.6, 11.3, 13, 500) == ["likely web", "likely web", "exact web", "exact web"]


def test_a_sandbox_lost_and_made_anew_in_one_second() -> None:
    story = Story()
    pod = live(story, "web", OLD, born=0)
    pod.sandbox, pod.finished = (False, 1), 2
    story.tell(2.6, "MODIFIED", pod)
    pod.sandbox, pod.started, pod.finished, pod.before, pod.restarts = (True, 1), 3, None, (2, 2), 1
    story.tell(4, "MODIFIED", pod)
    known = story.history()
    assert said(known, OLD, 2.7, 4.2, 100) == ["likely web", "exact web", "exact web"]


def test_the_story_is_what_it_says() -> None:
    """A plain restart in a sandbox that stands is one hold, certain throughout."""
    story = Story()
    pod = live(story, "web", OLD)
    pod.before, pod.restarts, pod.started = (2, 90), 1, 92
    story.tell(93, "MODIFIED", pod)
    assert said(history(story.lines()), OLD, 50, 91, 100) == ["exact web", "exact web", "exact web"]


@pytest.mark.parametrize(("finished", "before"), [(102, "exact web"), (106, "likely web")])
def test_a_sandbox_lost_since_another_time_is_another(finished: float, before: str) -> None:
    """The second was ready for a moment, and that was never told. A run that ended in neither contradicts all."""
    story = Story()
    pod = live(story, "web", OLD)
    lost(story, pod)
    lost(story, pod, since=104)
    made_anew(story, pod, OLD, ready=108, finished=finished)
    known = story.history()
    assert said(known, OLD, 50, 103.5, 107, 109.5) == [before, "likely web", "likely web", "exact web"]


def test_another_sandbox_that_is_first_told_of_by_its_end() -> None:
    """No status came from the first sandbox's loss to the pod's end; another pod had the address in between."""
    story = Story()
    pod = live(story, "web", OLD)
    other = live(story, "other", OLD, born=43)
    other.phase, other.finished, other.sandbox = "Succeeded", 45, (False, 46)
    story.tell(46.4, "MODIFIED", other)
    pod.before, pod.restarts, pod.started, pod.finished = (2, 42), 1, 48, 60
    pod.phase, pod.sandbox = "Succeeded", (False, 61)
    story.tell(65, "MODIFIED", pod)
    known = story.history()
    assert said(known, OLD, 30, 50, 59) == ["exact web", "likely web", "likely web"]


def test_a_run_older_than_its_sandbox_tells_of_another() -> None:
    """First seen after a gap, as the old address is told once more; the container had run for some seconds only."""
    story = Story().gap(-50, 63)
    pod = Pod("web", [OLD], created=57, sandbox=(True, 64), started=60)
    story.tell(64.9, "LISTED", pod)
    made_anew(story, pod, OLD, ready=64, finished=62)
    known = story.history()
    assert said(known, OLD, 63.5, 65.6, 500) == ["likely web", "exact web", "exact web"]

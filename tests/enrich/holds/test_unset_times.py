"""Times that a container runtime never set: they are no times, and prove nothing of a node's clock."""

from __future__ import annotations

from typing import Any

import pytest
from support.cluster_story import Pod, Story, complete, live, said

IP, OTHER = "10.244.1.5", "10.244.1.6"
UNSET = ("0001-01-01T00:00:00Z", "1677-09-21T00:12:43Z", "1754-08-30T22:43:41Z", "1970-01-01T00:00:00Z",
         "2262-04-11T23:47:16Z")  # fmt: skip


def odd_pod(**times: Any) -> dict[str, Any]:
    """A pod on the same node whose container ran before, by such times."""
    made = Pod("odd", [OTHER], created=20, sandbox=(True, 21), started=30).json()
    ran = {"startedAt": made["status"]["containerStatuses"][0]["state"]["running"]["startedAt"], **times}
    made["status"]["containerStatuses"][0]["lastState"] = {"terminated": ran}
    return made


@pytest.mark.parametrize("unset", UNSET)
@pytest.mark.parametrize("name", ["startedAt", "finishedAt"])
def test_a_time_never_set_costs_no_other_pod_its_certainty(unset: str, name: str) -> None:
    story = Story()
    pod = live(story, "web", IP)
    story.tell(31, "ADDED", odd_pod(finishedAt=unset) if name == "finishedAt" else odd_pod(startedAt=unset))
    complete(story, pod, finished=100, told=101)
    known = story.history()
    assert said(known, IP, 50, 99) == ["exact web", "exact web"]
    assert said(known, OTHER, 50) == ["exact odd"]
    assert not any("clock" in one.note for one in known.cluster(None).entities)


@pytest.mark.parametrize("unset", UNSET)
def test_a_condition_of_a_time_never_set_bounds_nothing(unset: str) -> None:
    made = Pod("web", [IP], created=0, sandbox=(True, 1), started=2).json()
    made["status"]["startTime"] = unset
    for one in made["status"]["conditions"]:
        if one["type"] == "PodReadyToStartContainers":
            one["lastTransitionTime"] = unset
    known = Story().tell(5, "ADDED", made).history()
    assert said(known, IP, -10, 50) == ["none", "exact web"]


def test_a_container_that_runs_since_nobody_set_when_still_runs() -> None:
    """A phase that a controller wrote, over a container that runs, ends nothing."""
    story = Story()
    pod = live(story, "web", IP)
    made = pod.json()
    made["status"]["phase"] = "Failed"
    made["status"]["containerStatuses"][0]["state"] = {"running": {"startedAt": "1970-01-01T00:00:00Z"}}
    known = story.tell(100, "MODIFIED", made).history()
    assert "none" not in said(known, IP, 50, 150)

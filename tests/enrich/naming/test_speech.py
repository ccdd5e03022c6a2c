"""Whether an end spoke, and when first, decides what its name is worth."""

from __future__ import annotations

from typing import Any

import pytest
from support.cluster_story import Pod, Story, flow, live, named, us

IP, CLIENT = "10.244.1.5", "10.244.2.9"
COUNTED = {"directionality": "bi", "sampling_rate": 1, "time_basis": "packet", "packets_out": 3}


def story() -> Story:
    """A client that is there all the time, and a pod on IP from 100 to 200."""
    made = Story()
    live(made, "client", CLIENT, node="node-2")
    return made


def forced(made: Story, when: float = 150) -> Pod:
    """A pod deleted by force: when its address was given back, nobody tells."""
    pod = live(made, "old", IP, born=50)
    pod.deleted = (when, 0)
    made.tell(when, "MODIFIED", pod)
    made.tell(when + 0.01, "DELETED", pod)
    return pod


def end(made: Story, start: float, side: str = "dst", **told: Any) -> tuple[str, str | None]:
    row = named(made.history(), flow(CLIENT, IP, start, start + 1, **(COUNTED | told)))[0]
    return row[f"{side}_confidence"], row[f"{side}_pod"]


def test_a_silent_end_is_not_likely() -> None:
    made = story()
    forced(made)
    assert end(made, 300, packets_in=2) == ("likely", "old")
    assert end(made, 300, packets_in=0) == ("ambiguous", None)
    row = named(made.history(), flow(CLIENT, IP, 300, **COUNTED, packets_in=0))[0]
    assert row["dst_reason"] == "nothing came from the address: it may have been held by one pod, or by nobody"
    assert [one["name"] for one in row["dst_candidates"]] == ["old"]
    assert (row["src_confidence"], row["src_pod"]) == ("exact", "client")


def test_a_silent_end_that_is_certain_stays_so() -> None:
    made = story()
    live(made, "web", IP, born=50)
    assert end(made, 300, packets_in=0) == ("exact", "web")


@pytest.mark.parametrize(
    "told",
    [
        {"packets_in": None},
        {"packets_in": 0, "directionality": "uni"},
        {"packets_in": 0, "sampling_rate": 0},
        {"packets_in": 0, "sampling_rate": 100},
        {"packets_in": 0, "packets_out": 0},
        {"packets_in": 0, "packets_out": None},
    ],
)
def test_who_cannot_tell_whether_an_end_spoke_says_what_was_said_before(told: dict[str, Any]) -> None:
    made = story()
    forced(made)
    assert end(made, 300, **told) == ("likely", "old")


def test_an_end_is_judged_at_its_own_first_packet() -> None:
    """A SYN that is sent again until somebody new has the address: who answered is meant."""
    made = story()
    live(made, "web", IP, born=150)
    assert end(made, 149, packets_in=2)[0] == "none"
    assert end(made, 149, packets_in=2, dst_spoke_time=us(153)) == ("exact", "web")
    assert end(made, 149, packets_in=2, src_spoke_time=us(149), side="src") == ("exact", "client")

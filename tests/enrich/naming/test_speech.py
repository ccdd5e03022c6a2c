"""Whether an end spoke, and when first, decides what its name is worth."""

from __future__ import annotations

from typing import Any

import pytest
from support.cluster_story import Pod, Story, flow, live, named, node, us

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
    assert (
        row["dst_reason"]
        == "no packet of its own came from the address: it may have been held by one pod, or by nobody"
    )
    assert [one["name"] for one in row["dst_candidates"]] == ["old"]
    assert (row["src_confidence"], row["src_pod"]) == ("exact", "client")


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (
            {"tcp_flags_in": 0x14},
            "ambiguous",
        ),  # RST, ACK: who got the address while the SYN was sent again, or a router
        ({"tcp_flags_in": 0x04}, "ambiguous"),
        ({"tcp_flags_in": 0x14, "packets_out": 1}, "likely"),  # at once: whoever refused was there then
        ({"tcp_flags_in": 0x14, "end_time": us(300.1)}, "likely"),
        ({"tcp_flags_in": 0x14, "directionality": "uni"}, "likely"),
        ({"tcp_flags_in": 0x16}, "likely"),  # it had answered before
        ({"tcp_flags_in": 0x10}, "likely"),
        ({"protocol": "icmp", "protocol_number": 1}, "likely"),
    ],
)
def test_a_reset_to_what_was_sent_again_is_no_sign_of_life(told: dict[str, Any], word: str) -> None:
    made = story()
    forced(made)
    assert end(made, 300, packets_in=1, **told)[0] == word


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


def spoken(made: Story, when: float, side: str = "dst", **told: Any) -> tuple[str, str | None]:
    """The answer for IP at one end of a flow in which it spoke."""
    ends = (CLIENT, IP) if side == "dst" else (IP, CLIENT)
    more = COUNTED | {"packets_in": 2, f"{side}_spoke_time": us(when)} | told
    row = named(made.history(), flow(*ends, when, when, **more))[0]
    return row[f"{side}_confidence"], row[f"{side}_pod"]


def test_who_spoke_where_one_pod_only_was_possible_is_certain() -> None:
    made = story()
    forced(made)
    assert end(made, 140, packets_in=2) == ("likely", "old")
    assert spoken(made, 140) == spoken(made, 140, "src") == ("exact", "old")
    row = named(made.history(), flow(CLIENT, IP, 140, **COUNTED, packets_in=2, dst_spoke_time=us(140)))[0]
    assert row["dst_reason"].startswith("one possible holder, and a packet came from the address: start ")


def test_a_first_packet_precedes_the_word_of_its_pod() -> None:
    """Who opens a connection has its address. Who answers may be a proxy that accepts in anybody's name."""
    made = story()
    live(made, "web", IP, born=50)
    assert spoken(made, 50.9, "src") == ("exact", "web")
    assert spoken(made, 50.9, "dst") == ("likely", "web")


def test_after_its_deletion_was_told_a_pod_is_no_more_than_likely() -> None:
    made = story()
    forced(made, 150)
    assert spoken(made, 149.9, "src") == ("exact", "old")
    assert spoken(made, 152, "src") == ("likely", "old")


def test_another_pod_of_unknown_address_may_have_spoken() -> None:
    """It lived for a second, and no status shows which address it had."""
    made = story()
    forced(made)
    brief = Pod("brief", created=139, phase="Pending")
    made.tell(139.1, "ADDED", brief)
    brief.deleted = (141, 0)
    made.tell(141, "MODIFIED", brief)
    made.tell(141.01, "DELETED", brief)
    assert [spoken(made, when)[0] for when in (138, 140, 145)] == ["exact", "likely", "likely"]


@pytest.mark.parametrize(("until", "word"), [(400, "exact"), (145, "likely")])
def test_a_pod_in_which_nothing_has_run_for_long_does_not_speak(until: float, word: str) -> None:
    """Its image is never there, the API says so. What became of it in the last seconds is not told."""
    made = story()
    forced(made)
    stuck = Pod("stuck", created=60, phase="Pending", sandbox=(True, 61))
    made.tell(60.1, "ADDED", stuck)
    made.tell(until, "DELETED", stuck)
    assert spoken(made, 140)[0] == word


def test_a_pod_of_another_node_is_another_address_where_ranges_are_nodes_own() -> None:
    made = story()
    forced(made)
    far = Pod("far", created=139, phase="Pending", node="node-2")
    made.tell(139.1, "ADDED", far)
    made.tell(141, "DELETED", far)
    assert spoken(made, 140) == ("likely", "old")
    made.tell(-1, "ADDED", node("node-1", "192.0.2.1", cidr="10.244.1.0/24"))
    assert spoken(made, 140) == ("exact", "old")


def test_where_nobody_looked_speech_decides_nothing() -> None:
    made = story()
    forced(made)
    assert spoken(made.gap(100, 120), 140)[0] == "likely"
    assert spoken(story_until(160), 140)[0] == "likely"


def story_until(last: float) -> Story:
    """The recording ends soon after: what was not told by then may be told later."""
    made = story()
    made.until = last
    forced(made)
    return made


def test_what_two_may_have_sent_is_nobodys_for_certain() -> None:
    made = story()
    forced(made)
    live(made, "next", IP, born=160)
    assert spoken(made, 161)[0] == "ambiguous"
    assert spoken(made, 170) == ("exact", "next")


def test_a_pod_whose_sandbox_is_made_anew_may_have_spoken() -> None:
    """It was deleted by force before the address of its next sandbox was told: that may be any."""
    made = story()
    forced(made)
    moved = live(made, "moved", "10.244.1.8", born=60)
    moved.sandbox = (False, 120)
    made.tell(120.9, "MODIFIED", moved)
    moved.sandbox = (True, 123)
    made.tell(123.6, "MODIFIED", moved)
    assert [spoken(made, when)[0] for when in (110, 140)] == ["exact", "likely"]
    moved.deleted = (145, 0)
    made.tell(145, "DELETED", moved)
    assert [spoken(made, when)[0] for when in (110, 140)] == ["exact", "likely"]


def test_once_its_next_address_is_told_it_did_not() -> None:
    made = story()
    forced(made)
    moved = live(made, "moved", "10.244.1.8", born=60)
    moved.sandbox = (False, 120)
    made.tell(120.9, "MODIFIED", moved)
    moved.sandbox, moved.ips, moved.before, moved.restarts, moved.started = (
        (True, 123),
        ("10.244.1.9",),
        (62, 122),
        1,
        124,
    )
    made.tell(124.6, "MODIFIED", moved)
    assert [spoken(made, when)[0] for when in (110, 122, 140)] == ["exact", "exact", "exact"]

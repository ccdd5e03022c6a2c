"""Addresses that a node or a Service gives up and takes back: each time it had one is a hold of its own."""

from __future__ import annotations

from support.cluster_story import Story, at, held, node, said, service

NODE, VIP, EDGE = "192.168.7.10", "10.96.0.30", "203.0.113.44"


def test_a_node_that_loses_its_address_for_minutes_had_it_before_and_after() -> None:
    story = Story().tell(-50, "ADDED", node("edge-1", NODE))
    story.tell(200, "MODIFIED", node("edge-1")).tell(400, "MODIFIED", node("edge-1", NODE))
    known = story.history()
    assert said(known, NODE, 100, 300, 500) == ["node edge-1", "none", "node edge-1"]
    assert len(held(known, NODE)) == 2


def test_somebody_else_may_have_it_in_between() -> None:
    story = Story().tell(-50, "ADDED", node("edge-1", NODE)).tell(100, "MODIFIED", node("edge-1", "192.168.7.11"))
    story.tell(200, "ADDED", node("edge-2", NODE, created=200)).tell(300, "DELETED", node("edge-2", NODE, created=200))
    story.tell(400, "MODIFIED", node("edge-1", NODE))
    known = story.history()
    assert said(known, NODE, 50, 150, 250, 350, 500) == [
        "node edge-1", "none", "node edge-2", "none", "node edge-1",
    ]  # fmt: skip


def test_a_load_balancers_address_that_flaps_is_the_services_each_time() -> None:
    story = Story()
    for when, balancer in ((-50, [EDGE]), (100, []), (200, [EDGE]), (300, []), (400, [EDGE])):
        verb = "ADDED" if when < 0 else "MODIFIED"
        story.tell(when, verb, service("gate", VIP, balancer=balancer))
    known = story.history()
    assert said(known, EDGE, 50, 150, 250, 350, 450) == ["service gate", "none"] * 2 + ["service gate"]
    assert said(known, VIP, 50, 150, 450) == ["service gate"] * 3
    # Where the ends of two of its times may lie it is still one service.
    assert at(known, EDGE, 98).confidence == at(known, EDGE, 198).confidence == "service"


def test_an_address_given_up_at_nobody_knows_when_was_given_up_before_it_came_back() -> None:
    story = Story(since=None, until=None)
    for when in (None, None, 500):
        balancer = [EDGE] if len(story.told) != 1 else []
        story.listing(when, service("gate", VIP, balancer=balancer))
    first, second = held(story.history(), EDGE)
    assert first == second == ("gate", "uid-Service-gate")

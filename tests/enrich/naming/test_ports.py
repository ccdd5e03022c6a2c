"""Protocol and port say who is meant where one address is a node's, several Services', or a pod's host port."""

from __future__ import annotations

from typing import Any

import pytest
from support.cluster_story import Pod, Story, complete, flow, live, named, node, service

NODE, OTHER, SHARED, OUTSIDE = "192.0.2.11", "192.0.2.12", "198.51.100.7", "203.0.113.9"
VIPS = {name: f"10.96.0.{number}" for number, name in enumerate(("gate", "resolver", "smtp", "more"), 50)}


def port(number: int, protocol: str | None = "TCP", **more: int) -> dict[str, Any]:
    return {"port": number, **({"protocol": protocol} if protocol else {}), **more}


def balanced(name: str, addresses: list[str], *ports: dict[str, Any], **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = service(name, VIPS[name], uid=f"uid-{name}", balancer=addresses, ports=list(ports), **more)
    return made


def nodes() -> Story:
    story = Story().tell(-50, "ADDED", node("n1", NODE))
    return story.tell(-50, "ADDED", node("n2", OTHER, cidr="10.244.2.0/24"))


def open_on_node(story: Story, name: str, ip: str, number: int, on: str = "", **more: Any) -> Pod:
    """A running pod with a host port."""
    pod = Pod(name, [ip], created=0, node=more.pop("node", "n1"), sandbox=(True, 1), started=2, **more)
    told = pod.json()
    declared = {"containerPort": 9443, "hostPort": number} | ({"hostIP": on} if on else {})
    told["spec"]["containers"][0]["ports"] = [declared, {"containerPort": 9443}]
    story.tell(3, "ADDED", told)
    return pod


def told(known: Any, address: str, number: int, when: float = 100, **more: Any) -> str:
    (row,) = named(known, flow(OUTSIDE, address, when, dst_port=number, **more))
    name = row["dst_service"] if row["dst_kind"] == "service" else row["dst_pod"] or row["dst_node"] or "-"
    if row["dst_confidence"] == "ambiguous":
        name = "|".join(sorted(one["name"] for one in row["dst_candidates"]))
    return f"{row['dst_confidence']} {name}"


def test_the_load_balancers_port_of_a_nodes_address_is_the_services() -> None:
    known = nodes().tell(-50, "ADDED", balanced("gate", [NODE, OTHER], port(443, nodePort=31443))).history()
    assert [told(known, NODE, one) for one in (443, 31443, 22)] == ["service gate", "service gate", "node n1"]
    assert told(known, OTHER, 443) == "service gate"
    assert told(known, NODE, 443, protocol="udp") == "node n1"
    (row,) = named(known, flow(OUTSIDE, NODE, 100, dst_port=443))
    assert row["dst_reason"] == "others have the address too: the port is the service's"


def test_an_external_address_that_is_a_nodes_is_as_a_load_balancers() -> None:
    known = nodes().tell(-50, "ADDED", service("web", "10.96.0.9", externalIPs=[NODE], ports=[port(80)])).history()
    assert [told(known, NODE, one) for one in (80, 81)] == ["service web", "node n1"]


def test_services_that_share_an_address_are_told_apart_by_protocol_and_port() -> None:
    story = Story().tell(-50, "ADDED", balanced("resolver", [SHARED], port(53, "UDP")))
    story.tell(-50, "ADDED", balanced("smtp", [SHARED], port(25, None), port(587)))
    known = story.history()
    assert told(known, SHARED, 53, protocol="udp") == "service resolver"
    assert [told(known, SHARED, one) for one in (25, 587)] == ["service smtp"] * 2
    assert told(known, SHARED, 53) == told(known, SHARED, 9) == "ambiguous resolver|smtp"


def test_services_with_the_same_port_are_ambiguous() -> None:
    story = nodes().tell(-50, "ADDED", balanced("gate", [SHARED, NODE], port(443)))
    story.tell(-50, "ADDED", balanced("more", [SHARED, NODE], port(443), port(444)))
    known = story.history()
    assert told(known, SHARED, 443) == "ambiguous gate|more"
    assert told(known, SHARED, 444) == "service more"
    assert told(known, NODE, 443) == "ambiguous gate|more|n1"


def test_one_services_port_that_is_anothers_node_port_is_ambiguous() -> None:
    story = nodes().tell(-50, "ADDED", balanced("gate", [NODE], port(31000)))
    known = story.tell(-50, "ADDED", balanced("more", [], port(80, nodePort=31000))).history()
    assert told(known, NODE, 31000) == "ambiguous gate|more|n1"
    assert told(known, OTHER, 31000) == "service more"


def test_an_address_of_one_service_alone_is_its_whatever_the_port() -> None:
    known = nodes().tell(-50, "ADDED", balanced("gate", [SHARED], port(443))).history()
    assert [told(known, SHARED, one) for one in (443, 22)] == ["service gate"] * 2


def test_a_service_of_then_has_the_port_of_then() -> None:
    story = Story().tell(-50, "ADDED", balanced("resolver", [SHARED], port(53, "UDP")))
    story.tell(-50, "ADDED", balanced("smtp", [SHARED], port(25)))
    story.tell(100, "DELETED", balanced("smtp", [SHARED], port(25)))
    story.tell(150, "ADDED", balanced("more", [SHARED], port(25), created=150))
    known = story.history()
    assert [told(known, SHARED, 25, when) for when in (50, 200)] == ["service smtp", "service more"]
    assert told(known, SHARED, 25, 120) == "service resolver"  # who alone has the address then


def test_a_load_balancer_that_may_have_gone_is_not_certain() -> None:
    story = nodes().tell(-50, "ADDED", balanced("gate", [NODE], port(443)))
    known = story.tell(100, "MODIFIED", balanced("gate", [], port(443))).history()
    assert [told(known, NODE, 443, when) for when in (50, 98, 150)] == ["service gate", "ambiguous gate|n1", "node n1"]


def test_a_host_port_is_the_one_pods_on_that_node() -> None:
    story = nodes()
    open_on_node(story, "proxy-a", "10.244.1.70", 8444)
    open_on_node(story, "proxy-b", "10.244.2.70", 8444, node="n2")
    known = story.history()
    assert [told(known, NODE, 8444), told(known, OTHER, 8444)] == ["likely proxy-a", "likely proxy-b"]
    assert [told(known, NODE, 9443), told(known, NODE, 8444, protocol="udp")] == ["node n1"] * 2
    (row,) = named(known, flow(OUTSIDE, NODE, 100, dst_port=8444))
    assert row["dst_reason"] == "a node's address, and the only pod on that node with this host port"


def test_a_host_port_on_one_address_is_on_that_alone() -> None:
    story = Story().tell(-50, "ADDED", node("n1", NODE, "192.0.2.111"))
    open_on_node(story, "inner", "10.244.1.70", 8444, on=NODE)
    open_on_node(story, "local", "10.244.1.71", 8445, on="127.0.0.1")
    open_on_node(story, "all", "10.244.1.72", 8446, on="0.0.0.0")
    known = story.history()
    assert [told(known, NODE, 8444), told(known, "192.0.2.111", 8444)] == ["likely inner", "node n1"]
    assert [told(known, NODE, 8445), told(known, NODE, 8446)] == ["node n1", "likely all"]


def test_a_host_port_of_two_pods_in_turn() -> None:
    story = nodes()
    pod = open_on_node(story, "first", "10.244.1.70", 8444)
    complete(story, pod, finished=50, told=51)
    second = Pod("second", ["10.244.1.71"], created=60, node="n1", sandbox=(True, 62), started=63).json()
    second["spec"]["containers"][0]["ports"] = [{"containerPort": 1, "hostPort": 8444}]
    known = story.tell(64, "ADDED", second).history()
    assert [told(known, NODE, 8444, when) for when in (30, 55, 100)] == ["likely first", "node n1", "likely second"]
    (row,) = named(known, flow(OUTSIDE, NODE, 30, 100, dst_port=8444))
    assert row["dst_confidence"] == "ambiguous"
    assert sorted(one["name"] for one in row["dst_candidates"]) == ["first", "n1", "second"]


def test_a_services_port_goes_before_the_pod_behind_it() -> None:
    """A load balancer of host ports (klipper) has a pod with the Service's port on every node."""
    story = nodes().tell(-50, "ADDED", balanced("gate", [NODE], port(443)))
    open_on_node(story, "svclb-gate", "10.244.1.70", 443)
    assert told(story.history(), NODE, 443) == "service gate"


def test_a_container_port_opens_nothing_on_the_node() -> None:
    story = nodes()
    live(story, "web", "10.244.1.70", ports=((8080, "TCP"),))
    assert told(story.history(), NODE, 8080) == "node n1"


SENDER = {"initiator_basis": "sender"}


def test_the_port_decides_for_the_end_that_serves() -> None:
    story = nodes().tell(-50, "ADDED", balanced("gate", [NODE], port(443), port(50000)))
    known = story.tell(-50, "ADDED", balanced("resolver", [SHARED], port(53, "UDP"))).history()
    answer = flow(NODE, OUTSIDE, 100, src_port=443, dst_port=40000)
    rows = named(known, answer | SENDER, answer | {"initiator_basis": "syn"})
    assert [row["src_confidence"] for row in rows] == ["service", "snat"]
    # A client on the node has a port that a Service has as well.
    (client,) = named(known, flow(OUTSIDE, NODE, 100, src_port=443, dst_port=50000) | SENDER)
    assert (client["dst_confidence"], client["dst_service"]) == ("node", None)
    rows = named(known, *(flow(OUTSIDE, NODE, 100, src_port=one, dst_port=50000) | SENDER for one in (40000, 60000)))
    assert [row["dst_service"] for row in rows] == ["gate", "gate"]


@pytest.mark.parametrize("count", [3, 12])
def test_many_pods_on_the_nodes_network_hide_no_service(count: int) -> None:
    story = nodes()
    for number in range(count):
        pod = Pod(f"agent-{number}", [NODE], created=5, node="n1", sandbox=(True, 6), started=7, host=True,
                  ports=((9000 + number, "TCP"),))  # fmt: skip
        story.tell(8, "ADDED", pod)
    known = story.tell(20, "ADDED", balanced("gate", [NODE], port(443), created=20)).history()
    assert [told(known, NODE, one) for one in (443, 9001)] == ["service gate", "likely agent-1"]


def test_what_lies_inside_a_tunnel_is_nobodys_port() -> None:
    known = nodes().tell(-50, "ADDED", balanced("gate", [NODE], port(4789, "UDP"))).history()
    assert told(known, NODE, 4789, protocol="udp", encapsulated=True) == "node n1"

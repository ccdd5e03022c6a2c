"""Addresses that are no single pod's: nodes, host networks, Services, annotations, families, clusters, outside."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from support.cluster_story import (
    Pod,
    Story,
    at,
    complete,
    endpoint_slice,
    flow,
    history,
    live,
    named,
    node,
    said,
    service,
)

from enrich import Network, load_networks
from whowas.errors import ConfigError

IP, NODE, VIP = "10.244.1.5", "192.168.1.10", "10.96.0.20"


def on_host(name: str, *ports: tuple[int, str]) -> Pod:
    """A pod on its node's network: it has the node's address, before any sandbox."""
    return Pod(name, [NODE], created=5, sandbox=(True, 6), started=7, host=True, ports=ports)


def host_story(*pods: Pod) -> Story:
    story = Story().tell(-50, "ADDED", node("node-1", NODE))
    for pod in pods:
        story.tell(8, "ADDED", pod)
    return story


def test_a_host_networks_address_is_the_nodes_and_its_pods_are_candidates() -> None:
    known = host_story(on_host("proxy", (10256, "TCP")), on_host("cni")).history()
    answer = at(known, NODE, 100)
    assert answer.confidence == "node"
    assert answer.holder is not None
    assert (answer.holder.name, answer.holder.zone) == ("node-1", "zone-a")
    assert sorted(one.name for one in answer.candidates) == ["cni", "proxy"]


def test_a_declared_port_tells_which_host_network_pod_is_meant() -> None:
    known = host_story(on_host("proxy", (10256, "TCP")), on_host("dns", (53, "UDP"))).history()
    rows = named(
        known,
        flow("10.244.9.9", NODE, 100, dst_port=10256),
        flow("10.244.9.9", NODE, 100, dst_port=53, protocol="udp"),
        flow("10.244.9.9", NODE, 100, dst_port=53, protocol="tcp"),
        flow("10.244.9.9", NODE, 100, dst_port=9),
    )
    assert [(row["dst_confidence"], row["dst_pod"]) for row in rows] == [
        ("likely", "proxy"), ("likely", "dns"), ("node", None), ("node", None),
    ]  # fmt: skip
    assert "declares this port" in rows[0]["dst_reason"]
    assert sorted(one["name"] for one in rows[3]["dst_candidates"] if one["kind"] == "pod") == ["dns", "proxy"]


def test_a_port_that_two_host_network_pods_declare_tells_nothing() -> None:
    known = host_story(on_host("one", (9100, "TCP")), on_host("two", (9100, "TCP"))).history()
    (row,) = named(known, flow("10.244.9.9", NODE, 100, dst_port=9100))
    assert (row["dst_confidence"], row["dst_pod"], row["dst_node"]) == ("node", None, "node-1")


def test_a_host_network_pod_that_is_over_is_not_found_by_its_port() -> None:
    pod = on_host("proxy", (10256, "TCP"))
    story = host_story(pod)
    complete(story, pod, finished=50, told=51)
    rows = named(story.history(), *(flow("10.244.9.9", NODE, when, dst_port=10256) for when in (30, 100)))
    assert [(row["dst_confidence"], row["dst_pod"]) for row in rows] == [("likely", "proxy"), ("node", None)]


def test_host_network_pods_without_their_node_are_never_exact() -> None:
    known = Story().tell(8, "ADDED", on_host("proxy")).history()
    assert said(known, NODE, 100) == ["ambiguous proxy"]


def test_a_node_that_opens_a_connection_may_speak_for_a_pod() -> None:
    story = host_story().tell(-50, "ADDED", node("node-2", "192.168.1.11", cidr="10.244.2.0/24"))
    live(story, "near", IP)
    live(story, "far", "10.244.2.5", node="node-2")
    known = story.history()
    rows = named(
        known,
        flow(NODE, "8.8.8.8", 100),
        flow(NODE, "10.244.2.5", 100),
        flow(NODE, IP, 100),
        flow(NODE, "192.168.1.11", 100, dst_port=4789, protocol="udp"),
    )
    # To its own pod it speaks for itself (probes), to the other end of a tunnel as well.
    assert [row["src_confidence"] for row in rows] == ["snat", "snat", "node", "node"]
    assert [row["src_pod"] for row in rows] == [None] * 4
    assert [row["dst_confidence"] for row in rows] == ["external", "exact", "exact", "node"]
    assert "masqueraded" in rows[0]["src_reason"]


def test_a_node_that_changes_its_address_leaves_the_old_one_to_another() -> None:
    story = Story().tell(-50, "ADDED", node("node-1", NODE)).tell(100, "MODIFIED", node("node-1", "192.168.1.99"))
    story.tell(150, "ADDED", node("node-2", NODE, created=149))
    known = story.history()
    assert said(known, NODE, 50, 120, 200) == ["node node-1", "none", "node node-2"]
    assert said(known, "192.168.1.99", 50, 120) == ["none", "node node-1"]


def test_a_clusterip_deleted_and_given_to_another_service() -> None:
    story = Story().tell(-50, "ADDED", service("a", VIP, uid="uid-a"))
    story.tell(100, "DELETED", service("a", VIP, uid="uid-a"))
    story.tell(103.2, "ADDED", service("b", VIP, uid="uid-b", created=103))
    known = story.history()
    assert said(known, VIP, 50, 101.5, 200) == ["service a", "none", "service b"]
    assert at(known, VIP, 50).reason == "the service's address"
    assert at(known, VIP, 98).reason == (
        "the service's address, but not for certain then: start 2025-11-20 23:00:00.000 .. 23:00:01.000, "
        "end 2025-11-21 00:01:35.000 .. 00:01:40.000 UTC"
    )


def test_load_balancer_and_external_addresses_name_the_service() -> None:
    story = Story().tell(-50, "ADDED", service("web", VIP, externalIPs=["203.0.113.7"], balancer=["203.0.113.8"]))
    known = story.history()
    for ip in (VIP, "203.0.113.7", "203.0.113.8"):
        assert said(known, ip, 50) == ["service web"], ip


def test_an_external_address_of_two_services_is_ambiguous() -> None:
    story = Story()
    for name, vip in (("a", VIP), ("b", "10.96.0.21")):
        story.tell(-50, "ADDED", service(name, vip, externalIPs=["203.0.113.7"]))
    assert said(story.history(), "203.0.113.7", 50) == ["ambiguous a|b"]


def test_a_load_balancer_that_gets_its_address_later_did_not_have_it_before() -> None:
    story = Story().tell(-50, "ADDED", service("web", VIP))
    story.tell(100, "MODIFIED", service("web", VIP, balancer=["203.0.113.8"]))
    known = story.tell(200, "MODIFIED", service("web", VIP)).history()
    assert said(known, "203.0.113.8", 50, 150, 250) == ["none", "service web", "none"]
    assert said(known, VIP, 50, 150, 250) == ["service web"] * 3


def test_a_headless_service_holds_no_address_but_its_pods_carry_its_name() -> None:
    story = Story()
    live(story, "web", IP, uid="uid-web")
    story.tell(10, "ADDED", service("web", uid="uid-s"))
    story.tell(20, "ADDED", endpoint_slice("web-x", "web", "uid-web", created=20))
    story.tell(100, "MODIFIED", endpoint_slice("web-x", "web"))
    rows = named(story.history(), *(flow("8.8.8.8", IP, when) for when in (15, 50, 150)))
    assert [row["dst_service"] for row in rows] == [None, "web", None]
    assert [row["dst_confidence"] for row in rows] == ["exact"] * 3


PORTS = ({"port": 80, "nodePort": 30080, "protocol": "TCP"},)


def test_a_node_port_names_the_service_for_its_protocol_only() -> None:
    known = host_story().tell(-50, "ADDED", service("web", VIP, ports=list(PORTS))).history()
    rows = named(known, *(flow("8.8.8.8", NODE, 50, dst_port=30080, protocol=word) for word in ("tcp", "udp")))
    assert [(row["dst_confidence"], row["dst_service"]) for row in rows] == [("service", "web"), ("node", None)]
    assert rows[0]["dst_reason"] == "a node port of the service"


def test_a_node_port_is_free_when_its_service_is_gone() -> None:
    story = host_story().tell(-50, "ADDED", service("web", VIP, ports=list(PORTS)))
    story.tell(100, "DELETED", service("web", VIP, ports=list(PORTS)))
    rows = named(story.history(), *(flow("8.8.8.8", NODE, when, dst_port=30080) for when in (50, 200)))
    assert [(row["dst_confidence"], row["dst_service"]) for row in rows] == [("service", "web"), ("node", None)]


def test_a_node_port_given_to_another_service_names_that_one() -> None:
    story = host_story().tell(-50, "ADDED", service("a", VIP, ports=list(PORTS)))
    story.tell(100, "DELETED", service("a", VIP, ports=list(PORTS)))
    story.tell(110, "ADDED", service("b", "10.96.0.21", created=110, ports=list(PORTS)))
    rows = named(story.history(), *(flow("8.8.8.8", NODE, when, dst_port=30080) for when in (50, 200)))
    assert [row["dst_service"] for row in rows] == ["a", "b"]


CALICO = "cni.projectcalico.org/podIP"


def test_calico_tells_the_address_before_the_status_does() -> None:
    story = Story()
    pod = Pod("web", phase="Pending", notes={CALICO: f"{IP}/32"})
    story.tell(1.2, "ADDED", pod)
    pod.ips, pod.phase, pod.started = (IP,), "Running", 20
    known = story.tell(22, "MODIFIED", pod).history()
    assert said(known, IP, -1, 0.5, 1.3, 10) == ["none", "likely web", "exact web", "exact web"]


def test_calico_tells_the_end_before_the_status_does() -> None:
    story = Story()
    pod = live(story, "web", IP, notes={CALICO: f"{IP}/32"})
    pod.deleted = (130, 30)
    story.tell(100, "MODIFIED", pod)
    pod.notes, pod.finished = {CALICO: ""}, 104
    story.tell(105, "MODIFIED", pod)
    known = story.tell(130, "DELETED", pod).history()
    assert said(known, IP, 50, 103, 104.5, 106) == ["exact web", "exact web", "likely web", "none"]


def test_calico_blanking_the_annotation_of_a_running_pod_ends_nothing() -> None:
    story = Story()
    pod = live(story, "web", IP, notes={CALICO: f"{IP}/32"})
    pod.notes = {CALICO: ""}
    known = story.tell(50, "MODIFIED", pod).history()
    assert said(known, IP, 40, 100) == ["exact web", "exact web"]


V6 = "fd00:10:244:1::5"


def test_one_family_of_a_dual_stack_pod_is_reused_without_the_other() -> None:
    story = Story()
    pod = live(story, "web", IP)
    pod.ips = (IP, V6)
    story.tell(5, "MODIFIED", pod)
    complete(story, pod, finished=100, told=101)
    live(story, "next", V6, born=110)
    known = story.history()
    assert said(known, IP, 50, 150) == ["exact web", "none"]
    assert said(known, V6, 50, 150) == ["exact web", "exact next"]


@pytest.mark.parametrize("spelling", ["FD00:0010:0244:0001:0000:0000:0000:0005", "fd00:10:244:1:0:0:0:5"])
def test_an_address_is_the_same_in_every_spelling(spelling: str) -> None:
    story = Story()
    live(story, "web", spelling)
    live(story, "four", IP)
    known = story.history()
    assert said(known, V6, 50) == ["exact web"]
    assert said(known, spelling, 50) == ["exact web"]
    assert said(known, f"::ffff:{IP}", 50) == ["exact four"]
    assert at(known, f"::ffff:{IP}", 50).address == IP


def test_two_clusters_with_one_range_are_two_worlds() -> None:
    lines = []
    for name in ("east", "west"):
        story = Story(cluster=name)
        live(story, f"web-{name}", IP)
        lines += story.lines()
    known = history(lines)
    assert said(known, IP, 50, cluster="east") == ["exact web-east"]
    assert said(known, IP, 50, cluster="west") == ["exact web-west"]
    with pytest.raises(ConfigError, match="east, west"):
        at(known, IP, 50)


def test_a_networks_file_names_the_narrowest_range_and_never_the_clusters_own(tmp_path: Path) -> None:
    path = tmp_path / "ranges.toml"
    path.write_text('[networks]\noffice = ["198.51.100.0/24"]\nprinters = "198.51.100.64/26"\nall = "0.0.0.0/0"\n')
    networks = load_networks(str(path))
    story = host_story()
    live(story, "web", IP)
    known = story.history()
    rows = named(
        known,
        *(flow(ip, IP, 50) for ip in ("198.51.100.3", "198.51.100.70", "8.8.8.8", "10.244.1.200")),
        networks=networks,
    )
    assert [(row["src_confidence"], row["src_workload"]) for row in rows] == [
        ("external", "office"), ("external", "printers"), ("external", "all"), ("none", None),
    ]  # fmt: skip
    assert [row["direction"] for row in rows] == ["inbound"] * 3 + ["internal"]
    assert at(known, "198.51.100.70", 50, networks=networks).network == "printers"


def test_an_address_that_a_pod_once_had_is_never_called_external() -> None:
    """A cluster may use public addresses for its pods; after the pod's end nobody holds it, which is not outside."""
    story = Story()
    complete(story, live(story, "web", "8.8.4.4"), finished=100, told=101)
    everything = (Network("internet", ipaddress.ip_network("0.0.0.0/0")),)
    (row,) = named(story.history(), flow("8.8.4.4", "8.8.8.8", 300), networks=everything)
    assert (row["src_confidence"], row["dst_confidence"]) == ("none", "external")

"""Addresses that no status tells, but annotations of network plugins do: of nodes inside the pod network, of pods in
further networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cluster_story import Pod, Story, at, complete, live, node, said

from enrich.history.stored import history_of_address
from enrich.holds.plugin_addresses import node_addresses, pod_addresses
from whowas.history.import_export import import_files

IP, SECOND = "10.244.1.5", "172.31.4.9"
STATUS, NETWORKS = "k8s.v1.cni.cncf.io/network-status", "k8s.ovn.org/pod-networks"


def attached(*ips: str, name: str = "shop/wire") -> dict[str, str]:
    """What Multus writes: the default network, and one further."""
    first = {"name": "cni0", "ips": [IP], "default": True}
    return {STATUS: json.dumps([first, {"name": name, "interface": "net1", "ips": list(ips)}])}


def own_network(ip: str, network: str) -> dict[str, str]:
    """What OVN-Kubernetes writes of a pod whose primary network is user-defined."""
    told = {"default": {"ip_addresses": [f"{IP}/24"]}, network: {"ip_addresses": [f"{ip}/16"], "role": "primary"}}
    return {NETWORKS: json.dumps(told)}


@pytest.mark.parametrize(
    ("notes", "address"),
    [
        ({"k8s.ovn.org/node-subnets": '{"default":["10.128.2.0/23","fd01:0:0:2::/64"]}'}, "10.128.2.2"),
        ({"k8s.ovn.org/node-subnets": '{"default":["10.128.2.0/23","fd01:0:0:2::/64"]}'}, "fd01:0:0:2::2"),
        ({"k8s.ovn.org/node-subnets": '{"default":"10.128.2.0/23"}'}, "10.128.2.1"),
        ({"k8s.ovn.org/node-transit-switch-port-ifaddr": '{"ipv4":"100.88.0.7/16"}'}, "100.88.0.7"),
        ({"network.cilium.io/ipv4-cilium-host": "10.0.3.77"}, "10.0.3.77"),
        ({"network.cilium.io/ipv6-health-ip": "fd00::9a"}, "fd00::9a"),
        ({"projectcalico.org/IPv4IPIPTunnelAddr": "10.77.4.64"}, "10.77.4.64"),
        ({"projectcalico.org/IPv6WireguardInterfaceAddr": "fd00:77::1"}, "fd00:77::1"),
        ({"flannel.alpha.coreos.com/backend-type": "vxlan"}, "10.244.1.0"),
        ({"flannel.alpha.coreos.com/backend-type": "host-gw"}, "10.244.1.1"),
        ({"ovn.kubernetes.io/ip_address": "100.64.0.4,fd00:100::4"}, "fd00:100::4"),
    ],
)
def test_a_nodes_address_in_the_pod_network_is_the_nodes(notes: dict[str, str], address: str) -> None:
    known = Story().tell(-50, "ADDED", node("worker-4", "192.168.7.4", **notes)).history()
    assert said(known, address, 50) == ["node worker-4"]
    assert at(known, address, 50).reason == "a node's address"


def test_the_first_address_of_a_nodes_range_is_the_nodes_with_doubt() -> None:
    known = Story().tell(-50, "ADDED", node("worker-4", "192.168.7.4", cidr="10.244.4.0/24")).history()
    answer = at(known, "10.244.4.1", 50)
    assert (answer.confidence, answer.holder is not None and answer.holder.name) == ("node", "worker-4")
    assert "no object says so" in answer.reason
    assert said(known, "10.244.4.2", 50) == ["none"]


def test_a_pod_that_ever_had_the_first_address_refutes_the_guess() -> None:
    story = Story().tell(-50, "ADDED", node("worker-4", "192.168.7.4", cidr="10.244.4.0/24"))
    complete(story, live(story, "web", "10.244.4.1"), finished=100, told=101)
    assert said(story.history(), "10.244.4.1", 1, 50, 300) == ["likely web", "exact web", "none"]


def test_a_guess_stands_back_behind_what_an_object_says() -> None:
    story = Story().tell(-50, "ADDED", node("worker-4", "192.168.7.4", cidr="10.244.4.0/24"))
    story.tell(-50, "ADDED", node("worker-5", "10.244.4.1", cidr="10.244.5.0/24"))
    assert said(story.history(), "10.244.4.1", 50) == ["node worker-5"]


def test_a_node_that_is_gone_has_no_first_address() -> None:
    story = Story().tell(-50, "ADDED", node("worker-4", "192.168.7.4", cidr="10.244.4.0/24"))
    story.tell(100, "DELETED", node("worker-4", "192.168.7.4", cidr="10.244.4.0/24"))
    assert said(story.history(), "10.244.4.1", 50, 200) == ["node worker-4", "none"]


def test_a_pods_second_address_is_the_pods_for_as_long_as_its_first() -> None:
    story = Story()
    pod = live(story, "probe", IP, notes=attached(SECOND, "fd00:4::9"))
    complete(story, pod, finished=100, told=101)
    known = story.history()
    for ip in (IP, SECOND, "fd00:4::9"):
        assert said(known, ip, -5, 50, 300) == ["none", "exact probe", "none"], ip


def test_a_second_address_given_to_the_next_pod() -> None:
    story = Story()
    complete(story, live(story, "old", IP, notes=attached(SECOND)), finished=100, told=101)
    live(story, "new", "10.244.1.6", born=200, notes=attached(SECOND))
    assert said(story.history(), SECOND, 50, 150, 300) == ["exact old", "none", "exact new"]


def in_network(name: str, ip: str, network: str, since: float = 0) -> Pod:
    own = f"10.244.1.{len(name) + 20}"
    return Pod(name, [own], created=since, sandbox=(True, since + 1), started=since + 2, notes=own_network(ip, network))


def test_one_address_in_two_networks_is_ambiguous_while_both_may_have_it() -> None:
    story = Story().tell(5, "ADDED", in_network("blue", SECOND, "one/net"))
    story.tell(205, "ADDED", in_network("crimson", SECOND, "two/net", since=200))
    assert said(story.history(), SECOND, 50, 300) == ["exact blue", "ambiguous blue|crimson"]


def test_a_successor_in_another_network_ends_nothing() -> None:
    """A forced delete proves no end, and who comes in another network is no successor."""
    story = Story()
    first = in_network("blue", SECOND, "one/net")
    story.tell(5, "ADDED", first)
    first.deleted = (100, 0)
    story.tell(100, "DELETED", first)
    story.tell(205, "ADDED", in_network("crimson", SECOND, "two/net", since=200))
    assert said(story.history(), SECOND, 300) == ["ambiguous blue|crimson"]


def test_an_annotation_that_is_no_json_says_nothing() -> None:
    for text in ("", "[", "[1, null, {}]", '{"x": 5}', '"10.0.0.1"', '[{"ips": "no", "name": 4}]', "[" * 5000):
        assert pod_addresses({STATUS: text, NETWORKS: text}) == [], text
        assert node_addresses({"k8s.ovn.org/node-subnets": text}, ("nonsense", "10.0.0.0/32")) == set(), text


def test_a_store_finds_the_pod_by_its_second_address(tmp_path: Path) -> None:
    story = Story()
    live(story, "probe", IP, notes=attached(SECOND))
    evidence, store = tmp_path / "evidence.jsonl", str(tmp_path / "store.db")
    evidence.write_text("".join(f"{line}\n" for line in story.lines()))
    import_files(store, [str(evidence)])
    assert said(history_of_address(store, SECOND), SECOND, 50) == ["exact probe"]

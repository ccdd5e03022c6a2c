"""Addresses that two objects have at once: nodes that are pods, and pods that hand an address over."""

from __future__ import annotations

from typing import Any

from support.cluster_story import Pod, Story, at, complete, live, node, said

IP = "10.0.9.31"


def tagged(made: dict[str, Any], **labels: str) -> dict[str, Any]:
    """An object with other labels."""
    made["metadata"]["labels"] = labels
    return made


def test_a_pod_alone_on_a_node_with_its_address_is_meant() -> None:
    story = Story().tell(-1, "ADDED", node("fargate-1", IP, created=-1))
    live(story, "api", IP, node="fargate-1")
    known = story.history()
    assert said(known, IP, 50) == ["exact api"]
    assert not at(known, IP, 50).candidates


def test_a_virtual_kubelets_node_is_the_kubelets_pod() -> None:
    story = Story()
    live(story, "kubelet-pod", IP, node="node-1")
    story.tell(20, "ADDED", tagged(node("virtual", IP, created=20), type="virtual-kubelet"))
    assert said(story.history(), IP, 10, 50) == ["exact kubelet-pod"] * 2


def test_a_pod_on_another_nodes_address_is_still_a_contradiction() -> None:
    story = Story().tell(-1, "ADDED", node("node-7", IP, created=-1))
    live(story, "web", IP, node="node-1")
    assert said(story.history(), IP, 50) == ["ambiguous node-7|web"]


def test_a_node_is_the_node_again_when_its_pod_is_over() -> None:
    story = Story().tell(-1, "ADDED", node("fargate-1", IP, created=-1))
    complete(story, live(story, "api", IP, node="fargate-1"), finished=100, told=101)
    assert said(story.history(), IP, 50, 200) == ["exact api", "node fargate-1"]


def test_a_machine_that_moves_is_of_two_pods_only_while_both_may_have_it() -> None:
    story = Story()
    source = live(story, "launcher-a", IP)
    live(story, "launcher-b", IP, born=200, node="node-2")
    complete(story, source, finished=260, told=261)
    known = story.history()
    assert said(known, IP, 100, 230, 400) == ["exact launcher-a", "ambiguous launcher-a|launcher-b", "exact launcher-b"]


def test_a_lost_first_launcher_leaves_the_second_in_doubt() -> None:
    """Its end was never told: nobody knows up to when both had it."""
    story = Story()
    live(story, "launcher-a", IP)
    live(story, "launcher-b", IP, born=200, node="node-2")
    assert said(story.history(), IP, 100, 500) == ["exact launcher-a", "ambiguous launcher-a|launcher-b"]


def test_pods_that_share_their_nodes_address_contradict_each_other() -> None:
    story = Story().tell(-1, "ADDED", tagged(node("virtual", IP, created=-1), type="virtual-kubelet"))
    for name in ("one", "two"):
        story.tell(5, "ADDED", Pod(name, [IP], created=0, node="virtual", sandbox=(True, 1), started=2))
    assert said(story.history(), IP, 50) == ["ambiguous one|two"]

"""Flows that span a change of holder, and the same address in several overlay networks."""

from __future__ import annotations

import pytest
from support.cluster_story import Story, batch, complete, flow, live, named

from enrich import History, Namer, NamingOptions
from enrich.naming.flow_namer import SecondNetworkError

IP, PEER = "10.244.1.5", "10.244.1.9"


def reused() -> Story:
    """`old` holds the address from 0 to 100, `new` from 110 on; PEER is held all the time."""
    story = Story()
    live(story, "peer", PEER, born=-30)
    complete(story, live(story, "old", IP), finished=100, told=101)
    live(story, "new", IP, born=110)
    return story


def source(known: History, start: float, end: float | None = None) -> tuple[str, str | None, list[str]]:
    """(confidence, pod, names of the candidates) of a flow's source."""
    (row,) = named(known, flow(IP, PEER, start, end))
    assert row["dst_confidence"] == "exact"
    return row["src_confidence"], row["src_pod"], [one["name"] for one in row["src_candidates"] or ()]


def test_a_flow_is_named_at_its_start() -> None:
    known = reused().history()
    assert source(known, 50, 60) == ("exact", "old", [])
    assert source(known, 150, 160) == ("exact", "new", [])
    assert source(known, 105) == ("none", None, [])


def test_a_flow_that_outlives_its_holder_names_both() -> None:
    known = reused().history()
    assert source(known, 90, 150) == ("ambiguous", None, ["old", "new"])
    (row,) = named(known, flow(IP, PEER, 90, 150))
    assert row["src_reason"] == "one held it at the start of the flow, another by its end"


def test_a_flow_whose_last_packet_comes_after_the_end_keeps_its_name_while_nobody_else_came() -> None:
    assert source(reused().history(), 90, 105) == ("exact", "old", [])


def test_a_flow_over_two_sandboxes_of_one_pod_has_one_name() -> None:
    """The sandbox was made anew with the same address: another hold, but nobody else."""
    story = Story()
    live(story, "peer", PEER, born=-30)
    pod = live(story, "web", IP)
    pod.ips, pod.sandbox, pod.finished = (), (False, 50), 49
    story.tell(50.5, "MODIFIED", pod)
    pod.ips, pod.sandbox, pod.started, pod.finished = (IP,), (True, 60), 61, None
    story.tell(62, "MODIFIED", pod)
    confidence, name, _ = source(story.history(), 30, 100)
    assert (confidence, name) in (("exact", "web"), ("likely", "web"))


def test_both_ends_are_asked_for_themselves() -> None:
    known = reused().history()
    (row,) = named(known, flow(PEER, IP, 105, dst_port=80))
    assert (row["src_confidence"], row["src_pod"]) == ("exact", "peer")
    assert (row["dst_confidence"], row["dst_pod"]) == ("none", None)


def test_rows_stay_in_their_order_and_their_columns_untouched() -> None:
    known = reused().history()
    flows = [flow(IP, PEER, 50 + n * 7 % 90, bytes_out=n, observer=f"o{n}") for n in range(40)]
    rows = named(known, *flows)
    assert [(row["flow_id"], row["bytes_out"], row["observer"]) for row in rows] == [
        (one["flow_id"], one["bytes_out"], one["observer"]) for one in flows
    ]
    assert named(known, *flows[::-1])[::-1] == rows


def test_a_slice_of_a_batch_is_named_as_the_whole_is() -> None:
    known = reused().history()
    flows = batch(*(flow(IP, PEER, when) for when in (50, 105, 150, 300)))
    whole = Namer(known).name(flows).to_pylist()
    assert Namer(known).name(flows.slice(1, 2)).to_pylist() == whole[1:3]
    assert Namer(known).name(flows.slice(4)).to_pylist() == []


def across(known: History, *vnis: int | None, **options: object) -> list[str]:
    """Confidence of a source that is certain by its address, seen under these VNIs in one batch."""
    rows = named(known, *(flow(IP, PEER, 50, vni=one) for one in vnis), **options)
    return [row["src_confidence"] for row in rows]


def test_one_address_in_two_networks_is_ambiguous_until_somebody_says_which() -> None:
    known = reused().history()
    assert across(known, 100) == ["exact"]
    assert across(known, 100, 200, None) == ["ambiguous", "ambiguous", "exact"]
    (row, _) = named(known, flow(IP, PEER, 50, vni=100), flow(IP, PEER, 50, vni=200))
    assert "several VNIs were seen" in row["src_reason"]
    assert row["src_pod"] is None


def test_the_named_network_is_the_clusters_and_the_others_are_unknown() -> None:
    known = reused().history()
    assert across(known, 100, 200, None, vnis=(100,)) == ["exact", "unknown", "exact"]
    (row,) = named(known, flow(IP, PEER, 50, vni=200), vnis=(100,))
    assert (row["src_pod"], row["src_candidates"], row["src_reason"]) == (
        None, None, "seen in a network (VNI) that is not the cluster's",
    )  # fmt: skip


@pytest.mark.parametrize(("chain", "word"), [
    ("ipip", "exact"), ("6in4", "exact"), ("gre>erspan", "exact"), ("wireguard", "exact"), ("gre", "ambiguous"),
    ("gtp", "ambiguous"), ("gre>erspan>gre", "ambiguous"), ("mpls", "ambiguous"), ("vxlan>gre", "ambiguous"),
])  # fmt: skip
def test_whose_network_a_tunnel_carries_is_not_guessed(chain: str, word: str) -> None:
    known = reused().history()
    (row,) = named(known, flow(IP, PEER, 50, tunnels=chain))
    assert (row["src_confidence"], "--vni any" in row["src_reason"]) == (word, word == "ambiguous")
    (row,) = named(known, flow(IP, PEER, 50, tunnels=chain), vnis="any")
    assert row["src_confidence"] == "exact"


def test_where_a_vni_is_an_identity_it_says_nothing_about_the_network() -> None:
    assert across(reused().history(), 100, 200, None, vnis="any") == ["exact"] * 3


def test_an_address_outside_stays_outside_in_any_network() -> None:
    known = reused().history()
    rows = named(known, flow("8.8.8.8", IP, 50, vni=100), flow("8.8.8.8", IP, 50, vni=200))
    assert [row["src_confidence"] for row in rows] == ["external", "external"]


def in_three_batches() -> list[str]:
    """Network 100, then 200, then 100 again, each in a batch of its own."""
    namer = Namer(reused().history(), NamingOptions())
    batches = [batch(flow(IP, PEER, 50 + vni / 1000, vni=vni)) for vni in (100, 200, 100)]
    return [row["src_confidence"] for one in batches for row in namer.name(one).to_pylist()]


def test_a_second_network_makes_all_that_follows_ambiguous() -> None:
    assert in_three_batches()[1:] == ["ambiguous", "ambiguous"]


def test_who_can_read_again_is_told_that_names_came_too_soon() -> None:
    namer = Namer(reused().history(), NamingOptions(), again=True)
    namer.name(batch(flow(IP, PEER, 50, vni=100)))
    with pytest.raises(SecondNetworkError):
        namer.name(batch(flow(IP, PEER, 51, vni=200)))
    known = reused().history()
    assert across(known, 100, vnis="several") == ["ambiguous"]


@pytest.mark.parametrize("start", [-1e6, 1e9])
def test_moments_far_away_are_unknown(start: float) -> None:
    (row,) = named(reused().history(), flow("10.244.1.44", PEER, start))
    assert (row["src_confidence"], row["dst_confidence"]) == ("unknown", "unknown")


def test_thirty_holders_one_after_another_are_each_named_in_their_time() -> None:
    """More holds on one address than an answer has room for candidates."""
    story = Story(until=2000)
    for turn in range(30):
        complete(story, live(story, f"job-{turn}", IP, born=turn * 50), turn * 50 + 30, turn * 50 + 31)
    rows = named(story.history(), *(flow(IP, PEER, turn * 50 + 20) for turn in range(30)))
    assert [(row["src_confidence"], row["src_pod"]) for row in rows] == [("exact", f"job-{n}") for n in range(30)]


def test_ten_possible_holders_at_once_are_never_exact() -> None:
    story = Story()
    for turn in range(10):
        pod = live(story, f"web-{turn}", IP, born=turn * 5)
        pod.deleted = (turn * 5 + 3, 0)
        story.tell(turn * 5 + 3, "MODIFIED", pod).tell(turn * 5 + 3.01, "DELETED", pod)
    rows = named(story.history(), *(flow(IP, PEER, when) for when in (46, 200)))
    assert all(row["src_confidence"] != "exact" for row in rows)

"""What is told of a holder is what it was at the moment that is asked of, whatever it became."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cluster_story import Pod, Story, Thing, at, flow, live, named, node, said, service, us

from enrich import History
from enrich.history.states import States
from enrich.history.stored import StoredHistory, history_of_address, history_of_name, observations_of
from enrich.holds.pod_tables import Rows
from enrich.holds.pod_track import PodTrack
from enrich.holds.service_node_track import ThingTrack
from enrich.holds.versions import Version
from enrich.naming.who_several import holds_of
from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack
from whowas.history.import_export import export_slice, import_files
from whowas.history.queries import load_history
from whowas.observation import KubeObject, Meta, Observation
from whowas.timestamps import BEFORE_ALL

IP, NODE, VIP, OUTSIDE = "10.244.1.5", "192.168.7.10", "10.96.0.30", "8.8.8.8"


def labelled(made: Thing, **labels: str) -> Thing:
    made["metadata"]["labels"] = {name.replace("_", "/"): text for name, text in labels.items()}
    return made


def in_zone(zone: str | None, **more: Any) -> Thing:
    made = node("node-1", NODE, **more)
    return labelled(made) if zone is None else labelled(made, **{"topology.kubernetes.io_zone": zone})


def moved() -> Story:
    """node-1 has no zone, then a from 100 on, b from 200 on, none from 300 on. A pod is on it all the time."""
    story = Story().tell(-50, "ADDED", in_zone(None))
    live(story, "web", IP, born=-40)
    for when, zone in ((100, "a"), (200, "b"), (300, None)):
        story.tell(when, "MODIFIED", in_zone(zone))
    return story


MOMENTS, ZONES = (50, 150, 250, 350), ["", "a", "b", ""]


def zones(known: History, ip: str) -> list[str]:
    holders = [at(known, ip, when).holder for when in MOMENTS]
    return [one.zone for one in holders if one]


def test_a_zone_is_that_of_the_node_then() -> None:
    known = moved().history()
    assert zones(known, IP) == zones(known, NODE) == ZONES
    rows = named(known, *(flow(IP, NODE, when) for when in MOMENTS))
    assert [row["src_zone"] or "" for row in rows] == [row["dst_zone"] or "" for row in rows] == ZONES
    # A holder without a moment is told as it was when its hold began.
    assert [one.zone for one in holds_of(known, "shop/web")] == [""]


def test_a_pod_that_changes_too_has_both_as_of_then() -> None:
    story = moved()
    pod = Pod("web", [IP], created=-40, sandbox=(True, -39), started=-38)
    for when, color in ((150, "red"), (200, "blue"), (250, "green")):
        pod.labels = {"color": color}
        story.tell(when, "MODIFIED", pod)
    known = story.history()
    asked = (50, 120, 170, 220, 270, 320)
    rows = named(known, *(flow(IP, OUTSIDE, when) for when in asked))
    told = [(row["src_zone"], dict(row["src_labels"]).get("color")) for row in rows]
    assert told == [
        (None, None), ("a", None), ("a", "red"), ("b", "blue"), ("b", "green"), (None, "green"),
    ]  # fmt: skip
    holders = [at(known, IP, when).holder for when in asked]
    assert [(one.zone or None, one.labels.get("color")) for one in holders if one] == told


def test_before_the_first_sight_the_zone_is_that_of_the_first() -> None:
    story = Story()
    live(story, "web", IP, born=-40)
    known = story.tell(100, "ADDED", in_zone("a")).tell(200, "MODIFIED", in_zone("b")).history()
    assert zones(known, IP) == ["a", "a", "b", "b"]


def test_a_node_made_anew_under_its_name_has_a_zone_of_its_own() -> None:
    """Cloud providers give a node's name again, in whatever zone has room."""
    story = Story().tell(-50, "ADDED", in_zone("a"))
    live(story, "web", IP, born=-40)
    other = in_zone("b", created=200)
    other["metadata"]["uid"] = "uid-other"
    known = story.tell(180, "DELETED", in_zone("a")).tell(200.5, "ADDED", other).history()
    assert zones(known, IP) == ["a", "a", "b", "b"]


def test_a_node_is_a_virtual_kubelets_from_the_time_on_at_which_it_says_so() -> None:
    """Before that, the pod on its address contradicts it."""
    story = Story().tell(-50, "ADDED", in_zone(None))
    live(story, "aci", NODE, born=-40, node="node-2")
    known = story.tell(100, "MODIFIED", labelled(node("node-1", NODE), type="virtual-kubelet")).history()
    assert said(known, NODE, 50, 150) == ["ambiguous aci|node-1", "exact aci"]


def ported(*node_ports: int, name: str = "gate", vip: str = VIP, **more: Any) -> Thing:
    ports = [{"port": 8000 + one % 100, "nodePort": one, "protocol": "TCP"} for one in node_ports]
    return service(name, vip, ports=ports, **more)


def behind(known: History, port: int, *moments: float) -> list[str | None]:
    """The Services that flows to a port of the node are named by."""
    rows = named(known, *(flow(OUTSIDE, NODE, when, dst_port=port) for when in moments))
    assert all(row["dst_confidence"] == ("service" if row["dst_service"] else "node") for row in rows)
    return [row["dst_service"] for row in rows]


def test_a_node_port_is_the_services_while_it_has_it() -> None:
    story = Story().tell(-50, "ADDED", node("node-1", NODE)).tell(-50, "ADDED", ported(30080))
    known = story.tell(100, "MODIFIED", ported(30090, 30091)).tell(200, "MODIFIED", ported(30080, 30091)).history()
    asked = (50, 150, 250)
    assert behind(known, 30080, *asked) == ["gate", None, "gate"]
    assert behind(known, 30090, *asked) == [None, "gate", None]
    assert behind(known, 30091, *asked) == [None, "gate", "gate"]
    # Just before the change was shown it may have been made.
    assert behind(known, 30080, 90, 97) == ["gate", None]
    assert behind(known, 30091, 97, 199) == [None, "gate"]


def test_a_node_port_that_goes_from_one_service_to_another() -> None:
    story = Story().tell(-50, "ADDED", node("node-1", NODE))
    story.tell(-50, "ADDED", ported(30080)).tell(-50, "ADDED", ported(name="new", vip="10.96.0.31"))
    story.tell(100, "MODIFIED", ported()).tell(101, "MODIFIED", ported(30080, name="new", vip="10.96.0.31"))
    assert behind(story.history(), 30080, 50, 100.5, 150) == ["gate", None, "new"]


def test_a_node_port_that_changed_while_nobody_looked_is_nobodys_in_between() -> None:
    story = Story(since=None, until=None)
    story.listing(0, node("node-1", NODE), ported(30080)).listing(50, node("node-1", NODE), ported(30080))
    known = story.listing(200, node("node-1", NODE), ported(30090)).history()
    assert behind(known, 30080, 20, 100, 250) == ["gate", None, None]
    assert behind(known, 30090, 20, 100, 250) == [None, None, "gate"]


def test_a_service_shown_last_without_its_node_ports_had_them_before() -> None:
    story = Story().tell(-50, "ADDED", node("node-1", NODE)).tell(-50, "ADDED", ported(30080))
    known = story.tell(100, "DELETED", service("gate", VIP)).history()
    assert behind(known, 30080, 50, 150) == ["gate", None]


@pytest.mark.parametrize("where", ["externalIPs", "balancer"])
def test_an_address_from_outside_is_the_services_while_it_has_it(where: str) -> None:
    first, second = "203.0.113.44", "203.0.113.45"
    story = Story().tell(-50, "ADDED", service("gate", VIP, **{where: [first]}))
    known = story.tell(100, "MODIFIED", service("gate", VIP, **{where: [second]})).history()
    assert said(known, first, 50, 150) == ["service gate", "none"]
    assert said(known, second, 50, 150) == ["none", "service gate"]
    rows = named(known, flow(IP, first, 50), flow(IP, first, 150), flow(IP, second, 50), flow(IP, second, 150))
    assert [row["dst_service"] for row in rows] == ["gate", None, None, "gate"]


def test_ports_of_containers_are_those_of_then() -> None:
    """Two pods of a node's network: the one that declares the port then is meant."""
    story = Story().tell(-50, "ADDED", node("node-1", NODE))
    one, other = (Pod(name, [NODE], created=-40, started=-38, host=True) for name in ("one", "other"))
    one.ports = ((9100, "TCP"),)
    story.tell(-37, "ADDED", one).tell(-37, "ADDED", other)
    one.ports, other.ports = (), ((9100, "TCP"),)
    story.tell(100, "MODIFIED", one).tell(101, "MODIFIED", other)
    rows = named(story.history(), *(flow(OUTSIDE, NODE, when, dst_port=9100) for when in (50, 150)))
    assert [(row["dst_confidence"], row["dst_pod"]) for row in rows] == [("likely", "one"), ("likely", "other")]


def test_a_services_own_port_is_its_while_it_has_it() -> None:
    """Two Services share the address of a load balancer: the port of then decides."""
    shared = "203.0.113.44"

    def having(name: str, vip: str, port: int) -> Thing:
        return service(name, vip, balancer=[shared], ports=[{"port": port, "protocol": "TCP"}])

    story = Story().tell(-50, "ADDED", having("smtp", VIP, 25)).tell(-50, "ADDED", having("web", "10.96.0.31", 80))
    known = story.tell(100, "MODIFIED", having("smtp", VIP, 26)).tell(200, "MODIFIED", having("web", "10.96.0.31", 25))
    asked = [(port, when) for when in (50, 150, 250) for port in (25, 26, 80)]
    rows = named(known.history(), *(flow(OUTSIDE, shared, when, dst_port=port) for port, when in asked))
    assert [row["dst_service"] for row in rows] == [
        "smtp", None, "web", None, "smtp", "web", "web", "smtp", None,
    ]  # fmt: skip
    assert {row["dst_confidence"] for row in rows if not row["dst_service"]} == {"ambiguous"}


def test_a_host_port_is_the_pods_while_it_declares_it() -> None:
    story = Story().tell(-50, "ADDED", node("node-1", NODE))
    pod = Pod("proxy", [IP], created=-40, sandbox=(True, -39), started=-38).json()
    for when, verb, port in ((-37, "ADDED", 8444), (100, "MODIFIED", 8445)):
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 9443, "hostPort": port}]
        story.tell(when, verb, pod)
    known = story.history()
    rows = named(known, *(flow(OUTSIDE, NODE, when, dst_port=port) for port in (8444, 8445) for when in (50, 150)))
    assert [row["dst_pod"] for row in rows] == ["proxy", None, None, "proxy"]


def test_an_address_in_an_annotation_is_held_while_it_stands_there() -> None:
    tunnel, network = "projectcalico.org/IPv4VXLANTunnelAddr", "k8s.v1.cni.cncf.io/network-status"
    story = Story().tell(-50, "ADDED", node("node-1", NODE, **{tunnel: "10.244.1.70"}))
    story.tell(100, "MODIFIED", node("node-1", NODE, **{tunnel: "10.244.1.71"}))
    pod = live(story, "amf", IP, born=-40)
    for when, ip in ((-30, "10.200.0.5"), (100, "10.200.0.6")):
        pod.notes = {network: f'[{{"name":"n3","ips":["{ip}"]}}]'}
        story.tell(when, "MODIFIED", pod)
    known = story.history()
    assert [said(known, f"10.244.1.{last}", 50, 150) for last in (70, 71)] == [
        ["node node-1", "none"], ["none", "node node-1"],
    ]  # fmt: skip
    assert said(known, "10.200.0.5", 50, 150) == ["exact amf", "none"]
    # Since when a pod has what it is shown with is told by its sandbox: it may have had it before.
    assert said(known, "10.200.0.6", 50, 150) == ["likely amf", "exact amf"]


def of_all() -> Story:
    """Everything that changes, changes at 100 and at 200."""
    story = moved()
    pod = Pod("web", [IP], created=-40, sandbox=(True, -39), started=-38)
    story.tell(-30, "ADDED", ported(30080, externalIPs=["203.0.113.44"]))
    for when, color in ((100, "red"), (200, "blue")):
        pod.labels = {"color": color}
        story.tell(when, "MODIFIED", pod)
        story.tell(when, "MODIFIED", ported(30080 + when, externalIPs=[f"203.0.113.{when}"]))
        story.tell(when, "MODIFIED", space(color))
    return story


def space(color: str) -> Thing:
    made: Thing = {"name": "shop", "uid": "uid-shop", "labels": {"color": color}}
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": made}


def names(known: History) -> list[Any]:
    flows = [flow(IP, dst, when, dst_port=port) for when in MOMENTS for dst, port in (
        (NODE, 30080), (NODE, 30180), (NODE, 30280), ("203.0.113.44", 80), ("203.0.113.100", 80), ("203.0.113.200", 80),
    )]  # fmt: skip
    kept = ("src_labels", "src_zone", "dst_zone", "dst_service", "dst_confidence")
    return [[row[name] for name in kept] for row in named(known, *flows)]


def test_a_store_a_slice_of_it_and_what_is_packed_tell_the_same_of_then(tmp_path: Path) -> None:
    story = of_all()
    right = names(story.history())
    lines = story.tell(400, "DELETED", Pod("web", [IP], created=-40, deleted=(400, 30))).lines()
    (tmp_path / "evidence.jsonl").write_text("".join(f"{line}\n" for line in lines))
    store, out = str(tmp_path / "store"), str(tmp_path / "slice.jsonl")
    import_files(store, [str(tmp_path / "evidence.jsonl")])
    assert names(StoredHistory(store).history) == right
    assert zones(history_of_address(store, IP), IP) == zones(known(history_of_name(store, "shop/web")), IP) == ZONES
    export_slice(store, out)
    with EvidenceStore(store, write=True) as writer:
        assert pack(writer.database, settled_us=0) == 1
    assert names(StoredHistory(store).history) == names(load_history(out)) == right


def known(found: History | None) -> History:
    assert found is not None
    return found


def test_who_vanished_while_nobody_looked_was_before_what_it_was(tmp_path: Path) -> None:
    """A list that does not show a Service says nothing of its ports, nor one that does not show a node of its zone."""
    service_of_one = msgspec.convert(ported(30080), KubeObject)
    one = msgspec.convert(in_zone("a"), KubeObject)
    told = [Observation("LISTED", thing, us(0), us(0), "c", "") for thing in (service_of_one, one)]
    told += [
        Observation("RELISTED", KubeObject(kind=kind, metadata=Meta(resourceVersion="9")), us(when), us(when), "c", "")
        for when in (0, 100)
        for kind in ("Service", "Node")
    ]
    with EvidenceStore(tmp_path / "store", write=True) as store:
        assert not store.write(told).refused
    known = StoredHistory(tmp_path / "store").history
    (row,) = named(known, flow(OUTSIDE, NODE, 1, dst_port=30081))
    assert (row["dst_confidence"], row["dst_zone"]) == ("node", "a")
    assert behind(known, 30080, 1) == ["gate"]
    assert known.clusters["c"].ranges == ("10.244.1.0/24",)


def test_every_version_of_a_namespace_stays_in_the_evidence(tmp_path: Path) -> None:
    (tmp_path / "evidence.jsonl").write_text("".join(f"{line}\n" for line in of_all().lines()))
    store, out, copy = str(tmp_path / "store"), tmp_path / "slice.jsonl", str(tmp_path / "copy")
    import_files(store, [str(tmp_path / "evidence.jsonl")])
    export_slice(store, str(out))
    import_files(copy, [str(out)])
    for one in (store, copy):
        metas = [seen.object.metadata for seen in observations_of(one, ["uid-shop"])]
        assert [meta.labels for meta in metas if meta] == [{"color": "red"}, {"color": "blue"}]


TIMES = st.lists(st.integers(0, 20), max_size=5, unique=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TIMES, st.integers(0, 2)), min_size=1, max_size=4), st.lists(TIMES, min_size=3, max_size=3))
def test_a_state_is_what_a_scan_of_all_versions_finds(
    pods: list[tuple[list[int], int]], nodes: list[list[int]]
) -> None:
    """Each pod and each node changes at some times; a state of neither is taken for another."""
    rows = Rows()
    lines = [[BEFORE_ALL, *sorted(times)] for times, _ in pods]
    for place, line in enumerate(lines):
        own = [Version(since, services=f"s{since}") for since in line]
        rows.add(PodTrack(f"u{place}", node=f"n{pods[place][1]}"), ("", "", ""), own)
    places = [[BEFORE_ALL, *sorted(times)] for times in nodes]
    things = [ThingTrack(f"n{n}", "Node", "", f"n{n}") for n in range(3)]
    for one, line in zip(things, places, strict=True):
        one.versions = [Version(since, zone=f"z{since}") for since in line]
    homes = np.array([home for _, home in pods] + [0, 1, 2], dtype=np.int32)
    states = States(rows.batch(), things, homes, ["n0", "n1", "n2"])
    for place, line in enumerate(lines):
        seen: dict[int, tuple[str, str]] = {}
        for time in range(-1, 22):
            state = int(states.at(np.array([place], dtype=np.int32), np.array([time]))[0])
            version = states.version(place, state)
            zone = max(since for since in places[pods[place][1]] if since <= time)
            right = f"s{max(since for since in line if since <= time)}", f"z{zone}"
            assert (version.services, version.zone) == seen.setdefault(state, right) == right

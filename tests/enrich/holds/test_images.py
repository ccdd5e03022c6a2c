"""Images of a pod change in place: they are those of the moment that is asked of."""

from __future__ import annotations

from typing import Any

from support.cluster_story import Pod, Story, at, flow, named

from enrich.holds.cluster_track import ClusterTrack
from enrich.holds.pod_tables import Batch, join
from enrich.holds.workloads import rows_of
from whowas.observation import Container, KubeObject, Meta, Observation, Spec, Status

IP = "10.244.1.5"


def running(image: str, **labels: str) -> dict[str, Any]:
    made = Pod("web", [IP], created=0, sandbox=(True, 1), started=2, labels=labels).json()
    made["spec"]["containers"][0]["image"] = image
    return made


def test_an_image_set_later_is_not_told_of_before() -> None:
    story = Story().tell(5, "ADDED", running("registry.example/a:1"))
    story.tell(100, "MODIFIED", running("registry.example/a:2"))
    known = story.tell(200, "MODIFIED", running("registry.example/a:2", tier="x")).history()
    holders = [at(known, IP, when).holder for when in (50, 150, 300)]
    assert [one.images for one in holders if one] == [(f"registry.example/a:{tag}",) for tag in (1, 2, 2)]
    assert [one.labels for one in holders if one] == [{}, {}, {"tier": "x"}]
    rows = named(known, flow(IP, "8.8.8.8", 50), flow(IP, "8.8.8.8", 150))
    assert [row["src_images"] for row in rows] == [["registry.example/a:1"], ["registry.example/a:2"]]


def test_a_block_of_before_is_read_without_what_it_does_not_say() -> None:
    """Stores keep blocks that were derived when networks and images were no columns yet."""
    track = ClusterTrack("one")
    track.take(Observation("ADDED", pod_object(), 5, 5, "one", ""))
    batch = rows_of(track, ["u"])
    old = Batch(batch.pods, batch.segments.drop_columns(["network"]), batch.versions.drop_columns(["images"]))
    read = join([Batch.from_bytes(old.to_bytes()), batch])
    assert read.segments["network"].to_pylist() == ["", ""]
    assert read.versions["images"].to_pylist() == ["", "a:1"]


def pod_object() -> KubeObject:
    return KubeObject(
        kind="Pod",
        metadata=Meta(name="web", uid="u"),
        spec=Spec(containers=[Container(image="a:1")]),
        status=Status(phase="Running", podIP=IP),
    )

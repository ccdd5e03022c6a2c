"""Images of a pod change in place: they are those of the moment that is asked of."""

from __future__ import annotations

from typing import Any

from support.cluster_story import Pod, Story, at, flow, named

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

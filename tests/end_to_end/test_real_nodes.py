"""The judge of `make churn-node`: what it takes for right and wrong, and the image it lets pods run from."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from bench.real_nodes.images import write_image
from bench.real_nodes.scoring import End, outcome
from bench.real_nodes.truth import Truth, holds_of, read_calls

ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={};K8S_POD_UID={}"
RESULT = '{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.5/24","gateway":"10.244.1.1"}]}'


def line(began: float, done: float, command: str, sandbox: str, pod: str, code: int = 0) -> str:
    return f"{began} {done} {command} {code} {sandbox} {ARGS.format(pod, pod)} {RESULT if command == 'ADD' else ''}"


# a has 10.244.1.5 from 100 to 110 and b from 120 on; b's first try failed.
LOG = "\n".join([
    line(99.5, 100, "ADD", "s1", "a"), line(109.5, 110, "DEL", "s1", "a"), line(111, 111.5, "DEL", "s1", "a"),
    line(115, 115.2, "ADD", "s2", "b", code=1), line(119.5, 120, "ADD", "s3", "b"), "130.0 130",
])  # fmt: skip


def truth() -> Truth:
    return Truth.of(holds_of(read_calls(LOG)))


def end(word: str, first: float, *, last: float = 0, uid: str | None = None, spoke: bool = True) -> End:
    return End("10.244.1.5", first, last or first, spoke, word, uid, uid, ("a", "b") if word == "ambiguous" else (), "")


def test_holds_are_what_the_plugin_was_asked_for() -> None:
    assert [(one.pod, one.start, one.end) for one in truth().by_ip["10.244.1.5"]] == [
        ("a", (99.5, 100.0), (109.5, 110.0)),
        ("b", (119.5, 120.0), (float("inf"), float("inf"))),
    ]


@pytest.mark.parametrize(
    ("at", "place"),
    [(90, "free"), (100.5, "near start"), (105, "deep"), (109, "near end"), (111, "just free"), (115, "free")],
)
def test_places(at: float, place: str) -> None:
    assert truth().place("10.244.1.5", at) == place


@pytest.mark.parametrize(
    ("answer", "judged"),
    [
        (end("exact", 105, uid="a"), "exact"),
        (end("exact", 105, uid="b"), "wrong exact"),
        (end("likely", 115, uid="a"), "wrong likely"),
        (end("exact", 109.8, uid="a"), "exact"),  # while the call lasts either answer is right
        (end("none", 109.8), "none"),
        (end("none", 105), "unseen"),
        (end("none", 115), "none"),
        (end("likely", 115, last=121, uid="b"), "likely"),  # asked again and again, and answered in the end
        (end("likely", 115, last=121, uid="b", spoke=False), "wrong likely"),
        (end("ambiguous", 105), "ambiguous"),
        (End("10.244.1.5", 105, 105, True, "ambiguous", None, None, ("b",), ""), "lost"),
        (end("node", 105), "wrong exact"),
        (end("unknown", 105), "unknown"),
    ],
)
def test_outcomes(answer: End, judged: str) -> None:
    assert outcome(answer, truth()) == judged


def test_an_image_has_its_files_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "talk.tar"
    write_image(path, "whowas.test/talk:1", {"talk": b"program"}, ["/talk"])
    with tarfile.open(path) as tar:
        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
        manifest = index["manifests"][0]
        assert manifest["annotations"]["io.containerd.image.name"] == "whowas.test/talk:1"
        assert f"blobs/sha256/{manifest['digest'][7:]}" in tar.getnames()

"""Reading evidence: three forms told apart by content, compressed or not; what is broken is named, the rest is read."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from support.cluster.written import AT, AT_US, dump, event, lines, listing, names, pod, read

from ingest.cluster import EvidenceProgress, EvidenceReport, in_order, read_observations
from whowas.errors import InputError

PACKERS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
}


def test_lines_carry_time_and_cluster(tmp_path: Path) -> None:
    found, report = read(lines(event("a", received=AT, cluster="east"), event("b", "DELETED")), tmp_path, "default")
    assert [(one.verb, one.received_us, one.cluster) for one in found] == [
        ("ADDED", AT_US, "east"), ("DELETED", None, "default"),
    ]  # fmt: skip
    # Without a time of receipt its own newest stamp is the least: startTime, 09:00:01.
    assert [one.not_before_us for one in found] == [AT_US, AT_US - 3_599_250_000]
    assert report.whole()
    assert report.observations == {"Pod": 2}


def test_a_watch_dump_of_values_one_behind_another(tmp_path: Path) -> None:
    found, report = read(dump(event("a"), event("b", "MODIFIED"), event("c", "DELETED")), tmp_path)
    assert [(one.verb, name) for one, name in zip(found, names(found), strict=True)] == [
        ("ADDED", "a"), ("MODIFIED", "b"), ("DELETED", "c"),
    ]  # fmt: skip
    assert report.whole()


@pytest.mark.parametrize("write", [lines, dump])
@pytest.mark.parametrize("kind", ["List", "PodList"])
def test_a_list_is_read_item_by_item(write: Any, kind: str, tmp_path: Path) -> None:
    items = [pod("a"), pod("b")]
    if kind == "PodList":
        for one in items:
            del one["kind"]  # the apiserver leaves it out of the items of a typed list
    found, report = read(write(listing(*items, kind=kind)), tmp_path)
    assert [(one.verb, one.object.kind) for one in found] == [("LISTED", "Pod")] * 2
    assert names(found) == ["a", "b"]
    assert report.whole()


def test_a_list_was_made_at_the_newest_time_in_any_item_that_no_node_wrote(tmp_path: Path) -> None:
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"}
    wild = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T11:00:00Z"}
    late = pod("late", status={"startTime": "2026-11-20T12:00:00Z", "conditions": [scheduled, wild]})
    found, _ = read(lines(listing(pod("early"), late)), tmp_path)
    assert [one.not_before_us for one in found] == [AT_US - 250_000] * 2
    assert [one.received_us for one in found] == [None, None]


@pytest.mark.parametrize("write", [lines, dump])
def test_bare_objects_are_read_as_lists_of_one(write: Any, tmp_path: Path) -> None:
    found, report = read(write(pod("a"), pod("b")), tmp_path)
    assert [(one.verb, name) for one, name in zip(found, names(found), strict=True)] == [
        ("LISTED", "a"),
        ("LISTED", "b"),
    ]
    assert report.whole()


def test_all_three_forms_in_one_file(tmp_path: Path) -> None:
    data = lines(event("a")) + dump(event("b"), listing(pod("c"), pod("d"))) + lines(event("e")) + dump(pod("f"))
    found, report = read(data, tmp_path)
    assert names(found) == list("abcdef")
    assert report.whole()


@pytest.mark.parametrize("name", PACKERS)
def test_compression_is_told_by_the_first_bytes(name: str, tmp_path: Path) -> None:
    plain = (lines(event("a")) + dump(event("b"))).encode()
    found, report = read(PACKERS[name](plain), tmp_path)
    assert names(found) == ["a", "b"]
    assert report.whole()


@pytest.mark.parametrize("name", PACKERS)
def test_a_cut_compressed_file_gives_what_it_holds_and_is_named(name: str, tmp_path: Path) -> None:
    plain = lines(*(event(f"pod-{n}", received=AT, n=f"{n * n * 7919:x}") for n in range(20_000))).encode()
    raw = PACKERS[name](plain)
    found, report = read(raw[: len(raw) * 3 // 4], tmp_path)
    assert names(found) == [f"pod-{n}" for n in range(len(found))]
    assert 0 < len(found) < 20_000
    assert len(report.files[0].unreadable) == 1
    assert "cut short" in report.files[0].unreadable[0].reason


def test_several_files_are_read_in_their_order(tmp_path: Path) -> None:
    paths = []
    for name in ("z", "a"):
        (tmp_path / name).write_text(lines(event(name)))
        paths.append(str(tmp_path / name))
    report = EvidenceReport()
    found = list(read_observations(paths, None, report))
    assert [one for one in names(found) if one != "START"] == ["z", "a"]
    assert [one.path for one in report.files] == paths
    assert [one.source for one in found[:2]] == [paths[0], f"{paths[0]}@0"]


def test_recordings_are_put_in_the_order_of_their_times(tmp_path: Path) -> None:
    paths = []
    for name, hour in (("z", 10), ("a", 12), ("m", 11)):
        text = lines(event("undated") | {"received": None}, event(name) | {"received": f"2026-11-20T{hour}:00:00Z"})
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        paths.append(str(tmp_path / f"{name}.jsonl.gz"))
    (tmp_path / "list.json").write_text(lines(listing(pod("a"))))
    paths.append(str(tmp_path / "list.json"))
    assert in_order(paths) == [paths[3], paths[0], paths[2], paths[1]]
    assert in_order([*paths, "-"])[-1] == "-"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_observations([str(tmp_path / "none")], None, EvidenceReport()))


def test_an_empty_file_says_nothing_and_is_whole(tmp_path: Path) -> None:
    found, report = read(b"", tmp_path)
    assert found == []
    assert report.whole()


def test_a_gap_has_both_its_ends(tmp_path: Path) -> None:
    gap = {"type": "GAP", "from": "2026-11-20T10:00:00Z", "to": "2026-11-20T10:05:00Z", "cluster": "east"}
    (one,), report = read(lines(gap), tmp_path)
    assert (one.verb, one.span, one.cluster) == ("GAP", (AT_US - 250_000, AT_US + 299_750_000), "east")
    assert report.observations == {"GAP": 1}


@pytest.mark.parametrize("odd", [{}, {"from": AT}, {"to": AT}, {"from": "yesterday", "to": AT}])
def test_a_gap_without_its_ends_is_not_passed_over_in_silence(odd: dict[str, Any], tmp_path: Path) -> None:
    found, report = read(lines({"type": "GAP"} | odd, event("a")), tmp_path)
    assert names(found) == ["a"]
    assert report.refused or not report.whole()


def test_a_bookmark_is_an_observation_without_a_pod(tmp_path: Path) -> None:
    mark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "9"}}, "received": AT}
    (one,), _ = read(lines(mark), tmp_path)
    assert (one.verb, one.received_us) == ("BOOKMARK", AT_US)


@pytest.mark.parametrize("odd", [
    {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}, "received": AT},
    {"type": "REMOVED", "object": pod("x")},
    {"type": "ADDED", "object": None},
    {"type": "ADDED"},
])  # fmt: skip
def test_an_event_that_is_no_observation_is_not_passed_over_in_silence(odd: dict[str, Any], tmp_path: Path) -> None:
    found, report = read(lines(event("a"), odd, event("b")), tmp_path)
    assert names(found) == ["a", "b"]
    assert report.refused or not report.whole()


def test_progress_counts_stored_bytes_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "evidence.gz"
    path.write_bytes(gzip.compress(lines(*(event(str(n)) for n in range(9000))).encode()))
    told: list[EvidenceProgress] = []
    list(read_observations([str(path)], None, EvidenceReport(), told.append))
    size = path.stat().st_size
    assert [one.total for one in told] == [size] * len(told)
    assert told[-1].consumed == size
    assert [one.consumed for one in told] == sorted(one.consumed for one in told)
    assert len(told) > 2


def test_annotations_outside_the_allow_list_are_forgotten(tmp_path: Path) -> None:
    """They may hold secrets."""
    made = pod("a")
    made["metadata"]["annotations"] = {"secret": "s3cret", "cni.projectcalico.org/podIP": "10.244.1.5/32"}
    found, _ = read(lines({"type": "ADDED", "object": made}) + lines(listing(made)) + lines(made), tmp_path)
    assert len(found) == 3
    for one in found:
        assert one.object.metadata is not None
        assert one.object.metadata.annotations == {"cni.projectcalico.org/podIP": "10.244.1.5/32"}

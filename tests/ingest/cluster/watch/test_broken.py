"""Evidence that is damaged, odd or hostile: what can be read is read, what cannot is named with its offset."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from support.cluster.written import AT, dump, event, lines, listing, names, offsets, pod, read

from ingest.cluster import EvidenceReport, read_observations
from whowas.history.queries import load_history, who

BROKEN = [
    "{",
    "}",
    "nonsense",
    '{"type": "ADDED", "object": ',
    '{"a": 1}}',
    "[1, 2]",
    "7",
    "null",
    '"text"',
    "\x00\x01",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_line_is_named_by_its_offset_and_the_rest_is_read(broken: str, tmp_path: Path) -> None:
    first = lines(event("a"), event("b"))
    found, report = read(first + broken + "\n" + lines(event("c"), event("d")), tmp_path)
    assert names(found) == ["a", "b", "c", "d"]
    assert offsets(report) == [len(first)]
    assert report.refused.total() == 1
    assert not report.whole()


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    first = lines(event("a")).encode()
    bad = lines(event("b")).encode().replace(b'"b"', b'"\xff\xfe"')
    found, report = read(first + bad + first, tmp_path)
    assert names(found) == ["a", "a"]
    assert offsets(report) == [len(first)]


def test_half_a_surrogate_is_refused_or_read_but_comes_to_no_harm_later(tmp_path: Path) -> None:
    """JSON can write it, UTF-8 cannot."""
    made = pod("a")
    made["metadata"]["labels"] = {"app": "\ud800"}
    found, report = read(lines(event("b")) + lines({"type": "ADDED", "object": made}) + lines(event("c")), tmp_path)
    assert [name for name in names(found) if name != "a"] == ["b", "c"]
    assert len(found) + len(offsets(report)) == 3
    for one in found:
        assert one.object.metadata is not None
        str(one.object.metadata.labels).encode()


@pytest.mark.parametrize("blank", ["\n", "  \n", "\r\n", "\t\n\n\n"])
def test_blank_lines_say_nothing(blank: str, tmp_path: Path) -> None:
    found, report = read(blank + lines(event("a")) + blank + dump(event("b")) + blank, tmp_path)
    assert names(found) == ["a", "b"]
    assert report.whole()


@pytest.mark.parametrize("write", [lines, dump])
def test_lines_that_end_as_windows_ends_them_are_lines(write: Any, tmp_path: Path) -> None:
    found, report = read(write(event("a"), event("b")).replace("\n", "\r\n"), tmp_path)
    assert names(found) == ["a", "b"]
    assert report.whole()


def test_a_byte_order_mark_costs_nothing(tmp_path: Path) -> None:
    """Tools on Windows write one in front."""
    found, _ = read(b"\xef\xbb\xbf" + lines(event("a"), event("b")).encode(), tmp_path)
    assert names(found) == ["a", "b"]


@pytest.mark.parametrize("write", [lines, dump])
def test_a_cut_last_value_is_named_and_the_others_are_read(write: Any, tmp_path: Path) -> None:
    first, last = write(event("a"), event("b")), write(event("c"))
    for cut in (1, 2, len(last) // 2, len(last) - 2):
        found, report = read(first + last[:cut], tmp_path)
        assert names(found) == ["a", "b"], cut
        assert offsets(report) == [len(first)], cut


def test_a_last_line_without_its_end_is_read(tmp_path: Path) -> None:
    found, report = read(lines(event("a"), event("b")).removesuffix("\n"), tmp_path)
    assert names(found) == ["a", "b"]
    assert report.whole()


def test_a_dump_cut_in_the_middle_and_begun_again_loses_one_value(tmp_path: Path) -> None:
    """A watch that was killed and started again into the same file."""
    cut = dump(event("b"))
    data = dump(event("a")) + cut[: len(cut) // 2].rsplit("\n", 1)[0] + "\n" + dump(event("c"), event("d"))
    found, report = read(data, tmp_path)
    assert names(found) == ["a", "c", "d"]
    assert offsets(report) == [len(dump(event("a")))]


def test_a_dump_cut_in_the_middle_of_a_line_loses_no_value_behind_it(tmp_path: Path) -> None:
    cut = dump(event("b"))
    data = dump(event("a")) + cut[: len(cut) // 2] + dump(event("c"), event("d"))
    found, report = read(data, tmp_path)
    assert not report.whole()
    assert names(found)[0] == "a"
    assert names(found)[-1] == "d"


@pytest.mark.parametrize(("path", "odd"), [
    (("spec", "containers"), "none"),
    (("spec", "hostNetwork"), "yes"),
    (("spec", "containers"), [{"image": 7}]),
    (("status", "conditions"), [{"type": "Ready", "status": True}]),
    (("status", "conditions"), {}),
    (("status", "containerStatuses"), [{"state": {"running": {"startedAt": 12}}}]),
    (("status", "podIPs"), ["10.0.0.1"]),
    (("metadata", "labels"), {"app": 1}),
    (("metadata", "annotations"), []),
    (("metadata", "ownerReferences"), "web"),
    (("metadata", "resourceVersion"), 12),
    (("metadata", "deletionGracePeriodSeconds"), "30"),
])  # fmt: skip
@pytest.mark.parametrize("form", ["event", "list", "bare"])
def test_a_field_of_an_odd_type_costs_that_field_only(
    form: str, path: tuple[str, str], odd: Any, tmp_path: Path
) -> None:
    made = pod("a")
    made[path[0]][path[1]] = odd
    found, report = read(
        lines({"event": {"type": "ADDED", "object": made}, "list": listing(made)}.get(form, made)), tmp_path
    )
    assert names(found) == ["a"]
    assert found[0].object.status is not None
    assert found[0].object.status.podIP == "10.244.1.5"
    assert report.whole()
    assert report.refused["odd_field"] == 1


@pytest.mark.parametrize("part", ["spec", "status"])
def test_null_is_what_go_writes_for_nothing(part: str, tmp_path: Path) -> None:
    made = pod("a")
    for name in ("containers", "conditions", "containerStatuses", "podIPs", "ports", "externalIPs"):
        made[part][name] = None
    made["metadata"] |= {"labels": None, "annotations": None, "ownerReferences": None}
    found, report = read(lines({"type": "ADDED", "object": made}, listing(made), made), tmp_path)
    assert names(found) == ["a", "a", "a"]
    assert not report.refused


@pytest.mark.parametrize("form", ["event", "list"])
@pytest.mark.parametrize("name", ["name", "namespace"])
def test_null_where_a_text_is_due_costs_that_field_only(name: str, form: str, tmp_path: Path) -> None:
    odd = pod("odd")
    odd["metadata"][name] = None
    found, _ = read(lines({"type": "ADDED", "object": odd} if form == "event" else listing(odd, pod("a"))), tmp_path)
    metas = [one.object.metadata for one in found if one.object.metadata]
    assert [meta.uid for meta in metas] == ["uid-odd", "uid-a"][: 1 if form == "event" else 2]
    assert form == "event" or (metas[1].namespace, metas[1].name) == ("shop", "a")


def test_a_whole_part_of_an_odd_type_costs_that_part_only(tmp_path: Path) -> None:
    for part in ("spec", "status"):
        found, report = read(lines({"type": "ADDED", "object": pod("a") | {part: 7}}), tmp_path)
        assert names(found) == ["a"]
        assert report.refused["odd_field"] == 1


def test_one_odd_item_of_a_list_costs_no_other_item(tmp_path: Path) -> None:
    odd = pod("odd")
    odd["status"]["podIP"] = 5
    found, report = read(lines(listing(pod("a"), odd, pod("b"))), tmp_path)
    assert names(found) == ["a", "odd", "b"]
    kept = [one.object.status.podIP for one in found if one.object.status]
    assert kept == ["10.244.1.5", None, "10.244.1.5"]
    assert report.refused["odd_field"] == 1


@pytest.mark.parametrize("odd", [None, 7, "text", []])
def test_an_item_that_is_no_object_costs_no_other_item(odd: Any, tmp_path: Path) -> None:
    found, report = read(lines(listing(pod("a"), odd, pod("b"))), tmp_path)
    assert names(found) == ["a", "b"]
    assert report.refused


def test_twenty_five_odd_items_cost_no_item(tmp_path: Path) -> None:
    """A field that one version of a server writes oddly is odd in every object of a list."""
    items = [pod(str(n)) for n in range(25)]
    for one in items:
        one["spec"]["hostNetwork"] = "no"
    found, report = read(lines(listing(*items)), tmp_path)
    assert len(found) == 25
    assert report.refused["odd_field"] >= 1


VERSIONS = ["", "abc", "12.5", "-3", "²", "٣", "9" * 5000, "1e5", " 7 ", "0x10"]


@pytest.mark.parametrize("kind", ["Pod", "Service", "Node"])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda text: ascii(text)[:12])
def test_a_version_that_is_no_number_stops_nothing(version: str, kind: str, tmp_path: Path) -> None:
    odd, good = pod("odd", kind=kind), pod("good")
    odd["metadata"]["resourceVersion"] = version
    good["status"] |= {"podIP": "10.244.1.6", "phase": "Succeeded"}
    ran = {"startedAt": AT, "finishedAt": "2026-11-20T11:00:00Z"}
    good["status"]["containerStatuses"] = [{"state": {"terminated": ran}}]
    path = tmp_path / "evidence"
    path.write_text(lines({"type": "ADDED", "object": odd}, {"type": "ADDED", "object": good}))
    answer = who("10.244.1.6", "2026-11-20T10:30:00Z", history=load_history(path))
    assert (answer.confidence, answer.holder.name) == ("exact", "good")


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000, '{"object":' * 100_000, '{"items":[' * 100_000])
def test_deep_nesting_is_refused_and_the_rest_is_read(deep: str, tmp_path: Path) -> None:
    found, report = read(lines(event("a")) + deep + "\n" + lines(event("b")), tmp_path)
    assert names(found) == ["a", "b"]
    assert offsets(report) == [len(lines(event("a")))]
    assert len(report.files[0].unreadable[0].reason) <= 300


def test_deep_nesting_in_a_field_nobody_reads_does_no_harm(tmp_path: Path) -> None:
    line = lines(event("deep", extra="HERE")).replace('"HERE"', "[" * 100_000 + "]" * 100_000)
    found, report = read(lines(event("a")) + line + lines(event("b")), tmp_path)
    assert [name for name in names(found) if name != "deep"] == ["a", "b"]
    assert len(found) + len(offsets(report)) == 3


def test_an_enormous_string_is_one_value_and_the_rest_is_read(tmp_path: Path) -> None:
    huge = pod("huge")
    huge["metadata"]["annotations"] = {"x": "y" * 30_000_000}
    huge["metadata"]["labels"] = {"app": "z" * 1_000_000}
    found, report = read(lines(event("a"), {"type": "ADDED", "object": huge}, event("b")), tmp_path)
    assert names(found) == ["a", "huge", "b"]
    assert report.whole()
    assert found[1].object.metadata is not None
    assert found[1].object.metadata.annotations is None


def test_a_very_long_line_costs_a_few_times_its_length(tmp_path: Path) -> None:
    """Garbage without a line end: it is gathered, refused and forgotten."""
    path, size = tmp_path / "evidence", 64 << 20
    path.write_bytes(b"x" * size + b"\n" + lines(event("a")).encode())
    report = EvidenceReport()
    tracemalloc.start()
    found = list(read_observations([str(path)], None, report))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert names(found) == ["START", "a"]
    assert offsets(report) == [0]
    assert peak < 6 * size


def test_a_long_file_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "evidence"
    one = lines(event("a", padding="x" * 10_000)).encode()
    path.write_bytes(one * 6000)
    tracemalloc.start()
    count = sum(1 for _ in read_observations([str(path)], None, EvidenceReport()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1 + 6000
    assert peak < len(one) * 6000 / 4


def test_a_file_of_garbage_is_counted_whole_and_listed_in_part(tmp_path: Path) -> None:
    """The list of places is bounded, the count is not."""
    found, report = read("garbage\n" * 5000 + lines(event("a")), tmp_path)
    assert names(found) == ["a"]
    assert report.refused["broken_json"] == 5000
    assert 0 < len(offsets(report)) <= 5000
    assert offsets(report)[:3] == [0, 8, 16]


def test_keys_given_twice_are_no_error(tmp_path: Path) -> None:
    line = '{"type": "ADDED", "type": "DELETED", "object": ' + json.dumps(pod("a")) + "}\n"
    (one,), _ = read(line, tmp_path)
    assert one.verb in ("ADDED", "DELETED")

"""Evidence and audit logs in every wrapping: the same observations, and nothing lost where a line is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import wrapped
from support.cluster.audit_lines import KUBELET, create, delete, done, running, text
from support.cluster.audit_reading import IP, shown
from support.cluster.mutations import load, read
from support.cluster.written import AT, dump, event, lines, listing, names, pod

from ingest.cluster import in_order
from whowas.cli import group
from whowas.errors import InputError

EVENTS = [create("a", 0), running("a", 5, IP), done("a", 50, began=4), delete("a", 60, 0, user=KUBELET)]
AUDIT = text(*EVENTS).splitlines()
WATCH = lines(*(event(f"good-{n}", received=AT) for n in range(3))).splitlines()
PRETTY = dump(event("good-0"), event("good-1")).splitlines()
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("form", wrapped.OBJECTS)
def test_audit_logs_in_every_wrapping(form: str) -> None:
    plain = shown(read("\n".join(AUDIT).encode())[0])
    found, report = read(wrapped.OBJECTS[form](AUDIT).encode())
    assert shown(found) == plain
    assert report.whole()


@pytest.mark.parametrize("form", wrapped.OBJECTS)
def test_watches_in_every_wrapping(form: str) -> None:
    found, report = read(wrapped.OBJECTS[form](WATCH).encode())
    assert names(found) == ["good-0", "good-1", "good-2"]
    assert report.whole()
    assert all(one.received_us for one in found), "the time of the wrapping is not that of the receipt"


@pytest.mark.parametrize("form", wrapped.OBJECTS)
def test_lists_in_every_wrapping(form: str) -> None:
    found, report = read(wrapped.OBJECTS[form]([json.dumps(listing(pod("a"), pod("b")))]).encode())
    assert names(found) == ["a", "b"]
    assert report.whole()
    assert not report.refused


@pytest.mark.parametrize("form", wrapped.BY_LINE)
def test_dumps_that_span_lines_in_what_wraps_each_line(form: str) -> None:
    found, report = read(wrapped.BY_LINE[form](PRETTY).encode())
    assert names(found) == ["good-0", "good-1"]
    assert report.whole()


@pytest.mark.parametrize("form", wrapped.BY_LINE)
def test_a_broken_line_between_is_told_with_its_place(form: str) -> None:
    first, last = (wrapped.BY_LINE[form](part) for part in (WATCH[:2], WATCH[2:]))
    found, report = read((first + wrapped.BY_LINE[form](['{"type":"ADDED","object":']) + last).encode())
    assert names(found) == ["good-0", "good-1", "good-2"]
    assert [bad.offset for bad in report.files[0].unreadable] == [len(first)]
    assert report.refused == {"broken_json": 1}


def test_lines_that_the_runtime_cut_are_joined() -> None:
    found, report = read("".join(map(wrapped.cut, WATCH)).encode())
    assert names(found) == ["good-0", "good-1", "good-2"]
    assert report.whole()
    long = event("good-0") | {"padding": "x" * 40_000}
    whole = json.dumps(long)
    parts = [whole[:16_384], whole[16_384:32_768], whole[32_768:] + "\n"]
    docker = "".join(json.dumps({"log": one, "stream": "stdout", "time": wrapped.STAMP}) + "\n" for one in parts)
    assert names(read(docker.encode())[0]) == ["good-0"]


def test_what_a_program_says_besides_is_counted_and_no_fault() -> None:
    texts = ["I1120 09:05:00.1 1 main.go:7] starting", *WATCH, "bye"]
    found, report = read(wrapped.BY_LINE["cri"](texts).encode())
    assert len(found) == 3
    assert report.whole()
    assert report.refused == {"other_message": 2}


def test_a_wrapped_log_without_evidence_is_told() -> None:
    found, report = read(wrapped.BY_LINE["docker"](["hello", "world"]).encode())
    assert not found
    assert "2 wrapped lines" in report.files[0].unreadable[0].reason


def test_what_is_wrapped_too_often_is_refused() -> None:
    line = WATCH[0]
    for _ in range(8):
        line = json.dumps({"@timestamp": AT, "message": line})
    found, report = read(f"{line}\n".encode())
    assert not found
    assert not report.whole()


def test_an_event_of_the_cluster_is_itself_whatever_its_message_says() -> None:
    evil = {"type": "ADDED", "object": pod("good-0"), "message": json.dumps(event("evil"))}
    assert names(read(lines(evil).encode())[0]) == ["good-0"]
    known = pod("good-1") | {"message": json.dumps(event("evil")), "@timestamp": AT}
    assert names(read(lines(event("good-0"), known).encode())[0]) == ["good-0", "good-1"]


def test_wrapped_files_come_in_the_order_of_their_receipts(tmp_path: Path) -> None:
    for name, at in (("b", "2026-11-20T10:00:00Z"), ("a", "2026-11-20T11:00:00Z")):
        line = lines(event("x", received=at)).strip()
        (tmp_path / name).write_text(wrapped.BY_LINE["docker"]([line]))
    assert in_order([str(tmp_path / "a"), str(tmp_path / "b")]) == [str(tmp_path / "b"), str(tmp_path / "a")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_with_its_mark(encoding: str) -> None:
    data = "\ufeff".encode(encoding) + dump(listing(pod("a"))).replace("\n", "\r\n").encode(encoding)
    found, report = read(data)
    assert names(found) == ["a"]
    assert report.whole()
    _, report = read(data + b"\n")
    assert "UTF-16" in report.files[0].unreadable[0].reason


YAML = """apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: web-0}
kind: PodList
"""


@pytest.mark.parametrize("data", [YAML, f"---\n{YAML}", "# kept\n- apiVersion: v1\n", "kind: Pod\r\n"])
def test_yaml_is_refused_in_one_line_that_says_so(data: str, tmp_path: Path) -> None:
    found, report = read(data.encode())
    assert not found
    (bad,) = report.files[0].unreadable
    assert "YAML" in bad.reason
    path = tmp_path / "pods.yaml"
    path.write_text(data)
    done = CliRunner().invoke(group, ["who", IP, "--at", AT, "--history", str(path)])
    assert isinstance(done.exception, InputError)
    assert str(done.exception).startswith(f"cannot read '{path}': it is YAML; ")
    assert "-o json" in str(done.exception)


@given(st.data())
@RELAXED
def test_bytes_changed_cost_the_line_that_was_hit(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(wrapped.BY_LINE)))
    parts = [f"{one}\n".encode() for one in wrapped.BY_LINE[form](WATCH).splitlines()]
    row = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(parts[row]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != 10))
    parts[row] = parts[row][:at] + bytes([byte]) + parts[row][at + 1 :]
    # What a first byte says of compression is another matter.
    if parts[0][0] in b"\x1f\x28\x04\xfd\xff\xfe":
        return
    found, report = read(b"".join(parts))
    assert {f"good-{n}" for n in range(3)} - {f"good-{row}"} <= set(names(found))
    assert len(found) + sum(report.refused.values()) >= 3
    load(b"".join(parts))


@given(st.sampled_from(sorted(wrapped.FORMS)), st.lists(st.text(max_size=30), max_size=4))
@RELAXED
def test_any_text_in_any_wrapping_stops_nothing(form: str, texts: list[str]) -> None:
    one_line = [one.replace("\n", " ").replace("\r", " ") for one in texts]
    load(wrapped.FORMS[form](one_line).encode("utf-8", "replace"))

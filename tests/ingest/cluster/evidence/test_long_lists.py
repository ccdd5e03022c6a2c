"""Lists that are one JSON value are read item by item: the answers are those of the whole value, the memory is not."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from support.fuzz_seeds import AUDIT, POD, PROMETHEUS

from ingest.cluster.evidence import list_value, reader
from ingest.cluster.evidence.lines import EvidenceReport
from whowas.observation import Observation


def pod(number: int, **more: Any) -> dict[str, Any]:
    meta = {
        "name": f"web-{number}", "namespace": "shop", "uid": f"u{number}", "resourceVersion": str(number),
        "creationTimestamp": f"2026-01-01T00:00:{number % 60:02}Z", "labels": {"app": 'w"e}b]'},
        "annotations": {"note": '{"items":[1,2,{"a":"\\\\"}]}\n'},
    }  # fmt: skip
    status = {"phase": "Running", "podIP": f"10.0.{number >> 8 & 255}.{number & 255}"}
    return {"metadata": meta, "spec": {"nodeName": "n1"}, "status": status, **more}


PODS = [pod(number) for number in range(300)]
EVENT = json.loads(AUDIT)
EVENTS = [
    EVENT | {"auditID": str(number), "stageTimestamp": f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z"}
    for number in range(120)
]
ANSWER = json.loads(PROMETHEUS)
SERIES = [
    {**ANSWER["data"]["result"][0], "metric": {**ANSWER["data"]["result"][0]["metric"], "uid": f"u{number}"}}
    for number in range(90)
]
LOKI = [{"stream": {"a": "b"}, "values": [["1", AUDIT.decode()], ["2", POD.decode()]]} for _ in range(3)]
VALUES: dict[str, Any] = {
    "kubectl": {"apiVersion": "v1", "items": [{"kind": "Pod", **one} for one in PODS], "kind": "List", "metadata": {}},
    "apiserver": {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": PODS},
    "kind behind": {"items": PODS, "kind": "PodList", "apiVersion": "v1"},
    "received": {"items": PODS, "kind": "PodList", "received": "2026-02-01T00:00:00Z", "cluster": "c"},
    "nothing": {"kind": "PodList", "apiVersion": "v1", "items": []},
    "odd": {"kind": "PodList", "items": [pod(1, status=5), 7, None, [1], "x", pod(2, spec={"nodeName": [1]})]},
    "an event": {"type": "ADDED", "items": [pod(1)]},
    "of no kind": {"items": [{"a": 1}, {}]},
    "audit": {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": EVENTS},
    "no audit": {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": []},
    "prometheus": {"status": "success", "data": {"resultType": "matrix", "result": SERIES}},
    "no series": {"status": "success", "data": {"resultType": "matrix", "result": []}},
    "type behind": {"data": {"result": SERIES, "resultType": "matrix"}, "status": "success"},
    "a vector": {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}},
    "loki": {"status": "success", "data": {"resultType": "streams", "result": LOKI}},
    "else": {"data": {"result": [{"a": 1}]}},
}


def read(path: Path, taken: int | None = None) -> tuple[list[Observation], EvidenceReport]:
    report = EvidenceReport()
    when = {str(path): taken} if taken is not None else None
    return list(reader.read_observations([str(path)], None, report, taken=when)), report


def spelled(value: Any, how: int) -> bytes:
    text = json.dumps(value, indent=(None, 4, None)[how], separators=(",", ":") if how == 2 else None)
    return text.encode() + b"\n" * (how == 1)


@pytest.mark.parametrize("how", range(3))
@pytest.mark.parametrize("name", VALUES)
def test_answers_are_those_of_the_value_as_a_whole(
    name: str, how: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(spelled(VALUES[name], how))
    for taken in (None, 1_767_225_600_000_000):
        found, report = read(path, taken)
        with monkeypatch.context() as whole:
            whole.setattr(reader, "begun", lambda _: None)
            wanted, wanted_report = read(path, taken)
        assert found == wanted
        assert (report.to_json(), report.files[0].records) == (wanted_report.to_json(), wanted_report.files[0].records)


def test_values_behind_a_list_are_read_and_lists_behind_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_value, "CHUNK", 1000)
    path = tmp_path / "several.json"
    parts = [spelled(VALUES["kubectl"], 1), spelled(VALUES["apiserver"], 2) + b"\n", b"\xef\xbb\xbf"[:0] + POD, b"\n"]
    path.write_bytes(b"\xef\xbb\xbf\n" + b"".join(parts))
    found, report = read(path)
    assert report.whole()
    verbs = [one.verb for one in found if one.verb != "START"]
    assert verbs == ["LISTED"] * 600 + ["ADDED"]
    sources = {one.source.rpartition("@")[2] for one in found if one.verb == "LISTED"}
    assert sources == {"4", str(4 + len(parts[0]))}


def test_progress_is_told_within_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_value, "CHUNK", 2_000)
    path = tmp_path / "list.json"
    path.write_bytes(spelled(VALUES["apiserver"], 2))
    told: list[int] = []
    list(reader.read_observations([str(path)], None, EvidenceReport(), lambda one: told.append(one.consumed)))
    assert len(set(told)) > 5
    assert told == sorted(told)


def test_a_cut_list_keeps_its_whole_items_and_says_where(tmp_path: Path) -> None:
    data = spelled(VALUES["apiserver"], 1)
    path = tmp_path / "cut.json"
    chance = random.Random(3)
    for cut in (*(chance.randrange(200, len(data) - 5) for _ in range(20)), len(data) - 2, len(data) - 6):
        path.write_bytes(data[:cut])
        found, report = read(path)
        names = [one.object.metadata.name for one in found if one.verb == "LISTED" and one.object.metadata]
        assert names == [f"web-{number}" for number in range(len(names))]
        assert len(names) == data[:cut].count(b"\n        }")
        assert {one.object.kind for one in found if one.verb == "LISTED"} <= {"Pod"}
        assert "was cut off" in report.files[0].unreadable[0].reason, cut
    path.write_bytes(gzip.compress(data, 1)[:-20])
    _, report = read(path)
    assert [one.reason.partition(":")[0] for one in report.files[0].unreadable] == [
        "the list was cut off", "the gzip stream is cut short"
    ]  # fmt: skip


def test_a_list_that_does_not_end_costs_nothing_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "lines.json"
    whole = spelled(VALUES["apiserver"], 2)
    for cut in (len(whole) // 2, len(whole) - 1, 150):
        path.write_bytes(whole[:cut] + b"\n" + POD + b"\n" + whole + b"\n")
        found, report = read(path)
        assert [one.verb for one in found].count("ADDED") == 1
        assert [one.verb for one in found].count("LISTED") >= 300
        assert not report.whole()


def test_a_broken_item_costs_itself_and_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    for name, verb in (("apiserver", "LISTED"), ("audit", "")):
        good = [json.dumps(one).encode() for one in (PODS if name == "apiserver" else EVENTS)]
        head = spelled(VALUES[name] | {"items": []}, 2).removesuffix(b"]}")
        path.write_bytes(head + b",".join([good[0], b'{"metadata":{,}}', *good[1:4]]) + b"]}")
        found, report = read(path)
        (bad,) = [one for one in report.files[0].unreadable if "could be read" in one.reason]
        assert bad.offset == len(head) + len(good[0]) + 1
        assert report.refused["broken_json"] == 1
        assert not verb or sum(one.verb == verb for one in found) == 4


def test_what_does_not_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_value, "CHUNK", 4096)
    monkeypatch.setattr(list_value, "ITEM_MOST", 10_000)
    monkeypatch.setattr(list_value, "TAIL_MOST", 10_000)
    path = tmp_path / "endless.json"
    for data, why in (
        (b'{"items":[{},{"a":"' + b"x" * 90_000, "an item that does not end"),
        (b'{"items":[{}],"a":"' + b"x" * 90_000, "does not end, or is too long"),
        (b'{"items":[{}],"a":[' + b"1," * 45_000, "does not end, or is too long"),
        (b'{"items":[{}]' + b',"a":1' * 15_000, "too long"),
    ):
        path.write_bytes(data)
        _, report = read(path)
        assert why in report.files[0].unreadable[0].reason


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    """12 MB are read in a few: the second half of a list costs nothing that its first half did not."""
    peaks = []
    for count in (10_000, 40_000):
        path = tmp_path / f"{count}.json"
        with path.open("w") as out:
            out.write('{"kind":"PodList","items":[')
            out.writelines(json.dumps(pod(number)) + "," * (number < count - 1) for number in range(count))
            out.write("]}")
        tracemalloc.start()
        assert sum(1 for _ in reader.read_observations([str(path)], None, EvidenceReport())) == count + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 24 << 20

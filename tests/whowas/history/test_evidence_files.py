"""Lists that are told when they were taken: what that proves, and what it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cluster_story import HOUR, Pod, Story, receipt, stamp, us

import whowas
from ingest.cluster import EvidenceReport
from whowas.errors import ConfigError, InputError
from whowas.history.evidence_files import find_evidence
from whowas.history.import_export import import_files

IP = "10.244.1.5"


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A list as `kubectl get -o json` prints it, of a pod that runs for an hour."""
    pod = Pod("web-1", (IP,), created=-HOUR, sandbox=(True, -HOUR + 1), started=-HOUR + 2)
    path = tmp_path / "now.json"
    path.write_text(Story().listing(None, pod).told[0])
    return path


def said(path: str | Path, seconds: float) -> str:
    return str(whowas.who(IP, us(seconds), history=str(path)).confidence)


def test_a_list_without_a_time_proves_nothing_of_now(taken: Path) -> None:
    assert said(taken, -60) != "exact"
    assert [said(f"{taken}@{stamp(0)}", when) for when in (-60, -20)] == ["exact", "likely"]
    assert said(f"{taken}@{receipt(0)}", 60) == "unknown"


def test_a_whole_second_is_said_of_all_that_was_until_it_was_over(taken: Path) -> None:
    (at,) = find_evidence(f"{taken}@{stamp(10)}").taken.values()
    assert at == us(11) - 1
    (at,) = find_evidence(f"{taken}@{us(10.5)}").taken.values()
    assert at == us(10.5)


def test_a_pod_that_came_while_the_list_was_taken_is_not_certain_before(tmp_path: Path) -> None:
    """The list shows what began 0.9 s behind the second that is said."""
    pod = Pod("web-1", (IP,), created=10)
    path = tmp_path / "now.json"
    path.write_text(Story().listing(None, pod).told[0])
    assert said(f"{path}@{stamp(10)}", 10.5) != "exact"


def test_files_are_found_as_they_are_named(taken: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a@2026-11-20T10:15:02Z"
    odd.write_text("{}")
    assert find_evidence(str(odd)) == ([str(odd)], {})
    other = tmp_path / "me@example.org.json"
    other.write_text("{}")
    assert find_evidence(str(other)) == ([str(other)], {})
    assert find_evidence([f"{tmp_path}/n*.json@{stamp(0)}"]).taken == {str(taken): us(1) - 1}
    with pytest.raises(InputError, match="no such file"):
        find_evidence(str(tmp_path / "none@nowhere"))


@pytest.mark.parametrize("time", ["2026-11-20T10:15:02", "2026-13-20T10:15:02Z", "12", "1e99"])
def test_a_time_that_is_none_is_refused(taken: Path, time: str) -> None:
    with pytest.raises(ConfigError, match="when it was taken"):
        find_evidence(f"{taken}@{time}")


def test_a_time_for_what_is_no_list_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(Story().tell(0, "ADDED", Pod("web-1", (IP,))).lines()))
    report = EvidenceReport()
    whowas.load_history(f"{path}@{stamp(0)}", report=report)
    assert not report.whole()
    assert "no list" in report.files[0].unreadable[0].reason


def test_the_same_list_of_two_times_is_imported_twice(taken: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "cluster.whowas")
    for when, events in ((0, 1), (0, None), (600, 1)):
        (one,) = import_files(store, [f"{taken}@{stamp(when)}"])
        assert (one.events is None) == (events is None)
    assert said(store, 300) == said(f"{taken}@{stamp(600)}", 300)


def test_lists_are_read_in_the_order_in_which_they_were_taken(tmp_path: Path) -> None:
    paths: list[Any] = []
    for name, when, ip in (("b", 0, IP), ("a", 600, "10.244.1.6")):
        pod = Pod("web-1", (ip,), uid=f"uid-{name}", created=when - 60, sandbox=(True, when - 60), started=when - 59)
        path = tmp_path / f"{name}.json"
        path.write_text(Story().listing(None, pod).told[0])
        paths.append(f"{path}@{receipt(when)}")
    assert [json.loads(Path(one).read_text())["kind"] for one in find_evidence(paths).paths] == ["List", "List"]
    assert [Path(one).name for one in find_evidence(paths).paths] == ["b.json", "a.json"]

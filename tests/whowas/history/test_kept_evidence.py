"""Large files of evidence are read once; what is kept answers, and reports, as reading does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.store.streams import simulated, view

from ingest.cluster import EvidenceReport
from whowas import kernels
from whowas.history import kept_evidence, queries
from whowas.history.queries import load_history

LINE = (
    '{"type":"ADDED","received":"2026-11-20T10:00:0%d.5Z","cluster":"one","object":{"kind":"Pod","metadata":{"name":'
    '"p%d","namespace":"s","uid":"u%d","creationTimestamp":"2026-11-20T10:00:00Z"},"spec":{"nodeName":"n"},"status":'
    '{"phase":"Running","podIP":"10.0.0.%d","podIPs":[{"ip":"10.0.0.%d"}]}}}\n'
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kernels.needs_compiling()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_evidence, "BYTES_LEAST", 100)
    monkeypatch.setattr(kept_evidence, "TICK_NS", 0)
    return tmp_path / "cache" / "whowas" / "histories"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Five pods, and a line that nobody can read."""
    path = tmp_path / "evidence.jsonl"
    path.write_text("".join(LINE % ((number,) * 5) for number in range(1, 6)) + "no evidence\n")
    return path


def read(monkeypatch: pytest.MonkeyPatch, *paths: Path, **more: Any) -> tuple[Any, EvidenceReport, int]:
    """Load; return what is known, the report, and how many lines were read for it."""
    lines = [0]

    def counted(observations: Any) -> Any:
        for one in observations:
            lines[0] += 1
            yield one

    from enrich.history import history

    derive = history.derive
    report = EvidenceReport()
    with monkeypatch.context() as patch:
        patch.setattr(history, "derive", lambda observations: derive(counted(observations)))
        known = load_history(list(map(str, paths)), report=report, **more)
    return view(known), report, lines[0]


def test_the_second_answer_and_its_report_are_those_of_the_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, told, lines = read(monkeypatch, file)
    again, also, none = read(monkeypatch, file)
    assert lines > 5
    assert none == 0
    assert again == first
    assert len(first["one"][0]) == 5
    assert also == told
    assert not also.whole()
    assert type(also.observations) is type(told.observations)


def test_whatever_changes_is_read_again(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, file)
    facts = file.stat()
    changed = file.read_text().replace("10.0.0.3", "10.0.0.9")
    file.write_text(changed)
    # Whoever sets the time back cannot set back when that was.
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    told, _, lines = read(monkeypatch, file)
    assert lines
    assert any(hold[0].endswith("0a000009") for hold in told["one"][0])
    other = tmp_path / "other.jsonl"
    other.write_text(LINE % ((7,) * 5))
    assert read(monkeypatch, file, other)[2]
    assert read(monkeypatch, file, other)[2] == 0
    assert read(monkeypatch, file, cluster="two")[2]
    monkeypatch.setattr(kept_evidence, "_reading", lambda: b"newer")
    assert read(monkeypatch, file, cluster="two")[2]


def test_a_list_with_another_time_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "now.json"
    path.write_text('{"kind":"List","items":[' + LINE[LINE.index('{"kind":"Pod"') :].strip()[:-1] % ((1,) * 4) + "]}")
    early, late = f"{path}@2026-11-20T11:00:00Z", f"{path}@2026-11-20T12:00:00Z"
    assert read(monkeypatch, Path(early))[2]
    assert read(monkeypatch, Path(early))[2] == 0
    assert read(monkeypatch, Path(late))[2]


def test_what_is_small_or_written_just_now_is_not_kept(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_evidence, "TICK_NS", 60_000_000_000)
    read(monkeypatch, file)
    monkeypatch.setattr(kept_evidence, "TICK_NS", 0)
    monkeypatch.setattr(kept_evidence, "BYTES_LEAST", 1 << 20)
    read(monkeypatch, file)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_cluster_that_lives_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.cluster.evidence.slice import write_slice

    path = tmp_path / "slice.zst"
    with path.open("wb") as handle:
        write_slice(handle, {}, iter(simulated(3, "one")))
    first, told, lines = read(monkeypatch, path)
    again, also, none = read(monkeypatch, path)
    assert (again, also, none) == (first, told, 0)
    assert lines > 50


def test_nothing_is_kept_of_what_was_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text"
    path.write_text("no evidence at all\n" * 20)
    for _ in range(2):
        with pytest.raises(queries.InputError):
            load_history(str(path))

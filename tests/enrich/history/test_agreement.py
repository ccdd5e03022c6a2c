"""One history, however it is asked and in however many files it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cluster_story import Pod, Story, complete, flow, live, named, node, said, service

from enrich import History
from whowas.history.queries import load_history

IP, OTHER = "10.244.1.5", "10.244.1.77"
DAY = 86_400.0


def told() -> Story:
    """Something of everything: reuse, a forced delete, a conflict, a gap, a Service, a node."""
    story = Story().tell(-50, "ADDED", node("node-1", "192.168.1.10")).tell(-50, "ADDED", service("web", "10.96.0.1"))
    complete(story, live(story, "old", IP), finished=100, told=101)
    pod = live(story, "forced", IP, born=110)
    pod.deleted = (150, 0)
    story.tell(150, "MODIFIED", pod).tell(150.01, "DELETED", pod)
    live(story, "new", IP, born=160)
    complete(story, live(story, "odd", OTHER), finished=130, told=101)
    return story.gap(300, 400)


@pytest.mark.parametrize("ip", [IP, OTHER, "10.96.0.1", "8.8.8.8", "10.244.9.9"])
def test_a_question_and_a_batch_give_the_same_answer(ip: str) -> None:
    known = told().history()
    moments = [-100.0, *(tenth / 2 for tenth in range(-10, 420)), 350.0, 500.0, 990.0, 2000.0]
    rows = named(known, *(flow("10.244.1.250", ip, when) for when in moments))
    answers = said(known, ip, *moments)
    for when, row, answer in zip(moments, rows, answers, strict=True):
        names = row["dst_pod"] or row["dst_service"]
        names = names or "|".join(sorted(one["name"] for one in row["dst_candidates"] or ()))
        assert " ".join(filter(None, (row["dst_confidence"], names))) == answer, when


def split(story: Story, folder: Path, files: int) -> History:
    """The same lines, and the bookmarks a watch has every minute, in several files, one behind another."""
    for minute in range(17):
        story.bookmark(60.0 * minute)
    lines = sorted(story.lines(), key=lambda line: json.loads(line).get("received") or json.loads(line)["to"])
    size = -(-len(lines) // files)
    for number in range(files):
        text = "".join(f"{line}\n" for line in lines[number * size : (number + 1) * size])
        (folder / f"part-{number:02d}.jsonl").write_text(text)
    return load_history(folder)


@pytest.mark.parametrize("files", [1, 3, 7])
def test_rotated_files_are_one_history(files: int, tmp_path: Path) -> None:
    known, whole = split(told(), tmp_path, files), told().history()
    moments = [float(when) for when in range(-60, 500, 3)]
    for ip in (IP, OTHER, "10.96.0.1"):
        assert said(known, ip, *moments) == said(whole, ip, *moments)


def test_the_same_file_twice_changes_no_answer(tmp_path: Path) -> None:
    text = "".join(f"{line}\n" for line in told().lines())
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(text)
    known, whole = load_history(tmp_path), told().history()
    moments = [float(when) for when in range(-60, 500, 3)]
    for ip in (IP, OTHER, "10.96.0.1"):
        assert said(known, ip, *moments) == said(whole, ip, *moments)


def two_recordings(tmp_path: Path) -> History:
    """Recorded for a quarter of an hour on one day, and again two days later: nobody looked in between.

    `web` ran on the first day; on the third the recorder found only `other`.
    """
    first, second = Story(since=-60, until=900), Story(since=2 * DAY, until=2 * DAY + 900, version=9000)
    live(first, "web", IP)
    second.tell(2 * DAY + 1, "ADDED", Pod("other", ["10.244.1.8"], sandbox=(True, 1), started=2))
    for name, story in (("a.jsonl", first), ("b.jsonl", second)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in story.lines()))
    return load_history(tmp_path)


def test_between_two_recordings_nobody_was_looking(tmp_path: Path) -> None:
    known = two_recordings(tmp_path)
    assert said(known, IP, 100) == ["exact web"]
    assert said(known, OTHER, DAY) == ["unknown"]


def test_a_pod_gone_by_the_next_recording_is_not_exact_since(tmp_path: Path) -> None:
    known = two_recordings(tmp_path)
    assert "exact" not in " ".join(said(known, IP, DAY, 2 * DAY + 500))

"""Lines of a running command: news at once, the facts at each change of a stream, and once a minute."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from whowas.cli import live


class Counting:
    """A description of numbers: a change is said by lines of its own (apart), or by the facts."""

    rate_name = "things_per_second"
    unready_word = "not yet: "

    def __init__(self, apart: bool) -> None:
        self._apart, self._before = apart, -1

    def total(self, vitals: Any) -> int:
        return int(vitals.number)

    def facts(self, vitals: Any, rate: float) -> str:
        return f"{vitals.number} things"

    def news(self, vitals: Any) -> list[str] | None:
        if vitals.number == self._before:
            return None
        self._before = vitals.number
        return [f"now {vitals.number}"] if self._apart else []

    def unwell(self, vitals: Any) -> list[str]:
        return vitals.unready()  # type: ignore[no-any-return]


def vitals(number: int) -> Any:
    return SimpleNamespace(
        number=number, unready=lambda: ["empty"] if number == 0 else [], to_json=lambda: {"number": number}
    )


def shown(lines: live.Lines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """What each call says, of the same numbers at the same times, without the times."""
    said = []
    for at, number, last in [(100, 0, False), (101, 0, False), (102, 1, False), (170, 1, False), (171, 2, True)]:
        monkeypatch.setattr("whowas.cli.live.time.monotonic", lambda at=at: float(at))
        lines.show(vitals(number), last)
        out, err = capsys.readouterr()
        said.append([*out.splitlines(), *(line.split(" ", 1)[1] for line in err.splitlines())])
    return said


def test_news_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(live.Lines(Counting(True), False), monkeypatch, capsys) == [
        ["now 0", "0 things  not yet: empty"], [], ["now 1"], ["1 things"], []
    ]  # fmt: skip


def test_news_in_the_facts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(live.Lines(Counting(False), False), monkeypatch, capsys) == [
        ["0 things  not yet: empty"], [], ["1 things"], ["1 things"], []
    ]  # fmt: skip


@pytest.mark.parametrize("apart", [False, True])
def test_json(apart: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(live.Lines(Counting(apart), True), monkeypatch, capsys)
    found = [[json.loads(line) for line in lines] for lines in said]
    assert [[(one["line"], one["number"]) for one in lines] for lines in found] == [
        [("change", 0)], [], [("change", 1)], [("minute", 1)], [("end", 2)]
    ]  # fmt: skip
    assert found[3][0]["things_per_second"] == 0.0
    assert found[2][0]["things_per_second"] == 0.5

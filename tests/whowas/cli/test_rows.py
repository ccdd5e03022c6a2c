"""Rows on a terminal: nothing that it would obey, and nothing lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whowas.cli import rows
from whowas.safe_text import clean_json

HOSTILE = "a\x1b[31m\x7f\x9b\u202e\u2066\U000e0001ü\n"


@given(text=st.text())
@example(text=HOSTILE)
def test_json_for_a_terminal_means_the_same(text: str) -> None:
    shown = clean_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == {text: [text]}


@pytest.mark.parametrize("terminal", [True, False])
def test_on_a_terminal_csv_and_json_move_no_cursor(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    rows.print_csv([HOSTILE, "n"], [[HOSTILE, -1], ["=1", 2]])
    rows.print_json_lines([HOSTILE, HOSTILE], [[HOSTILE, None]])
    out = capsys.readouterr().out
    assert ("\x1b" in out) is not terminal
    assert all(line.isprintable() for line in out.split("\n")) is terminal
    assert '"\'=1"' in out


def test_names_are_once() -> None:
    assert rows.names_once(["a", "b", "a", "a_2", "a"]) == ["a", "b", "a_2", "a_2_2", "a_3"]

"""What `whowas init` writes is valid as it stands, says every setting there is, and overwrites nothing."""

from __future__ import annotations

import json
import os
import re
import tomllib
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from detect.judge.silences import Silences
from detect.site import DELIVERED, load_site
from enrich import load_networks
from whowas.cli import group
from whowas.config import load
from whowas.settings import StreamConfig
from whowas.templates import templates
from whowas.templates.settings_text import SAID, _table_of


def run(*words: str) -> Result:
    return CliRunner().invoke(group, list(words), catch_exceptions=False)


def uncommented(text: str) -> dict[str, Any]:
    """What stands in a file when the # of each setting is taken away."""
    return tomllib.loads(re.sub(r"(?m)^# ?(?!#)", "", text))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert run("init").exit_code == 0
    return tmp_path


def test_each_file_is_read_by_what_reads_it(place: Path) -> None:
    config = load("whowas.toml")
    assert config.input.topics == ("flows",)
    assert config.rules is not None
    assert config.rules.paths == ("pack", "rules")
    assert config.alerts is not None
    assert load_networks("networks.toml") == ()
    assert Silences.load("silences.toml").silences == ()
    assert load_site("site.toml").lists == load_site().lists


def test_the_rule_is_sound_and_right_on_its_own_cases(place: Path) -> None:
    checked = run("rules", "check", "rules", "--json", "--site", "site.toml")
    assert checked.exit_code == 0
    assert json.loads(checked.output) == {"rules": 1, "correlations": 0, "cases": 3, "refused": []}
    tested = run("rules", "test", "rules", "--json")
    assert json.loads(tested.output) == {"cases": 3, "wrong": [], "without_cases": []}


def test_every_setting_is_there_with_its_default(place: Path) -> None:
    """Without their # all settings are the settings, whichever are added later."""
    told = uncommented((place / "whowas.toml").read_text())

    def compared(kind: Any, table: dict[str, Any], name: str) -> int:
        hints = typing.get_type_hints(kind)
        own = [one for one in fields(kind) if not one.metadata.get("hidden")]
        assert [one.name for one in own if one.name not in table] == [], name
        assert set(table) <= {one.name for one in own}, name
        count = 0
        for one in own:
            inner, value = _table_of(hints[one.name]), table[one.name]
            if inner is not None:
                count += compared(inner, value, f"{name}.{one.name}".strip("."))
            elif isinstance(one.default, (str, int, float)) and one.name not in SAID.get(name, {}):
                assert value == one.default, (name, one.name)
                count += 1
        return count

    assert compared(StreamConfig, told, "") >= 15


def test_the_lists_are_those_delivered(place: Path) -> None:
    told = uncommented((place / "site.toml").read_text())
    assert told["lists"] == tomllib.loads(DELIVERED.read_text())["lists"]


def test_the_examples_are_valid_too(place: Path) -> None:
    for name in ("networks.toml", "silences.toml"):
        path = place / name
        path.write_text(re.sub(r"(?m)^# ?(?!#)", "", path.read_text()))
    assert {one.name for one in load_networks("networks.toml")} == {"office", "load balancers"}
    (silence,) = Silences.load("silences.toml").silences
    assert silence.rule == "database_from_untrusted"


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "place"
    mine.mkdir()
    (mine / "whowas.toml").write_text("mine")
    (tmp_path / "elsewhere").write_text("not ours")
    (mine / "site.toml").symlink_to(tmp_path / "elsewhere")
    (mine / "silences.toml").symlink_to(tmp_path / "nowhere")
    told = json.loads(run("init", str(mine), "--json").output)
    assert sorted(told["kept"]) == ["silences.toml", "site.toml", "whowas.toml"]
    assert sorted(told["written"]) == ["networks.toml", "rules/example.yml"]
    assert (mine / "whowas.toml").read_text() == "mine"
    assert (tmp_path / "elsewhere").read_text() == "not ours"
    assert not (tmp_path / "nowhere").exists()
    again = run("init", str(mine))
    assert again.exit_code == 0
    assert "wrote" not in again.output


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = CliRunner().invoke(group, ["init", str(tmp_path / "file" / "x")])
    assert found.exit_code != 0
    assert "cannot write" in str(found.exception)


def test_two_places_have_rules_of_their_own() -> None:
    first, second = templates()["rules/example.yml"], templates()["rules/example.yml"]
    assert first != second
    assert first.count("\n") == second.count("\n")
    assert os.linesep == "\n"

"""docs/how-to/rules.md: what it tells people to write is what the command line takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from whowas.cli import group

PAGE = Path(__file__).parents[3] / "docs/how-to/rules.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The folder that a reader of the page has in the end."""
    (rule,) = [one for one in BLOCKS if "detection:" in one]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/large-writes.yml").write_text(rule)
    return tmp_path / "mine"


def test_the_pages_rule_is_sound_and_holds_its_cases(mine: Path) -> None:
    for words in (["check", str(mine)], ["test", str(mine)], ["explain", "large-writes", "--rules", str(mine)]):
        told = CliRunner().invoke(group, ["rules", *words])
        assert told.exit_code == 0, told.output
    assert "1 test case" not in told.output


def test_the_pages_cases_of_several_flows_can_be_read(mine: Path) -> None:
    (cases,) = [one for one in BLOCKS if one.startswith("tests:")]
    rule = (mine / "large-writes.yml").read_text()
    whole = rule[: rule.index("  tests:")] + "".join(f"  {line}\n" for line in cases.splitlines())
    (mine / "large-writes.yml").write_text(whole)
    told = CliRunner().invoke(group, ["rules", "check", str(mine), "--json"])
    assert json.loads(told.output) == {"rules": 1, "correlations": 0, "cases": 2, "refused": []}


def test_the_pages_filter_is_sound_with_the_pack(mine: Path) -> None:
    (told_filter,) = [one for one in BLOCKS if "\nfilter:" in one]
    (mine / "allowed.yml").write_text(told_filter)
    assert "whowas rules check pack mine" in PAGE.read_text()
    told = CliRunner().invoke(group, ["rules", "check", "pack", str(mine)])
    assert told.exit_code == 0, told.output


def test_the_pages_words_of_whowas_are_all_there_are() -> None:
    from detect.sigma.metadata import OWN

    table = PAGE.read_text().split("| word | meaning |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == set(OWN)


def test_check_tells_all_files_at_once(mine: Path) -> None:
    rule = (mine / "large-writes.yml").read_text()
    (mine / "a.yml").write_text(
        rule.replace("dst_port: 5432\n    bytes", "dst_prt: 5432\n    byte").replace("1f5a", "2f5a")
    )
    (mine / "b.yml").write_text(rule.replace("level: medium", "level: loud").replace("1f5a", "3f5a"))
    told = CliRunner().invoke(group, ["rules", "check", str(mine), "--json"])
    assert told.exit_code == 1
    refused = json.loads(told.output)["refused"]
    assert [(Path(one["path"]).name, one["id"][:4]) for one in refused] == [("a.yml", "2f5a")] * 2 + [("b.yml", "3f5a")]
    assert all(one["line"] for one in refused)
    plain = CliRunner().invoke(group, ["rules", "check", str(mine)])
    assert plain.exit_code == 1
    assert len(plain.output.splitlines()) == 4
    assert "(rule 2f5a1dd0-" in plain.output


def test_a_wrong_command_is_no_refused_rule(mine: Path) -> None:
    told = CliRunner().invoke(group, ["rules", "check", str(mine), "--no-such"])
    assert told.exit_code == 2


def test_rules_of_other_logs_are_taken_if_asked(mine: Path) -> None:
    rule = (
        "title: RDP from outside\nid: 1fc0809e-06bf-4de3-ad52-25e5263b7623\nlevel: high\n"
        "logsource: {product: zeek, service: rdp}\n"
        "detection:\n  s: {id.orig_h|cidr: 10.0.0.0/8}\n  condition: not s\n"
    )
    (mine / "large-writes.yml").write_text(rule)
    assert CliRunner().invoke(group, ["rules", "check", str(mine), "--foreign"]).exit_code == 0
    assert CliRunner().invoke(group, ["rules", "check", str(mine)]).exit_code == 1

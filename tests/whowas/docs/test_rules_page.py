"""docs/how-to/rules.md as somebody reads it: its files are saved, its commands run, in order."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from whowas.cli import group

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def test_the_page_works_as_it_is_read(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").symlink_to(root / "samples")
    monkeypatch.chdir(tmp_path)
    blocks = FENCE.findall((root / "docs/how-to/rules.md").read_text())
    rule, _, narrowed = [text for kind, text in blocks if kind == "yaml"]
    site, silences = [text for kind, text in blocks if kind == "toml"]
    for name, text in (("mine/large-writes.yml", rule), ("filters/shell.yml", narrowed), ("site.toml", site),
                       ("silences.toml", silences)):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert tomllib.loads(silences)
    outputs = [run(line) for kind, text in blocks if kind in ("console", "") for line in lines(text)]
    assert len(outputs) >= 9
    assert "database_from_untrusted" in outputs[2]
    assert "4 cases of 1 rule: all pass" in outputs[4]
    allowed = run("whowas backtest --flows named --rules pack --rules filters --silences silences.toml --show 0")
    assert "database_from_untrusted" not in allowed


def lines(text: str) -> list[str]:
    """The commands of a block, continued lines joined."""
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.startswith("whowas ")]


def run(line: str) -> str:
    inner = re.search(r'"\$\((whowas [^)]*)\)"', line)
    if inner:
        words = shlex.split(line.replace(inner[0], "SQL"))
        words[words.index("SQL")] = run(inner[1])
    else:
        words = shlex.split(line)
    done = CliRunner().invoke(group, words[1:])
    assert done.exit_code == 0, f"{line}\n{done.output}{done.exception!r}"
    return done.stdout

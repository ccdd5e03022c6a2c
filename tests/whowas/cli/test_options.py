"""What options have in common: the history of the environment, and numbers that are said back."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.cluster_story import Story, live

from whowas.cli import COMMANDS, group
from whowas.cli.options import HISTORY

IP = "10.244.1.5"
WITH_HISTORY = ("replay", "who", "annotate", "query", "backtest", "watch", "stream", "serve", "report", "doctor")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_history_is_taken_from_the_environment_wherever_it_is_an_option(name: str) -> None:
    command: click.Command = importlib.import_module(COMMANDS[name][0]).command
    found = [one for one in command.params if "--history" in one.opts]
    assert all(one.envvar == HISTORY for one in found)
    assert bool(found) == (name in WITH_HISTORY)


def test_several_histories_stand_between_separators(tmp_path: Path) -> None:
    paths = []
    for number in (1, 2):
        story = Story()
        live(story, f"web-{number}", f"10.244.1.{number}")
        path = tmp_path / f"part {number}.jsonl"
        path.write_text("\n".join(story.lines()))
        paths.append(str(path))
    done = CliRunner().invoke(group, ["who", "10.244.1.1", "10.244.1.2"], env={HISTORY: os.pathsep.join(paths)})
    assert done.exit_code == 0, done.output
    assert "web-1" in done.stdout
    assert "web-2" in done.stdout


def test_every_option_that_takes_a_time_says_a_number_back(tmp_path: Path, root: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f"ip\n{IP}\n")
    story = Story()
    live(story, "web-1", IP)
    history, store = tmp_path / "history.jsonl", str(tmp_path / "cluster.whowas")
    history.write_text("\n".join(story.lines()))
    run = CliRunner().invoke
    assert run(group, ["history", "import", store, str(history)]).exit_code == 0
    for words in (
        ["annotate", str(log), "--at", "1763683260123", "-H", str(history), "--ip", "ip"],
        ["history", "export", store, str(tmp_path / "slice.jsonl.zst"), "--from", "1763683260123"],
        ["who", IP, "--at", "1763683260123", "-H", store],
    ):
        done = run(group, words)
        assert "1763683260123 read as milliseconds: 2025-11-21 00:01:00.123000 UTC" in done.stderr, words

"""`whowas serve`: it says its URL, serves, and ends at Ctrl-C; what it lacks it names."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.workbench import rows, write

from whowas.cli import group
from whowas.errors import MissingExtra


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(tmp_path: Path, told: signal.Signals) -> None:
    pytest.importorskip("uvicorn")
    folder = write(tmp_path / "flows", rows(20))
    words = [
        sys.executable,
        "-m",
        "whowas",
        "serve",
        "--flows",
        str(folder),
        "--no-browser",
        "--cache",
        str(tmp_path / "cache"),
    ]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert running.stdout is not None
        found = None
        while found is None:
            line = running.stdout.readline()
            assert line
            found = re.search(r"http://127\.0\.0\.1:(\d+)/\?view=overview#token=(\S+)", line)
        link = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        link.request("GET", "/api/status", headers={"Authorization": f"Bearer {found[2]}"})
        assert json.loads(link.getresponse().read())["hours"] == 3
        assert len(found[2]) >= 43, "32 random bytes"
    finally:
        running.send_signal(told)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    assert "stopped" in errors


def test_a_missing_extra_is_the_line_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "uvicorn" else real(name, *more)
    )
    result = CliRunner().invoke(group, ["serve", "--flows", str(tmp_path)])
    assert isinstance(result.exception, MissingExtra)
    assert re.search(r"pip install .*\[serve\]'", str(result.exception))


def test_mistakes_are_said_in_a_line(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    folder = write(tmp_path / "flows", rows(5))
    for words, why in (
        (["--flows", str(tmp_path / "none")], "no such folder"),
        (["--flows", str(folder), "--findings", str(tmp_path / "none")], "cannot read findings"),
        (["--flows", str(folder), "--cache", str(folder)], "among the flows"),
        (["--flows", str(folder), "--cache", "/proc/none"], "cannot keep roll-ups"),
        (["--flows", str(folder), "--history", str(tmp_path / "none")], "none"),
    ):
        result = CliRunner().invoke(group, ["serve", "--no-browser", "--cache", str(tmp_path / "cache"), *words])
        assert result.exit_code != 0
        assert why in str(result.exception), words


def test_no_browser_is_told_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command lines can be read by every user of a machine."""
    pytest.importorskip("uvicorn")
    import webbrowser

    from whowas.workbench.app import Server

    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(
        webbrowser, "open", lambda url: opened.append(url) or Path(url.removeprefix("file://")).read_text()
    )
    monkeypatch.setattr(Server, "run", lambda _: None)
    folder = write(tmp_path / "flows", rows(5))
    result = CliRunner().invoke(group, ["serve", "--flows", str(folder), "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 0, result.output
    token = re.findall(r"#token=(\S+)", result.output)[0]
    assert len(opened) == 1
    assert opened[0].startswith("file://")
    assert token not in opened[0]
    assert not Path(opened[0].removeprefix("file://")).exists()

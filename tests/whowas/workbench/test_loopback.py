"""The door: a browser is led to the page, and no command line tells the token."""

from __future__ import annotations

import re
import stat
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from whowas.workbench.loopback import door

URL = "http://127.0.0.1:1/?view=map&filter=a#token=s3cr3t"


def test_it_is_private_leads_there_and_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with door(URL) as way:
        assert way is not None
        assert "s3cr3t" not in way
        file = Path(unquote(urlsplit(way).path))
        assert not any(part.startswith(".") for part in file.relative_to(tmp_path).parts)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        found = re.search(r'content="0;url=([^"]+)"', file.read_text())
        assert found is not None
        assert unescape(found[1]) == URL
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    with door(URL) as way:
        assert way is not None
        assert Path(unquote(urlsplit(way).path)).is_file()


def test_it_is_gone_after_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(KeyboardInterrupt), door(URL):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []

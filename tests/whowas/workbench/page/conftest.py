"""The samples served as a user serves them, and a browser that looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.chromium import Tab, chromium, tab
from support.workbench import Served, served

from whowas.cli import group

HISTORY = "samples/overlay/history.jsonl.gz"


def run(*words: str) -> None:
    """Run a command of whowas."""
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="session")
def named(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the samples' flows (`named`) and findings (`findings.jsonl`)."""
    folder = tmp_path_factory.mktemp("samples")
    found = sorted([*(root / "samples/overlay").glob("*.pcap"), *(root / "samples/crafted").glob("*.pcap")])
    captures = [str(one) for one in found if one.name != "truncated.pcap"]
    run("replay", *captures, "--history", str(root / HISTORY), "--out", str(folder / "named"), "--json")
    run("backtest", "--flows", str(folder / "named"), "--out", str(folder / "findings.jsonl"))
    return folder


@pytest.fixture(scope="session")
def samples(named: Path, root: Path) -> Iterator[Served]:
    """A server over the samples; the findings stay as they are."""
    findings = str(named / "findings.jsonl")
    with served(named / "named", named / "cache", history=[str(root / HISTORY)], findings=findings) as running:
        yield running


# One for each file: Playwright holds an event loop in its thread, which tests elsewhere want for themselves.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser."""
    with chromium() as running:
        yield running


@pytest.fixture
def look(browser: Any, samples: Served) -> Iterator[Tab]:
    """A fresh tab on the samples."""
    with tab(browser, samples) as one:
        yield one

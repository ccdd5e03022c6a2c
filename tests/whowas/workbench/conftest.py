"""A folder of flows and a server over it, once for all tests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import workbench
from support.workbench import Row, Served, served


@pytest.fixture(scope="session")
def flows() -> list[Row]:
    """Flows of three hours; one tells no start."""
    made = workbench.rows(800)
    made[0]["start_time"] = made[0]["end_time"] = None
    return made


@pytest.fixture(scope="session")
def folder(flows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """These flows as a replay writes them."""
    return workbench.write(tmp_path_factory.mktemp("flows") / "named", flows)


@pytest.fixture(scope="session")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over them."""
    with served(folder, tmp_path_factory.mktemp("cache")) as running:
        yield running

"""What tests share: where the shared data lies, and rows to write."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def need(condition: object, reason: str) -> None:
    """Skip at home with the reason; in CI a missing tool is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have this: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Captures and flow logs made by others; not part of the project, so tests pass without them."""
    folder = Path(os.environ.get("WHOWAS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (WHOWAS_SHARED)")
    return folder


@pytest.fixture(scope="session")
def needs_network_namespaces() -> None:
    """Real overlays need root, iproute2 and tcpdump."""
    need(os.geteuid() == 0, "network namespaces need root")
    for program in ("ip", "tcpdump"):
        need(shutil.which(program), f"'{program}' is not installed")

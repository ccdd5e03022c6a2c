"""What tests share: where the shared data lies, and rows to write."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from support.needs import need
from support.servers.fixtures import broker, control_plane, kafka_fetched, lent, servers_built

# CI tries the same examples at every run: what is found at home is mended at home.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

# A shell that runs the tests in the background has them ignore Ctrl-C, and what they start inherits that: tests that
# send it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["broker", "control_plane", "kafka_fetched", "lent", "servers_built"]

ROOT = Path(__file__).resolve().parent.parent


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
    """Real overlays need root, iproute2 and tcpdump. Rights cannot be installed: without them tests skip anywhere."""
    for program in ("ip", "tcpdump"):
        need(shutil.which(program), f"'{program}' is not installed")
    allowed = subprocess.run(["unshare", "--net", "ip", "link", "add", "x", "type", "veth"], capture_output=True)
    if os.geteuid() != 0 or allowed.returncode:
        pytest.skip(f"no rights to make network namespaces: {allowed.stderr.decode().strip() or 'not root'}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say at the end what `make test` left out."""
    if config.option.markexpr == "not long":
        terminalreporter.write_line(
            "left out: tests marked long (simulated clusters, kills, whole chains on real servers); make long runs them"
        )

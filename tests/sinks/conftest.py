"""A real Alertmanager, for sinks that speak to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.needs import need
from support.servers import alertmanager


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on 127.0.0.1 is spoken to straight, whatever the machine says."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def real_alertmanager() -> Iterator[alertmanager.Alertmanager]:
    """An Alertmanager that tests share; skipped at home with the reason, a failure in CI."""
    lacks = alertmanager.missing()
    need(not lacks, lacks)
    with alertmanager.Alertmanager() as started:
        yield started

"""A real Firefox, by WebDriver BiDi: enough to open pages, wait, ask them, and hear what they complain of."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WAIT = 60.0
QUIET = (
    "app.update.enabled", "browser.shell.checkDefaultBrowser", "datareporting.policy.dataSubmissionEnabled",
    "toolkit.telemetry.enabled", "network.captive-portal-service.enabled", "extensions.update.enabled",
    "network.connectivity-service.enabled", "browser.aboutwelcome.enabled",
)  # fmt: skip


class Firefox:
    """One tab. `said`: errors and warnings of its pages, to be looked at."""

    def __init__(self, link: Any) -> None:
        self._link, self._number = link, 0
        self.said: list[str] = []
        self.call("session.new", {"capabilities": {}})
        self.call("session.subscribe", {"events": ["log.entryAdded"]})
        self._tab = self.call("browsingContext.getTree", {})["contexts"][0]["context"]
        view = {"width": 1280, "height": 720}
        self.call("browsingContext.setViewport", {"context": self._tab, "viewport": view})

    def call(self, method: str, told: dict[str, Any]) -> Any:
        """Ask the browser. Fails with what it says."""
        self._number += 1
        self._link.send(json.dumps({"id": self._number, "method": method, "params": told}))
        while True:
            answer = json.loads(self._link.recv())
            if answer.get("method") == "log.entryAdded":
                entry = answer["params"]
                if entry["level"] in ("error", "warn"):
                    self.said.append(str(entry.get("text")))
            elif answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self.call("browsingContext.navigate", {"context": self._tab, "url": url, "wait": "complete"})

    def ask(self, expression: str) -> Any:
        """What an expression is, as JSON has it."""
        told = {"expression": f"JSON.stringify({expression})", "target": {"context": self._tab}, "awaitPromise": False}
        answer = self.call("script.evaluate", told)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        ended = time.monotonic() + WAIT
        while not self.ask(expression):
            assert time.monotonic() < ended, f"never true: {expression}; the page said {self.said}"
            time.sleep(0.1)


@contextlib.contextmanager
def firefox() -> Iterator[Firefox]:
    """Start it with a profile of its own, or say why there is none."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("Firefox is not installed: apt-get install firefox-esr")
    create_connection = pytest.importorskip("websocket").create_connection

    with tempfile.TemporaryDirectory(prefix="whowas-firefox-") as home:
        lines = [f"user_pref({json.dumps(name)}, false);" for name in QUIET]
        (Path(home) / "user.js").write_text("\n".join(lines))
        words = [program, "--headless", "--no-remote", "--profile", home, "--remote-debugging-port", "0", "about:blank"]
        running = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            assert running.stderr is not None
            found = next(filter(None, (re.search(r"ws://\S+", line) for line in running.stderr)))
            link = create_connection(f"{found[0]}/session", timeout=WAIT, suppress_origin=True)
            try:
                yield Firefox(link)
            finally:
                link.close()
        finally:
            running.terminate()
            running.wait(timeout=30)

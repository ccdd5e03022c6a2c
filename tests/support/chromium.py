"""A real Chromium for tests of the page. A tab notes all that must not happen: errors, refusals, strange requests."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from support.needs import need
from support.workbench import Served

ARGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGS += ["--disable-component-update", "--disable-sync", "--font-render-hinting=none"]
VIOLATIONS = """
window.violations = [];
const note = (one) => window.violations.push(`${one.violatedDirective}: ${one.blockedURI}`);
addEventListener("securitypolicyviolation", note);
"""
AXE = Path("web/node_modules/axe-core/axe.min.js")
WAIT = 20_000  # ms: a loaded machine is slow, and a test that waits for nothing ends at once


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser, or say why there is none."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        need(False, "playwright is not installed: make setup")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(program, "Chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGS)
        try:
            yield running
        finally:
            running.close()


class Tab:
    """One tab of a context of its own. `page` is Playwright's; `faults` must stay empty."""

    def __init__(self, browser: Any, served: Served, **how: Any) -> None:
        size = {"width": 1280, "height": 720}
        self.context = browser.new_context(viewport=size, reduced_motion="reduce", timezone_id="Asia/Tokyo", **how)
        self.context.set_default_timeout(WAIT)
        self.context.add_init_script(VIOLATIONS)
        self.served = served
        self.origin = f"http://127.0.0.1:{served.port}"
        self.faults: list[str] = []
        self.expected: list[str] = []
        self.page = self.context.new_page()
        self.page.on("console", lambda one: one.type in ("error", "warning") and self._fault(f"console: {one.text}"))
        self.page.on("pageerror", lambda one: self._fault(f"error: {one}"))
        self.page.on("request", lambda one: self._asked(one.url))

    def _fault(self, text: str) -> None:
        if not any(part in text for part in self.expected):
            self.faults.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.origin + "/", "data:", "file:", f"blob:{self.origin}")):
            self._fault(f"asked another origin: {url}")

    def open(self, view: str = "overview", **keep: str) -> Any:
        """Open a screen as a link does, with the token; returns Playwright's page, with every pane there."""
        words = urlencode({"view": view, **keep})
        self.page.goto(f"{self.origin}/?{words}#token={self.served.token}")
        return self.ready()

    def ready(self) -> Any:
        """Wait until no pane waits for an answer."""
        from playwright.sync_api import expect

        expect(self.page.locator("main .pane").first).to_be_visible()
        expect(self.page.locator('main [aria-busy="true"]')).to_have_count(0)
        return self.page

    def told(self) -> dict[str, str]:
        """What the address bar says."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other, where the focus is."""
        for key in keys:
            self.page.keyboard.press(key)

    def shot(self, name: str, folder: Path) -> Path:
        """Keep a picture, for people: in WHOWAS_SHOTS where that is set, else in a folder of the test."""
        path = self.shots(folder) / f"{name}.png"
        self.page.screenshot(path=str(path))
        return path

    def shots(self, folder: Path) -> Path:
        """Where pictures are kept."""
        kept = Path(os.environ.get("WHOWAS_SHOTS") or folder)
        kept.mkdir(parents=True, exist_ok=True)
        return kept

    def close(self) -> None:
        """Close it; fails when something happened that must not."""
        if not self.page.is_closed():
            self.faults += [f"policy: {one}" for one in self.page.evaluate("window.violations || []")]
            if self.page.evaluate("window.pwned !== undefined"):
                self.faults.append("text of a stranger ran as a script")
        self.context.close()
        assert self.faults == []


@contextlib.contextmanager
def tab(browser: Any, served: Served, **how: Any) -> Iterator[Tab]:
    """A tab that is looked through at the end."""
    one = Tab(browser, served, **how)
    try:
        yield one
    except BaseException:
        one.context.close()
        raise
    one.close()


def serious(page: Any, root: Path) -> list[str]:
    """What axe-core finds serious or critical on the page as it is."""
    source = root / AXE
    need(source.is_file(), f"{AXE} is not there: make web")
    page.evaluate(source.read_text())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("(rules) => axe.run(document, {runOnly: rules})", rules)
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]

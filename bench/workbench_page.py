"""Drives the page in Chromium: from an input to the last pane that is painted, as the page's own clock has it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

ARGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGS += ["--disable-component-update", "--disable-sync"]
WAIT = 120_000  # ms
# Brushes as parts of the chart, left to right.
BRUSHES = ((0.1, 0.3), (0.5, 0.58), (0.82, 0.99), (0.35, 0.4), (0.02, 0.5), (0.71, 0.75), (0.6, 0.95), (0.45, 0.47))
CLOCK = """
window.bench = { took: null };
const busy = () => document.querySelectorAll("main .pane[aria-busy=true]").length;
const there = () => document.querySelectorAll("main .pane[data-ready=true]").length;
const frame = () => new Promise(requestAnimationFrame);
async function settle(begun, first) {
  bench.took = null;
  while (first ? !there() : !busy() && performance.now() - begun < 300) await frame();
  let took;
  do {
    while (busy()) await frame();
    await frame();
    took = performance.now() - begun;
    await frame();
  } while (busy());
  bench.took = took;
}
addEventListener("pointerup", () => settle(performance.now()), true);
addEventListener("keydown", (event) => event.key === "Enter" && settle(performance.now()), true);
document.addEventListener("DOMContentLoaded", () => settle(0, true));
"""


class Took(NamedTuple):
    """ms: on the page's clock. cpu: of the server, ms; what a loaded machine adds is not in it."""

    ms: float
    cpu: float


class Pages:
    """Tabs on a server. cpu: tells its processor time so far, ms."""

    def __init__(self, browser: Any, port: int, token: str, cpu: Callable[[], float]) -> None:
        self._browser, self._port, self._token, self._cpu = browser, port, token, cpu

    def _after(self, page: Any, act: Callable[[], Any]) -> Took:
        """Do something and wait until all is painted."""
        before = self._cpu()
        page.evaluate("bench.took = null")
        act()
        return Took(took(page), self._cpu() - before)

    @contextlib.contextmanager
    def tab(self, view: str = "overview") -> Iterator[Any]:
        """A tab in which a screen is painted; `took` of it is the time of the first paint."""
        context = self._browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
        context.set_default_timeout(WAIT)
        context.add_init_script(CLOCK)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{self._port}/?view={view}#token={self._token}")
        try:
            yield page
        finally:
            context.close()

    def first_paint(self) -> Took:
        """The overview of a new tab, from the click on the link."""
        before = self._cpu()
        with self.tab() as page:
            return Took(took(page), self._cpu() - before)

    def brushes(self) -> list[Took]:
        """Ranges drawn on the chart of the whole time, and back to it."""
        found = []
        with self.tab() as page:
            took(page)
            for low, high in BRUSHES:
                box = page.locator(".chart svg").bounding_box()
                y = box["y"] + box["height"] / 2
                page.mouse.move(box["x"] + box["width"] * low, y)
                page.mouse.down()
                page.mouse.move(box["x"] + box["width"] * high, y, steps=4)
                found.append(self._after(page, page.mouse.up))
                found.append(self._after(page, page.get_by_role("button", name="whole time").click))
        return found

    def filters(self, texts: list[str]) -> list[Took]:
        """Filters typed over the whole time, Enter to all panes."""
        found = []
        with self.tab() as page:
            took(page)
            for text in texts:
                page.locator("#filter").fill(text)
                page.wait_for_timeout(300)
                found.append(self._after(page, lambda: page.locator("#filter").press("Enter")))
        return found

    def addresses(self, texts: list[str]) -> list[Took]:
        """Addresses asked for on the screen Who was."""
        found = []
        with self.tab("who") as page:
            page.locator("#who").wait_for()
            for text in texts:
                page.locator("#who").fill(text)
                found.append(self._after(page, lambda: page.locator("#who").press("Enter")))
        return found


def took(page: Any) -> float:
    """Wait until all is painted. Trusted Types forbid Playwright's own waiting."""
    for _ in range(WAIT // 20):
        if (found := page.evaluate("bench.took")) is not None:
            return float(found)
        page.wait_for_timeout(20)
    raise TimeoutError("the page does not come to rest")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        try:
            yield running
        finally:
            running.close()

"""Photographs the page over the samples for docs/how-to/look.md, in a real Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/screens"
WHOWAS = [sys.executable, "-m", "whowas"]
HISTORY = "samples/overlay/history.jsonl.gz"
CAPTURES = ("samples/overlay/node1-underlay.pcap.zst", "samples/overlay/node1-bridge.pcap")
RANGE = "since=2026-11-21T08:39:20Z&until=2026-11-21T08:40:40Z"
MOST = 150_000  # bytes a picture: a clone carries all of them for ever


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Replay, look for findings, serve; yields the page's URL."""
    named, findings = str(folder / "named"), str(folder / "findings.jsonl")
    for words in (
        ["replay", *CAPTURES, "--history", HISTORY, "--out", named],
        ["backtest", "--flows", named, "--out", findings],
    ):
        subprocess.run([*WHOWAS, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    words = ["serve", "--flows", named, "--history", HISTORY, "--findings", findings, "--no-browser"]
    running = subprocess.Popen(
        [*WHOWAS, *words, "--cache", str(folder / "cache")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        told = "".join(running.stdout.readline() for _ in range(2)) if running.stdout else ""
        yield re.findall(r"http://\S+", told)[0]
    finally:
        running.terminate()
        running.wait()


def photograph(page: Any, name: str) -> None:
    """Wait until all panes have their answers, and keep a picture."""
    page.wait_for_timeout(500)
    page.locator('main [aria-busy="true"]').first.wait_for(state="detached")
    page.wait_for_timeout(500)
    path = OUT / f"{name}.png"
    high = {"flows": 480, "findings": 600}.get(name, 720)
    page.screenshot(path=str(path), clip={"x": 0, "y": 0, "width": 1280, "height": high})
    if path.stat().st_size > MOST:
        sys.exit(f"{path} has {path.stat().st_size} bytes; {MOST} are allowed")


def main() -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as url, sync_playwright() as playwright:
        base, token = url.split("?")[0], url.split("#")[1]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme="light", reduced_motion="reduce")
        for name, words in (
            ("map", f"view=map&{RANGE}"),
            ("who", f"view=who&what=10.244.1.20&at=1795250390000000&{RANGE}"),
            ("flows", f"view=flows&filter=src=batch/report&{RANGE}"),
            ("findings", f"view=findings&{RANGE}"),
        ):
            page.goto(f"{base}?{words}#{token}")
            if name == "flows":
                page.locator(".grid-body .grid-row").first.wait_for()
            if name == "findings":
                page.locator("tr[data-row] button").first.click()
            photograph(page, name)
        browser.close()


if __name__ == "__main__":
    main()

"""A report as PDF, printed by the Chromium of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from whowas.errors import InputError, OutputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 180
QUIET = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--no-pdf-header-footer",
)  # fmt: skip


def browser() -> str:
    """Where Chromium is. Raises: InputError."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    raise InputError("cannot print a PDF: no Chromium is installed; install one, or print the page from a browser")


def write(page: Path, out: Path) -> None:
    """Print a page. Raises: InputError, OutputError."""
    program = browser()
    with tempfile.TemporaryDirectory(prefix="whowas-pdf-") as home:
        printed = Path(home) / "report.pdf"
        # Chromium's sandbox does not work for root; the page has no script and may load nothing.
        more = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [program, *QUIET, *more, f"--user-data-dir={home}/profile", f"--print-to-pdf={printed}"]
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise OutputError(f"cannot print a PDF: {program} did not end within {SECONDS} s") from None
        except OSError as error:
            raise OutputError(f"cannot print a PDF: {program} does not start: {error.strerror}") from error
        if done.returncode or not printed.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
            raise OutputError(f"cannot print a PDF: {program} ended with {done.returncode}: {said[0]}")
        try:
            shutil.copyfile(printed, out)
        except OSError as error:
            raise OutputError(f"cannot write '{out}': {error.strerror}") from error

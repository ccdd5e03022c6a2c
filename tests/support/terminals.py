"""A command at a terminal: what it sends there, and whether a terminal would obey any of it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

# All that a name can bring: a title for the window, colours, a C1 control, direction marks, line ends.
EVIL = "a\x1b]0;pwned\x07\x1b[45mred\x9b33m\u202eevil\u2066\u2028x\nFAKE line\ry"
# What rich sends for colours and for bars that are drawn over themselves. EVIL's own colour is none of them.
OURS = re.compile(r"\x1b\[(?!45m)[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[A-K]|\r(?=\x1b|$)")
WAIT_SECONDS = 120.0


def at_terminal(*words: str, cwd: Path | None = None, until: str = "") -> str:
    """Run whowas at a terminal and return what came there. until: stop it when this has come."""
    ours, theirs = pty.openpty()
    changed = termios.tcgetattr(theirs)
    changed[1] &= ~termios.OPOST  # else the terminal makes "\r\n" of each line end
    termios.tcsetattr(theirs, termios.TCSANOW, changed)
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "whowas", *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=cwd,
        env=env,
    )  # fmt: skip
    os.close(theirs)
    try:
        return _read(ours, process, until)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read(ours: int, process: subprocess.Popen[bytes], until: str) -> str:
    data, end = b"", time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if not select.select([ours], [], [], 0.5)[0]:
            continue
        with contextlib.suppress(OSError):  # EIO: the last one who could write has gone
            if more := os.read(ours, 65536):
                data += more
                if until and until.encode() in data:
                    process.send_signal(signal.SIGTERM)
                    until = ""
                continue
        return data.decode("utf-8", "surrogateescape")
    raise AssertionError(f"still running after {WAIT_SECONDS} s: {data!r}")


def obeyed(text: str) -> list[str]:
    """Return what a terminal would not just show: controls, marks of direction, lines that a name has begun."""
    left = OURS.sub("", text)
    controls = sorted({ascii(one) for one in left if not one.isprintable() and one not in "\n\t"})
    return controls + [line for line in left.split("\n") if line.startswith("FAKE")]

"""Runs a command in a process of its own, and says what memory it had at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# The kernel's own count of this process: that of rusage begins with what the parent had.
PROGRAM = """
import sys
from whowas import cli

target, leave = sys.argv.pop(1), cli._leave

def end(code):
    status = open("/proc/self/status").read().split()
    open(target, "w").write(status[status.index("VmHWM:") + 1])
    leave(code)

cli._leave = end
cli.main()
"""


class Ran(NamedTuple):
    """What came of a command. mib: memory at its peak."""

    code: int
    mib: int
    told: str


def run(folder: Path, *words: str, seconds: float = 300) -> Ran:
    """Run `whowas` with these words; its standard output goes nowhere."""
    target = folder / "peak"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(target), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=seconds,
    )
    assert target.exists(), done.stderr
    return Ran(done.returncode, int(target.read_text()) >> 10, done.stderr)

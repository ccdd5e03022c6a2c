"""Run a whole program from outside: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """One run of a program. Seconds; peak_mb is the largest resident set of it or of one of its children, in MB."""

    wall: float
    cpu: float
    peak_mb: float
    code: int
    said: str

    def to_json(self) -> dict[str, Any]:
        told = asdict(self)
        del told["said"]
        return told


def measure(
    words: Sequence[str | os.PathLike[str]],
    *,
    core: int | None = 0,
    env: Mapping[str, str] | None = None,
    feed: Path | None = None,
    user: int | None = None,
) -> Run:
    """Run a program to its end, on one core unless `core` is None.

    Its output goes to a file in memory, so that nobody waits for a reader. Times and memory are what the
    kernel counted for the program and the children it waited for.
    """
    with open(os.memfd_create("said"), "r+b") as said, open(feed or os.devnull, "rb") as standard_input:
        pinned = () if core is None else (sys.executable, "-I", "-S", "-c", _PIN, str(core))
        began = time.perf_counter()
        process = subprocess.Popen(
            [*pinned, *words],
            stdin=standard_input,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
            user=user,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode, text)


# Pins itself, then becomes the program: the same 15 ms for every program measured.
_PIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execvp(sys.argv[2], sys.argv[2:])"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_mb": memory,
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "load_at_start": os.getloadavg()[0],
    }

"""Build a real goflow2 for tests from the Go module that goflow2/go.sum pins, once.

`PYTHONPATH=tests python -m support.servers.build_goflow2` puts it beside the other servers (servers/build.py).
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from support.servers.build import SETTINGS, BuildError, cache, go, once, say

MODULE = Path(__file__).resolve().parent / "goflow2"
PACKAGE = "github.com/netsampler/goflow2/v2/cmd/goflow2"


def program() -> Path:
    """Return where the goflow2 of this go.mod and go.sum is, or will be."""
    pinned = hashlib.sha256(b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum")))
    return cache() / f"goflow2-{pinned.hexdigest()[:16]}"


def missing() -> str:
    """Return what goflow2 lacks on this machine; nothing when it can be started."""
    return "" if program().is_file() else "no goflow2: it is not built (make servers)"


def build() -> Path:
    """Return the program; build it first if nobody has. Raises: BuildError."""
    return once(program(), _compile)


def _compile(target: Path) -> None:
    say("building goflow2, some 30 seconds, once")
    command = [str(go()), "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(target), PACKAGE]
    told = subprocess.run(command, cwd=MODULE, env={**os.environ, **SETTINGS}, capture_output=True, text=True)
    if told.returncode:
        raise BuildError(f"cannot build goflow2: go build failed:\n{told.stderr[-2000:]}")


if __name__ == "__main__":
    try:
        print(build())
    except BuildError as refused:
        sys.exit(f"servers: {refused}")

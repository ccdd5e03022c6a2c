"""Build an oracle for policies from cyclonus and apimachinery, the Go modules that cyclonus/go.sum pins, once.

`PYTHONPATH=tests python -m support.servers.build_cyclonus` puts it beside the other servers (servers/build.py).
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from support.servers.build import SETTINGS, BuildError, cache, go, once, say

MODULE = Path(__file__).resolve().parent / "cyclonus"


def program() -> Path:
    """Return where the oracle of this source is, or will be."""
    pinned = hashlib.sha256(b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go")))
    return cache() / f"policy-oracle-{pinned.hexdigest()[:16]}"


def missing() -> str:
    """Return what the oracle lacks on this machine; nothing when it can be asked."""
    return "" if program().is_file() else "no policy oracle: it is not built (make servers)"


def build() -> Path:
    """Return the program; build it first if nobody has. Raises: BuildError."""
    return once(program(), _compile)


def _compile(target: Path) -> None:
    say("building the policy oracle, some minutes, once")
    command = [str(go()), "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", str(target), "."]
    told = subprocess.run(command, cwd=MODULE, env={**os.environ, **SETTINGS}, capture_output=True, text=True)
    if told.returncode:
        raise BuildError(f"cannot build the policy oracle: go build failed:\n{told.stderr[-2000:]}")


if __name__ == "__main__":
    try:
        print(build())
    except BuildError as refused:
        sys.exit(f"servers: {refused}")

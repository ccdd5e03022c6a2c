"""A recorder that is let live and killed, and what its cluster says meanwhile."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

from support.recorder.witness import PODS, cursor
from support.servers.api import Api


def kill(running: subprocess.Popen[bytes]) -> None:
    assert running.poll() is None, f"it ended by itself with {running.returncode}"
    running.kill()
    running.wait()


def stop(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    assert running.wait(15) == 0


def live_a_while(path: Path, rng: random.Random) -> None:
    """Until it has written something and some time more, so that writes are hit; or any time, so that starts are."""
    began, until = cursor(path), time.monotonic() + 10
    if rng.random() < 0.7:
        while cursor(path) == began and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.6))
    else:
        time.sleep(rng.uniform(0, 2))


def pods_version(api: Api) -> str:
    """The version of the newest change of any pod."""
    items = api.list(PODS)[0]
    return max((one["metadata"]["resourceVersion"] for one in items), key=int)

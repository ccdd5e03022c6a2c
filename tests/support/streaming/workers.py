"""`whowas stream` as processes of their own, with configuration files of a test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Short sessions: a worker that is killed keeps its partitions for so long.
SESSION = {"session.timeout.ms": 1200, "heartbeat.interval.ms": 300}


def write_config(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write tables as TOML; JSON's texts, numbers and lists are TOML's too."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


class Process:
    """One worker."""

    def __init__(self, config: Path, name: str = "worker", **environment: str) -> None:
        self.log = config.with_name(f"{name}-{time.monotonic_ns()}.log")
        with self.log.open("wb") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "whowas", "stream", "--config", str(config), "--json"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    def kill(self) -> None:
        """End it as a power cut of its host would."""
        assert self.running.poll() is None, f"it ended by itself with {self.running.returncode}:\n{self.told()}"
        self.running.kill()
        self.running.wait()

    def stop(self, seconds: float = 12) -> int:
        """Ask it to stop, once it listens. Returns: its exit code."""
        until = time.monotonic() + 90
        while self.running.poll() is None and not self.lines() and time.monotonic() < until:
            time.sleep(0.05)
        if self.running.poll() is None:
            self.running.terminate()
        return self.running.wait(seconds)

    def end(self) -> None:
        """Be gone, whatever state it is in."""
        self.running.kill()
        self.running.wait()

    def told(self) -> str:
        """All that it printed."""
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines that it printed."""
        return [json.loads(line) for line in self.told().splitlines() if line.startswith("{")]


def wait_until(what: Callable[[], Any], worker: Process, seconds: float = 120) -> Any:
    """Wait until something holds; fail with all that the worker printed when it does not, or when the worker ends."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert worker.running.poll() is None, f"it ended with {worker.running.returncode}:\n{worker.told()}"
        assert time.monotonic() < until, f"not within {seconds} s:\n{worker.told()}"
        time.sleep(0.05)
    return found


def get(url: str) -> tuple[int, str]:
    """Ask a page. Returns: status and text."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def details(port: int) -> dict[str, Any]:
    """What /readyz tells a program; nothing of it before there is a page."""
    try:
        found: dict[str, Any] = json.loads(get(f"http://127.0.0.1:{port}/readyz?json")[1])["details"]
    except OSError:
        return {"held_records": None}
    return found


Start = Callable[..., Process]

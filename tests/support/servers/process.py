"""One server as a child process: it keeps its port and its log over restarts, and dies with this process."""

from __future__ import annotations

import ctypes
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
# The death signal is bound to the thread that forks, not to the process: fork in one that lives as long as we do.
_FORKS = ThreadPoolExecutor(1, thread_name_prefix="forks")


class ServerFailed(AssertionError):
    """A server that ended or never became ready; the message carries the end of its log."""


def free_port() -> int:
    """Return a port nobody listens on, below those that clients get: one that restarts must find it free again."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A program that is started, stopped, killed and started again on the same data and port."""

    def __init__(self, name: str, command: Sequence[str], log: Path, ready: Callable[[], bool]) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._ready = ready
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, None while it is down."""
        return self._running.pid if self._running is not None and self._running.poll() is None else None

    def start(self, timeout_seconds: float = 30) -> None:
        """Start and wait until it is ready. Raises: ServerFailed."""
        self.launch()
        self.wait(timeout_seconds)

    def launch(self) -> None:
        """Start without waiting."""
        assert self.pid is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._running = _FORKS.submit(self._fork, log).result()

    def _fork(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )

    def wait(self, timeout_seconds: float = 30) -> None:
        """Wait until it is ready. Raises: ServerFailed."""
        until = time.monotonic() + timeout_seconds
        while not self._ready():
            if self.pid is None:
                raise ServerFailed(f"{self.name} ended:\n{self.tail()}")
            if time.monotonic() > until:
                raise ServerFailed(f"{self.name} is not ready after {timeout_seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.03)

    def stop(self, timeout_seconds: float = 20) -> int | None:
        """Ask it to end, and wait; what does not end is killed. Returns: its exit code, None if it never ran."""
        self._end(signal.SIGTERM, timeout_seconds)
        return None if self._running is None else self._running.returncode

    def kill(self) -> None:
        """End it as a power cut would (what it wrote to files stays)."""
        self._end(signal.SIGKILL, 10)

    def _end(self, how: signal.Signals, timeout_seconds: float) -> None:
        if self._running is None:
            return
        self._running.send_signal(how)
        try:
            self._running.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open and silent, as on a dead network."""
        assert self._running is not None
        self._running.send_signal(signal.SIGSTOP)
        while Path(f"/proc/{self._running.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)

    def go_on(self) -> None:
        """Undo pause."""
        assert self._running is not None
        self._running.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

"""`whowas watch` that is killed and started again and again, and the apiserver that is, too."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from support.servers.control_plane import ControlPlane

from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack
from whowas.errors import StoreError

TERMS = 1 / 7
PACK_EVERY = 9
PACK_AFTER_US = 60_000_000
STOP_SECONDS = 20


class Disturbed(threading.Thread):
    """Something that is disturbed until told to leave; what went wrong is kept for the end."""

    def __init__(self, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.leave = threading.Event()
        self.random = random.Random(f"{name} {seed}")

    def run(self) -> None:
        """Disturb, until it has to end."""
        try:
            while not self.leave.is_set():
                self.turn()
        except Exception as error:  # noqa: BLE001 - the run goes on, and fails at its end
            self.wrong.append(f"{self.name}: {type(error).__name__}: {error}")

    def turn(self) -> None:
        """Wait and disturb once."""
        raise NotImplementedError


class Recorder(Disturbed):
    """`whowas watch`, killed with -9 after 5 to 40 s, or asked to end, and started again at once.

    Each PACK_EVERY times, while it is down, what has been gone for a minute is packed away, as the recorder itself
    does after an hour.
    """

    def __init__(self, store: Path, kubeconfig: Path, log: Path, seed: int) -> None:
        super().__init__("recorder", seed)
        self.store = store
        self._words = ["watch", "--history", str(store), "--kubeconfig", str(kubeconfig), "--listen", "none"]
        self._log = log.open("ab")
        self._running = self._run_anew()

    def _run_anew(self) -> subprocess.Popen[bytes]:
        self.counts["starts"] += 1
        return subprocess.Popen([sys.executable, "-m", "whowas", *self._words], stderr=self._log)

    def turn(self) -> None:
        """Kill, or end in order, and start."""
        if self.leave.wait(self.random.uniform(5, 40)):
            return
        if self.alive():
            if self.random.random() < TERMS:
                self._ask_to_end()
            else:
                self.counts["kills"] += 1
                self._running.kill()
                self._running.wait()
        if self.counts["starts"] % PACK_EVERY == 0:
            self._pack()
        self._running = self._run_anew()

    def alive(self) -> bool:
        """Say whether it runs; that it ended by itself is wrong."""
        ended = self._running.poll()
        if ended is not None:
            self.wrong.append(f"whowas watch ended by itself with {ended}")
        return ended is None

    def _ask_to_end(self) -> None:
        self.counts["terms"] += 1
        self._running.terminate()
        try:
            ended = self._running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
            ended = None
        if ended != 0:
            self.wrong.append(f"whowas watch, asked to end, ended with {ended}")

    def _pack(self) -> None:
        try:
            with EvidenceStore(self.store, write=True) as store:
                self.counts["packed objects"] += pack(store.database, settled_us=PACK_AFTER_US)
        except StoreError as error:
            self.wrong.append(f"packing: {error}")

    def end(self) -> None:
        """End it in order, for good."""
        if self.alive():
            self._ask_to_end()


class Apiserver(Disturbed):
    """kube-apiserver that is killed or stopped and comes back, about every so often."""

    def __init__(self, cluster: ControlPlane, every_seconds: float, seed: int) -> None:
        super().__init__("apiserver", seed)
        self._cluster = cluster
        self._every = every_seconds

    def turn(self) -> None:
        """Take it away for some seconds."""
        if self.leave.wait(self._every * self.random.uniform(0.7, 1.3)):
            return
        server = self._cluster.apiserver
        self.counts["apiserver restarts"] += 1
        (server.kill if self.random.random() < 0.6 else server.stop)()
        time.sleep(self.random.choice((0, self.random.uniform(1, 12))))
        server.start(60)

"""Who reads a store while it is written: one that follows it, and `whowas who` again and again.

`python -m bench.hour.readers STORE` follows until SIGTERM, then loads all anew, compares, and prints JSON.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.hour.recorder import Disturbed

FOLLOW_SECONDS = 2.0
ASK_SECONDS = (2.0, 8.0)


class Asker(Disturbed):
    """Asks `whowas who` about addresses of the churn, from a process each."""

    def __init__(self, store: Path, nodes: int, addresses: int, seed: int) -> None:
        super().__init__("who", seed)
        self._store = store
        self._most = (nodes, addresses)

    def turn(self) -> None:
        """Ask once."""
        if self.leave.wait(self.random.uniform(*ASK_SECONDS)) or not self._store.exists():
            return
        nodes, addresses = self._most
        address = f"10.244.{self.random.randrange(nodes)}.{2 + self.random.randrange(addresses)}"
        words = [sys.executable, "-m", "whowas", "who", address, "--history", str(self._store), "--json"]
        if self.random.random() < 0.5:
            words += ["--at", str(time.time() - self.random.uniform(0, 600)), "--explain"]
        began = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        self.counts["asked"] += 1
        self.counts["slowest ms"] = max(self.counts["slowest ms"], int(1000 * (time.monotonic() - began)))
        if done.returncode != 0 or not done.stdout.strip():
            self.wrong.append(f"whowas {' '.join(words[3:])}: {done.returncode}: {done.stderr[-500:]}")


class Follower:
    """A process that follows the store with StoredHistory.refresh."""

    def __init__(self, store: Path, log: Path) -> None:
        words = [sys.executable, "-m", "bench.hour.readers", str(store)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log.open("ab"), text=True)

    def alive(self) -> bool:
        """Say whether it still follows."""
        return self._process.poll() is None

    def end(self) -> dict[str, Any]:
        """Stop it and return what it has to tell."""
        if self.alive():
            self._process.terminate()
        out, _ = self._process.communicate(timeout=300)
        try:
            told: dict[str, Any] = json.loads(out)
        except ValueError:
            told = {"failed": f"the follower ended with {self._process.returncode}"}
        return told


def holds_of(history: Any) -> list[tuple[Any, ...]]:
    """Every hold of a history as a row, in one order."""
    from enrich.history.holds_table import holds_batches

    rows = [
        tuple(map(str, one.values()))
        for known in history.clusters.values()
        for batch in holds_batches(known)
        for one in batch.to_pylist()
    ]
    return sorted(rows)


def follow(path: str) -> dict[str, Any]:
    """Follow until told to stop; then compare with a history that is loaded from scratch."""
    from enrich.history.stored import StoredHistory

    leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leave.set())
    stored = StoredHistory(path)
    told: dict[str, Any] = {"refreshes": 0, "news": 0, "slowest_ms": 0}
    slowest = took = 0.0
    while not leave.wait(max(FOLLOW_SECONDS * random.uniform(0.5, 1.5), 4 * took)):
        began = time.monotonic()
        told["news"] += stored.refresh()
        took = time.monotonic() - began
        slowest = max(slowest, took)
        told["refreshes"] += 1
    stored.refresh()
    anew = StoredHistory(path)
    followed, fresh = holds_of(stored.history), holds_of(anew.history)
    other = set(followed) ^ set(fresh)
    told |= {"slowest_ms": int(1000 * slowest), "holds": len(fresh), "holds_that_differ": len(other)}
    told["examples"] = sorted(map(str, other))[:4]
    return told


if __name__ == "__main__":
    print(json.dumps(follow(sys.argv[1])), flush=True)

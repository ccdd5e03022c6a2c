"""An hour of churn with kills and restarts, and no difference: `python -m bench.hour --minutes 60`.

A real control plane, a test kubelet that makes pods come and go, `whowas watch` killed with -9 every 5 to 40 s and
started again at once, now and then asked to end; the apiserver killed or stopped now and then; readers beside. In the
end the store is compared with the apiserver's audit log and with what a second watcher saw. That one has an apiserver
of its own on the same etcd, without a watch cache and never disturbed: it misses nothing. Every write of every pod is
in the store exactly once, or lies in a GAP that the store tells. `kill -INT` of this process alone ends it early, and
compares.

The exit code is 1 on any difference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.recorder.witness import cursor
from support.servers import pods
from support.servers.api import Api
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.dumb_watcher import dumb_watcher
from support.servers.kubelet import Churn, kubelet
from support.servers.process import Server, free_port

from bench.hour.comparing import Findings, compare, keep
from bench.hour.readers import Asker, Follower
from bench.hour.recorder import Apiserver, Recorder

POLICY = {
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["pods", "pods/*"]}]},
        {"level": "None"},
    ],
}
ALL_PODS = "/api/v1/pods"
SAY_SECONDS = 30
LAST = "the-last-of-all"
NODES, ADDRESSES = 10, 32


def options() -> argparse.Namespace:
    """What can be told."""
    parser = argparse.ArgumentParser(prog="python -m bench.hour", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=6, help="pods a second (default 6)")
    parser.add_argument("--apiserver-minutes", type=float, default=8, help="between its restarts (default 8)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder to keep the records in; one of its own, removed, without")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


@contextlib.contextmanager
def second_apiserver(cluster: ControlPlane) -> Iterator[str]:
    """Another kube-apiserver on the same etcd that reads etcd for every watch; returns its URL."""
    port = free_port()
    without = ("--secure-port=", "--audit-")
    flags = [one for one in cluster.apiserver.command if not one.startswith(without)]
    url = f"https://127.0.0.1:{port}"
    api = Api(url, str(cluster.authority.certificate), token=cluster.tokens["admin"], timeout_seconds=2)

    def ready() -> bool:
        with contextlib.suppress(OSError):
            return api.request("GET", "/readyz").status == 200
        return False

    command = [*flags, f"--secure-port={port}", "--watch-cache=false"]
    server = Server("second kube-apiserver", command, cluster.folder / "second-apiserver.log", ready)
    server.start(60)
    try:
        yield url
        assert server.pid is not None, f"the second apiserver ended:\n{server.tail()}"
    finally:
        server.kill()


def tail(path: Path, size: int = 1 << 18) -> bytes:
    """The end of a file that grows."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()


class Run:
    """One run: what goes on, what it says meanwhile, how it ends."""

    def __init__(self, told: argparse.Namespace, folder: Path) -> None:
        self.told = told
        self.folder = folder
        self.store, self.dumb = folder / "history.db", folder / "dumb.jsonl"
        self.leave = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: self.leave.set())

    def run(self) -> Findings:
        """Start everything, wait, end everything, compare."""
        options = {"audit": POLICY, "flags": [f"--audit-log-path={self.folder / 'audit.log'}"]}
        with ControlPlane(**options) as cluster, second_apiserver(cluster) as url:
            quiet = Api(url, str(cluster.authority.certificate), token=cluster.tokens["admin"])
            grant(cluster.api())
            seconds = int(self.told.minutes * 60) + 7200
            token = cluster.service_account_token(NAMESPACE, ACCOUNT, seconds)
            churn = Churn(seed=self.told.seed, seconds=self.told.minutes * 60 + 600, rate=self.told.rate, nodes=NODES,
                          mean_seconds=8.0, addresses=ADDRESSES)  # fmt: skip
            with dumb_watcher(cluster.kubeconfig(server=url), self.dumb):
                recorder = Recorder(self.store, cluster.kubeconfig("recorder", token=token), self.folder / "watch.log",
                                    self.told.seed)  # fmt: skip
                try:
                    wait_until(lambda: cursor(self.store) > 0, 60)
                    with kubelet(cluster.kubeconfig(), self.folder / "truth.jsonl", churn) as player:
                        told, wrong = self._disturb(cluster, recorder, player)
                    self._settle(quiet, recorder)
                finally:
                    recorder.end()
                standing = {one["metadata"]["uid"] for one in quiet.list(ALL_PODS)[0]}
        return self._compared(told, [*wrong, *recorder.wrong], standing)

    def _disturb(self, cluster: ControlPlane, recorder: Recorder, player: Server) -> tuple[dict[str, Any], list[str]]:
        """Let it go on for its time. Return figures, and what went wrong."""
        apiserver = Apiserver(cluster, self.told.apiserver_minutes * 60, self.told.seed)
        asker = Asker(self.store, NODES, ADDRESSES, self.told.seed)
        follower = Follower(self.store, self.folder / "follower.log")
        several = (recorder, apiserver, asker)
        for one in several:
            one.start()
        began = time.monotonic()
        while time.monotonic() - began < self.told.minutes * 60 and not self.leave.wait(SAY_SECONDS):
            minutes = (time.monotonic() - began) / 60
            counts = {name: count for one in several for name, count in one.counts.items()}
            wrong = [word for one in several for word in one.wrong]
            print(f"{minutes:6.1f} min  {counts}  cursor {cursor(self.store)}  store {self.store.stat().st_size:,} B  "
                  f"second watcher {self.dumb.stat().st_size:,} B  wrong: {wrong or 'nothing'}",
                  file=sys.stderr, flush=True)  # fmt: skip
        for one in several:
            one.leave.set()
        for one in several:
            one.join(120)
        wrong = [word for one in several for word in one.wrong]
        wrong += [] if player.pid is not None else [f"the test kubelet ended: {player.tail()}"]
        counts = {name: count for one in several for name, count in one.counts.items()}
        return {"minutes": round((time.monotonic() - began) / 60, 1), **counts, "follower": follower}, wrong

    def _settle(self, quiet: Api, recorder: Recorder) -> None:
        """Wait until the store, and the second watcher, have the last thing that happened."""
        last = quiet.create("/api/v1/namespaces/default/pods", pods.small(LAST))["metadata"]["resourceVersion"]
        try:
            wait_until(lambda: cursor(self.store) >= int(last), 120)
        except AssertionError:
            recorder.wrong.append(f"the cursor stays at {cursor(self.store)}, the last write is {last}")
        wait_until(lambda: LAST.encode() in tail(self.dumb), 60)

    def _compared(self, told: dict[str, Any], wrong: list[str], standing: set[str]) -> Findings:
        print("comparing", file=sys.stderr, flush=True)
        follower: Follower = told.pop("follower")
        followed = follower.end()
        found = compare(self.store, self.dumb, self.folder, standing)
        kept = keep(self.store, self.folder)
        found.figures = told | found.figures | kept.figures | {"follower": followed}
        found.differences |= kept.differences
        found.differ("what went wrong", wrong)
        failed = "failed" in followed or followed["holds_that_differ"]
        found.differ("following and loading anew", [followed] if failed else [])
        log = (self.folder / "watch.log").read_text(errors="replace")
        found.differ("stack traces", [log[-2000:]] if "Traceback" in log else [])
        return found


def main() -> int:
    """Run, print, and say by the exit code whether anything differs."""
    told = options()
    with contextlib.ExitStack() as stack:
        folder = told.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        found = Run(told, folder).run()
        if told.out:
            (told.out / "result.json").write_text(json.dumps(found.short(), indent=1))
    if told.json:
        print(json.dumps(found.short()))
    else:
        for name, figure in found.figures.items():
            print(f"{name:44} {figure}")
        for kind, several in found.differences.items():
            print(f"{kind:44} {len(several) or 'none'}")
            for one in several[:5]:
                print(f"    {one[:400]}")
    return 1 if found.count() else 0


if __name__ == "__main__":
    sys.exit(main())

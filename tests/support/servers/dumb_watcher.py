"""A second watcher that knows nothing: every raw line of a watch goes to a file with the time it came.

What a recorder wrote down is compared with this. It runs as a process of its own, so that a busy test does not slow it:
`python -m support.servers.dumb_watcher --kubeconfig K --out FILE [PATH…]`, started in tests/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from support.servers.api import Api, ApiError, from_kubeconfig
from support.servers.process import Server

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TESTS = Path(__file__).resolve().parents[2]
PODS = ("/api/v1/pods",)
ALL = (
    *PODS,
    "/api/v1/nodes",
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/apps/v1/replicasets",
    "/apis/batch/v1/jobs",
)


@contextmanager
def dumb_watcher(kubeconfig: Path, out: Path, paths: tuple[str, ...] = PODS) -> Iterator[Path]:
    """Watch in another process while the block runs; `out` gets the lines in whowas's evidence form.

    It is ready when every watch is open. settled() says when all that happened so far is in the file.
    """
    command = [
        sys.executable,
        "-m",
        "support.servers.dumb_watcher",
        "--kubeconfig",
        str(kubeconfig),
        "--out",
        str(out),
        *paths,
    ]
    ready = out.with_name(out.name + ".ready")
    ready.unlink(missing_ok=True)
    log = out.with_name(out.name + ".log")
    watcher = Server("dumb watcher", ["env", f"PYTHONPATH={TESTS}", *command], log, ready.exists)
    watcher.start()
    try:
        yield out
        assert watcher.pid is not None, f"the dumb watcher ended:\n{watcher.tail()}"
    finally:
        watcher.kill()


def settled(api: Api, out: Path, timeout_seconds: float = 30) -> None:
    """Wait until the file shows a pod that is made, and removed, for this."""
    name = f"settled-{time.time_ns()}"
    pod = {"metadata": {"name": name}, "spec": {"nodeName": "none", "containers": [{"name": "c", "image": "c"}]}}
    api.create("/api/v1/namespaces/default/pods", pod)
    api.delete(f"/api/v1/namespaces/default/pods/{name}", grace_seconds=0)
    until = time.monotonic() + timeout_seconds
    while not any(one["type"] == "DELETED" and one["object"]["metadata"]["name"] == name for one in _last(out)):
        assert time.monotonic() < until, f"{out} does not show {name} after {timeout_seconds:.0f} s"
        time.sleep(0.05)


def _last(out: Path, size: int = 1 << 18) -> list[dict[str, Any]]:
    """The whole lines among a file's last bytes."""
    with out.open("rb") as file:
        file.seek(max(0, out.stat().st_size - size))
        lines = file.read().split(b"\n")
    whole = (line for line in lines[:-1] if line.startswith(b'{"received"'))
    return [json.loads(line) for line in whole]


def stamped(received_us: int, line: bytes) -> bytes:
    """Put the time of receipt into a raw watch line."""
    return b'{"received":"%s",%s\n' % (_time(received_us), line[1:])


def _time(at_us: int) -> bytes:
    text = (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z").encode()


def follow(api: Api, path: str, out: int, opened: threading.Semaphore) -> None:
    """Append a watch's lines to a file descriptor for ever; a broken watch goes on where it was.

    What the server does not remember any more (an apiserver that starts remembers nothing older than its start) is
    a GAP line, and all there is follows as ADDED. A server without a watch cache (--watch-cache=false) remembers all
    that etcd does. Raises: ApiError when the server refuses.
    """
    version, last = "", 0
    while True:
        query = {"allowWatchBookmarks": "true", **({"resourceVersion": version} if version else {})}
        try:
            for at, line in api.watch(path, on_open=opened.release, **query):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    assert event["object"]["code"] == 410, event
                    os.write(out, b'{"type":"GAP","from":"%s","to":"%s"}\n' % (_time(last), _time(at)))
                    version = ""
                    break
                version, last = event["object"]["metadata"]["resourceVersion"], at
                assert os.write(out, stamped(at, line)) > len(line)
        except ApiError as error:
            if error.status < 429:
                raise
        except OSError:
            pass
        time.sleep(0.1)


def _follow_or_end(*how: Any) -> None:
    """A watch that cannot go on ends the process: a file with a hole must not look whole."""
    try:
        follow(*how)
    except BaseException as error:  # noqa: BLE001 - whatever it is, a thread that ends quietly is worse
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def main() -> None:
    """Watch until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("paths", nargs="*", default=PODS)
    chosen = parser.parse_args()
    out = os.open(chosen.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    opened = threading.Semaphore(0)
    for path in chosen.paths:
        how = (from_kubeconfig(chosen.kubeconfig), path, out, opened)
        threading.Thread(target=_follow_or_end, args=how, daemon=True).start()
    for _ in chosen.paths:
        opened.acquire()
    chosen.out.with_name(chosen.out.name + ".ready").touch()
    threading.Event().wait()


if __name__ == "__main__":
    main()

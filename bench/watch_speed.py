"""How fast a watch takes in events and lists, beside the raw client on the same apiserver.

Needs the control plane of tests/support/servers (`make servers`). Prints a JSON object for each size of pods.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.servers import pods
from support.servers.control_plane import ControlPlane

from ingest.cluster.watch.api_client import Connection, connect
from ingest.cluster.watch.reflector import Reflector
from ingest.cluster.watch.resources import RESOURCES
from ingest.cluster.watch.watch_state import WatchOptions
from whowas.observation import Observation


class Enough(Exception):
    """All that was to be measured has come."""


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Run once; return what was counted, seconds by the wall and of this thread's processor."""
    wall, cpu = time.perf_counter(), time.thread_time()
    count = work()
    return {"count": count, "wall_s": time.perf_counter() - wall, "cpu_s": time.thread_time() - cpu}


def stream(connection: Connection, resume: tuple[str, int] | None, put: Callable[[list[Observation]], None]) -> None:
    """Run a stream of pods here until `put` has enough."""
    try:
        Reflector(RESOURCES[0], connection, "bench", resume, put, WatchOptions()).run()
    except Enough:
        return


def our_list(connection: Connection) -> int:
    """List all pods to observations."""
    count = 0

    def put(batch: list[Observation]) -> None:
        nonlocal count
        count += len(batch)
        if batch[-1].verb == "RELISTED":
            raise Enough

    stream(connection, None, put)
    return count - 1


def raw_list(connection: Connection) -> int:
    """List all pods by the client, raw pages to JSON."""
    from kubernetes.client import ApiClient, CoreV1Api

    core = CoreV1Api(ApiClient(connection.load()))
    count, more = 0, None
    while True:
        response = core.list_pod_for_all_namespaces(limit=500, _continue=more, _preload_content=False)
        page = json.loads(response.data)
        count += len(page["items"])
        more = page["metadata"].get("continue")
        if not more:
            return count


def our_watch(connection: Connection, version: str, least: int) -> int:
    """Take in a watch's events to observations."""
    count = 0

    def put(batch: list[Observation]) -> None:
        nonlocal count
        count += len(batch)
        if count >= least:
            raise Enough

    stream(connection, (version, 0), put)
    return count


def raw_watch(connection: Connection, version: str, least: int) -> int:
    """Take in a watch's events by the client, raw lines to JSON."""
    from kubernetes.client import ApiClient, CoreV1Api

    core = CoreV1Api(ApiClient(connection.load()))
    response = core.list_pod_for_all_namespaces(watch=True, resource_version=version, _preload_content=False)
    count, left = 0, b""
    for chunk in response.stream(1 << 16):
        *lines, left = (left + chunk).split(b"\n")
        count += len([json.loads(line) for line in lines])
        if count >= least:
            break
    response.close()
    return count


def measured(cluster: ControlPlane, count: int, make: Any) -> dict[str, Any]:
    """Fill the cluster and measure, ours and the raw client in turns, the best of three."""
    connection = connect(str(cluster.kubeconfig()), None)
    version = cluster.api().list("/api/v1/pods")[1]
    pods.fill(cluster.api(), count, make=make)
    found: dict[str, Any] = {"bytes_an_event": _size(cluster)}
    ways: dict[str, Callable[[], int]] = {
        "list": lambda: our_list(connection),
        "list_raw": lambda: raw_list(connection),
        "watch": lambda: our_watch(connection, version, 2 * count),
        "watch_raw": lambda: raw_watch(connection, version, 2 * count),
    }
    for _ in range(3):
        for name, way in ways.items():
            one = timed(way)
            if name not in found or one["cpu_s"] < found[name]["cpu_s"]:
                found[name] = one
    for name in ("watch", "watch_raw"):
        found[name]["events_a_core_second"] = round(found[name]["count"] / found[name]["cpu_s"])
    found["list_of_raw_wall"] = round(found["list"]["wall_s"] / found["list_raw"]["wall_s"], 2)
    found["peak_mb_of_a_list"] = _peak_mb(cluster)
    return found


def _size(cluster: ControlPlane) -> int:
    return len(cluster.api().request("GET", "/api/v1/namespaces/default/pods/filler-00000-00000").body)


def _peak_mb(cluster: ControlPlane) -> int:
    """List in a process of its own, which holds nothing else."""
    words = [sys.executable, __file__, "--list", str(cluster.kubeconfig())]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure small pods and realistic ones, each on a control plane of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--list", metavar="KUBECONFIG", help="only list once, and print the peak memory in MB")
    chosen = parser.parse_args()
    if chosen.list:
        our_list(connect(chosen.list, None))
        # ru_maxrss would count the process that started this one.
        status = Path("/proc/self/status").read_text().splitlines()
        print(next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")))
        return
    for name, make in (("small", pods.small), ("realistic", pods.realistic)):
        with ControlPlane() as cluster:
            print(json.dumps({name: measured(cluster, chosen.pods, make)}, indent=1), flush=True)


if __name__ == "__main__":
    main()

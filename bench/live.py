"""One way to list a cluster's pods, in a process of its own: python bench/live.py ours|raw|models KUBECONFIG [STORE]

ours: the watch's list into a store. raw: pages of 500 by the client, json.loads. models: the same pages as the client's
objects, as its own Watch makes them. Prints pods, wall and processor seconds and peak memory as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from load_history import peak_mb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ingest.cluster.watch.api_client import connect


def ours(kubeconfig: str, store: str) -> int:
    """List into the store, in batches of 2,000, as the recorder does."""
    from watch_speed import Enough, stream

    from enrich.store.evidence_store import EvidenceStore
    from whowas.observation import Observation

    waiting: list[Observation] = []
    count = 0
    with EvidenceStore(store, write=True) as evidence:

        def put(batch: list[Observation]) -> None:
            nonlocal count
            waiting.extend(batch)
            count += len(batch)
            over = batch[-1].verb == "RELISTED"
            if over or len(waiting) >= 2000:
                evidence.write(waiting)
                waiting.clear()
            if over:
                raise Enough

        stream(connect(kubeconfig, None), None, put)
    return count - 1


def raw(kubeconfig: str, _: str) -> int:
    """List by the client, pages as JSON."""
    from watch_speed import raw_list

    return raw_list(connect(kubeconfig, None))


def models(kubeconfig: str, _: str) -> int:
    """List by the client, pages as its models."""
    from kubernetes.client import ApiClient, CoreV1Api

    core = CoreV1Api(ApiClient(connect(kubeconfig, None).load()))
    count, more = 0, None
    while True:
        page = core.list_pod_for_all_namespaces(limit=500, _continue=more)
        count += len(page.items)
        more = page.metadata._continue
        if not more:
            return count


def main() -> None:
    """List once."""
    ways: dict[str, Callable[[str, str], int]] = {"ours": ours, "raw": raw, "models": models}
    name, kubeconfig, *store = sys.argv[1:]
    # What is imported, by the client also at its first call, is on nobody's clock.
    for module in ("kubernetes.client", "watch_speed", "enrich.store.evidence_store"):
        importlib.import_module(module)
    client = importlib.import_module("kubernetes.client")
    client.CoreV1Api(client.ApiClient(connect(kubeconfig, None).load())).list_pod_for_all_namespaces(limit=1)
    wall, cpu = time.perf_counter(), time.process_time()
    count = ways[name](kubeconfig, store[0] if store else "")
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({"pods": count, **took, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()

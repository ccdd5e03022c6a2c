"""What the apiserver told somebody else, what the store holds, and pods that come and go."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from support.servers import pods
from support.servers.api import Api, ApiError

from enrich.store.evidence_store import VERBS, EvidenceStore
from whowas.errors import StoreError

PODS = "/api/v1/pods"
# (verb, UID, resourceVersion)
Event = tuple[str, str, int]


class Witness:
    """A second watch of pods that knows no whowas: every event since it began, over restarts of the apiserver.

    torn: the apiserver forgot some of it (it does, when it restarts): `events` go on after a hole.
    """

    def __init__(self, api: Api) -> None:
        self.events: list[Event] = []
        self.torn = False
        self.failure: Exception | None = None
        self._api = api
        self._version = api.list(PODS)[1]
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave.set()

    def _run(self) -> None:
        while not self._leave.is_set():
            try:
                self._follow()
            except ApiError as error:
                if error.status == 410:
                    self.torn, self._version = True, self._api.list(PODS)[1]
                elif error.status < 429:
                    self.failure = error
                    return
            except OSError:
                pass
            time.sleep(0.05)

    def _follow(self) -> None:
        for _, event in self._api.events(PODS, resourceVersion=self._version, timeoutSeconds=300):
            if event["type"] == "ERROR":
                raise ApiError("GET", PODS, event["object"]["code"], json.dumps(event["object"]).encode())
            meta = event["object"]["metadata"]
            self.events.append((event["type"], meta["uid"], int(meta["resourceVersion"])))
            self._version = meta["resourceVersion"]

    def all(self, api: Api) -> list[Event]:
        """Every event up to now: wait until the watch has shown a last one, a pod made for it."""
        made = api.create("/api/v1/namespaces/default/pods", pods.small(f"last-{time.time_ns()}"))["metadata"]
        last = ("ADDED", made["uid"], int(made["resourceVersion"]))
        until = time.monotonic() + 20
        while last not in self.events:
            assert self.failure is None, self.failure
            assert time.monotonic() < until, "the witness saw no end"
            time.sleep(0.02)
        return self.events[: self.events.index(last) + 1]


def stored(path: Path, cluster: str = "test") -> list[Event]:
    """Every event of pods in the store, read beside the recorder."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT verb, uid, version FROM event JOIN object ON object.id = event.object JOIN cluster ON "
        "cluster.id = object.cluster WHERE kind = 1 AND verb < 5 AND cluster.name = ? ORDER BY event.id",
        (cluster,),
    ).fetchall()
    database.close()
    return [(VERBS[verb], uid, version) for verb, uid, version in rows]


def standing(path: Path, cluster: str = "test") -> set[str]:
    """The UIDs of the pods that, as the store knows, are not gone."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT uid FROM object JOIN cluster ON cluster.id = object.cluster "
        "WHERE kind = 1 AND gone_us IS NULL AND cluster.name = ?",
        (cluster,),
    ).fetchall()
    database.close()
    return {uid for (uid,) in rows}


def gaps(path: Path) -> list[tuple[str, int, int]]:
    """Every gap in what the store knows of pods: kind, from, to."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = database.execute("SELECT kind, low_us, high_us FROM span WHERE gap = 1 AND kind IN ('', 'Pod')").fetchall()
    database.close()
    return rows


def cursor(path: Path, cluster: str = "test") -> int:
    """The version up to which pods are durable; 0 before the first list is complete, and before there is a store."""
    with contextlib.suppress(StoreError), contextlib.closing(EvidenceStore(path)) as store:
        found = store.cursors(cluster).get("Pod")
        return int(found.version) if found else 0
    return 0


def wait_for_version(path: Path, version: int, cluster: str = "test", seconds: float = 20) -> None:
    """Wait until the recorder has made durable all that pods did up to a version."""
    until = time.monotonic() + seconds
    while (now := cursor(path, cluster)) < version:
        assert time.monotonic() < until, f"the store is at {now}, the apiserver at {version}"
        time.sleep(0.05)


def differences(seen: list[Event], kept: list[Event]) -> dict[str, list[Event]]:
    """What was lost and what was doubled or made up; both empty when the store is right."""
    told, held = Counter(seen), Counter(kept)
    return {"lost": sorted((told - held).elements()), "doubled": sorted((held - told).elements())}


@contextlib.contextmanager
def churn(api: Api, pods_per_second: float = 40, seed: int = 1) -> Iterator[None]:
    """Create, run and delete pods until the block ends. Refusals of an apiserver that is down are waited out."""
    leave, rng = threading.Event(), random.Random(seed)

    def life(number: int) -> None:
        name, path = f"churn-{seed}-{number}", f"/api/v1/namespaces/default/pods/churn-{seed}-{number}"
        pods.run(api, pods.small(name, f"node-{number % 5}"), f"10.201.{number // 250 % 250}.{number % 250 + 1}")
        if rng.random() < 0.8:
            api.delete(path, grace_seconds=0)

    def run() -> None:
        number = 0
        while not leave.wait(1 / pods_per_second):
            number += 1
            try:
                life(number)
            except (ApiError, OSError):
                leave.wait(0.1)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        yield
    finally:
        leave.set()
        worker.join(20)

"""The clocks: that of the recorder, and those of the nodes in their Leases."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.cluster.following import QUICK, connection_to, until
from support.cluster.hostile import Answer, Asked, Hostile, answer, chunk, stream

from ingest.cluster.watch.node_leases import LeaseStream
from ingest.cluster.watch.resources import LEASES
from ingest.cluster.watch.watch_state import WallClock
from whowas.backoff import Backoff
from whowas.observation import Observation


def test_a_clock_that_is_set_is_noticed() -> None:
    wall, steady = [1_000 * 10**9], [5 * 10**9]
    clock = WallClock(lambda: wall[0], lambda: steady[0])
    for passed, ahead, step in ((1, 0, 0), (60, 0.5, 0), (1, -3600, -3600), (1, 0, 0), (1, 10, 10)):
        steady[0] += int(passed * 10**9)
        wall[0] += int((passed + ahead) * 10**9)
        assert clock.now_us() == wall[0] // 1000
        assert clock.stepped_seconds == pytest.approx(step)


def test_pauses_grow_to_their_most_and_start_again() -> None:
    pauses = Backoff(0.5, 30.0)
    found = [pauses.pause() for _ in range(200)]
    assert all(0 <= one <= 30 for one in found)
    assert found[0] <= 0.5
    assert max(found[10:]) > 15
    pauses.healthy()
    assert pauses.pause() <= 0.5


def lease(name: str, version: int, ago_seconds: float) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(seconds=ago_seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    meta = {"name": name, "uid": f"u-{name}", "namespace": "kube-node-lease", "resourceVersion": str(version)}
    return {"metadata": meta, "spec": {"holderIdentity": name, "renewTime": at}}


def test_leases_become_few_words_about_clocks(tmp_path: Path) -> None:
    def event(verb: str, *of: Any) -> bytes:
        return json.dumps({"type": verb, "object": {"kind": "Lease", **lease(*of)}}).encode() + b"\n"

    def script(asked: Asked) -> Answer:
        if asked.sort != "watch":
            body = {"metadata": {"resourceVersion": "7"}, "items": [lease("n1", 1, 5), lease("n2", 2, 5)]}
            return answer(json.dumps(body).encode())
        words = [event("MODIFIED", "n1", 8, 5.5), event("MODIFIED", "n1", 9, 0.2), event("MODIFIED", "n1", 10, 0.4)]
        words += [event("MODIFIED", "n2", 11, 6), event("DELETED", "n2", 12, 0.1), event("BOOKMARK", "", 13, 0.1)]
        return [*stream(*words), chunk(event("ADDED", "n3", 14, 1)), 9.0]

    seen: list[Observation] = []
    with Hostile(script) as server:
        one = LeaseStream(LEASES, connection_to(tmp_path, server.url), "paris", seen.extend, QUICK)
        thread = threading.Thread(target=one.run)
        thread.start()
        try:
            until(lambda: any(word.object.metadata and word.object.metadata.name == "n3" for word in seen))
        finally:
            one.interrupt()
            thread.join(8)
    found = [(word.verb, word.object.kind, word.object.metadata.name) for word in seen if word.object.metadata]
    assert found == [("CLOCK", "Node", name) for name in ("n1", "n2", "n1", "n3")]
    assert seen[2].object.spec is not None
    assert seen[2].object.spec.renewTime is not None
    assert one.state.optional
    assert (one.state.version, one.state.gaps) == ("14", 0)

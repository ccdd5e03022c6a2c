"""A worker whose history comes from a topic names as one beside the recorder does."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from support.evidence_topic.teller import Teller
from support.servers.broker import Broker
from support.store.written import T0, seen, thing
from support.streaming.flow_records import column, count, produce, record
from support.streaming.workers import Start, wait_until

from whowas.evidence_topic import TopicSettings
from whowas.observation import KubeObject, Meta, Observation

Tables = dict[str, dict[str, Any]]
AT = T0 / 1e6 + 20


def bookmarks(at_seconds: float) -> list[Observation]:
    """All kinds are known up to here."""
    return [seen("BOOKMARK", KubeObject(kind, Meta(resourceVersion="9")), at_seconds)
            for kind in ("Pod", "Service", "Node")]  # fmt: skip


def test_workers_name_by_what_the_topic_tells(
    broker: Broker, topic: str, start: Start, tables: Tables, client: str, tmp_path: Path
) -> None:
    settings = TopicSettings(f"evidence-{uuid.uuid4().hex[:8]}", client, broker.options())
    tables["history"] = {"path": str(tmp_path / "replica.db"), "topic": settings.topic, "refresh_seconds": 0.2}
    tables["naming"]["wait"] = "final"
    produce(broker, topic, [record(number, AT) for number in range(100)])
    with Teller(tmp_path / "h.db", settings) as teller:
        early = start()
        teller.tell([seen("ADDED", thing("web", version=8), 15), *bookmarks(20)])
        teller.settle()
        late = start()
        time.sleep(2)
        assert not count(tmp_path / "named"), "the history is not known far enough"
        teller.tell(bookmarks(60))
        wait_until(lambda: count(tmp_path / "named") == 100, early, 120)
        wait_until(lambda: any(line["replica"]["state"] in ("shared", "reading") for line in late.lines()), late)
    for worker in (late, early):
        assert worker.stop() == 0, worker.told()
    assert column(tmp_path / "named", "dst_pod") == {"web": 100}


def test_check_says_how_far_the_replica_is(
    broker: Broker, topic: str, tables: Tables, config: Any, client: str, tmp_path: Path
) -> None:
    from whowas.config import load
    from whowas.streaming.preflight import checks

    settings = TopicSettings(f"evidence-{uuid.uuid4().hex[:8]}", client, broker.options())
    tables["history"] = {"path": str(tmp_path / "replica.db"), "topic": settings.topic}

    def said() -> Any:
        return next(one for one in checks(load(str(config()))) if one.what == "history")

    assert not said().ok
    assert "there is none; start 'whowas watch --to-kafka" in said().detail
    with Teller(tmp_path / "h.db", settings) as teller:
        teller.tell(bookmarks(1))
        teller.settle()
    assert said().ok
    assert "has come to 0 of" in said().detail

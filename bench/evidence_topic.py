"""What a topic of evidence costs: writing with and without an outbox, sending, filling a replica. Prints JSON.

python bench/evidence_topic.py [PODS] [--client kafka-python|confluent]

Times are of the processor, of this process; the broker (a real one, on this machine) is another.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests")]
AT_ONCE = 200


def observations(pods: int) -> list[Any]:
    """A made-up day of pods, decoded as the recorder decodes it."""
    from fill_store import lines_of

    from ingest.cluster.evidence.lines import event_observation
    from ingest.cluster.evidence.reader import _event

    lines = lines_of(pods, 2_000, ("made", "runs", "ends", "gone"), True)
    return [event_observation(line, "", None) for line in map(_event, lines) if line is not None]


def groups(told: list[Any]) -> Iterator[list[Any]]:
    """As a busy recorder writes them."""
    return (told[low : low + AT_ONCE] for low in range(0, len(told), AT_ONCE))


def write(path: Path, told: list[Any], outbox: bool) -> float:
    """Seconds to write all of it."""
    from enrich.store.evidence_store import EvidenceStore
    from ingest.cluster.evidence.messages import to_messages

    with EvidenceStore(path, write=True, pack=to_messages if outbox else None) as store:
        if store.outbox is not None:
            store.outbox.begin()
        began = time.process_time()
        for piece in groups(told):
            store.write(piece)
        return time.process_time() - began


def snapshot(path: Path) -> tuple[float, int]:
    """Seconds to put all of a store into messages, and their bytes."""
    from enrich.store.evidence_store import EvidenceStore
    from ingest.cluster.evidence.messages import to_messages

    took, size = 0.0, 0
    with EvidenceStore(path, write=True, pack=to_messages) as store:
        assert store.outbox is not None
        began = time.process_time()
        store.outbox.begin()
        while store.outbox.step(1.0):
            pass
        took = time.process_time() - began
        size = store.outbox.size()[1]
    return took, size


def send(path: Path, settings: Any) -> float:
    """Seconds to send what lies in an outbox."""
    from support.evidence_topic.teller import Teller

    began = time.process_time()
    with Teller(path, settings) as teller:
        teller.settle(600)
    return time.process_time() - began


def keep(path: Path, settings: Any) -> tuple[float, float, int]:
    """Seconds to fill a replica, by the processor and by the wall, and its events."""
    from whowas.evidence_topic import Replica

    began, wall = time.process_time(), time.monotonic()
    with Replica(str(path), settings) as replica:
        assert replica.wait_ready(600), replica.unready()
        return time.process_time() - began, time.monotonic() - wall, replica.vitals().events


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pods", type=int, nargs="?", default=20_000)
    parser.add_argument("--client", default="kafka-python")
    asked = parser.parse_args()
    from support.servers.broker import Broker

    from enrich.store.outbox import OutboxReader
    from whowas.evidence_topic import TopicSettings

    told = observations(asked.pods)
    found: dict[str, Any] = {"pods": asked.pods, "events": len(told), "client": asked.client}
    with tempfile.TemporaryDirectory() as name, Broker() as broker:
        folder = Path(name)
        settings = TopicSettings("evidence", asked.client, broker.options())
        # In turns, so that what else this machine does falls on both.
        took: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(3):
            for outbox in took:
                took[outbox].append(write(folder / f"{turn}-{outbox}", told, outbox))
        for name, outbox in (("write", False), ("write_with_outbox", True)):
            found[f"{name}_events_per_second"] = round(len(told) / min(took[outbox]))
        reader = OutboxReader(str(folder / "0-True"))
        rows = reader.look(most=1 << 30).rows
        reader.close()
        found["bytes_per_event"] = round(sum(len(value) for _, value in rows) / len(told), 1)
        seconds, size = snapshot(folder / "0-False")
        found["snapshot_events_per_second"] = round(len(told) / seconds)
        found["snapshot_bytes_per_event"] = round(size / len(told), 1)
        found["send_events_per_second"] = round(len(told) / send(folder / "0-True", settings))
        cpu, wall, events = keep(folder / "replica", settings)
        found["replica_events"] = events
        found["replica_events_per_core_second"] = round(events / cpu)
        found["replica_events_per_second"] = round(events / wall)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

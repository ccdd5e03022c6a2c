"""Fill a store with the pods of a made-up day, as a recorder would; print what it took as JSON.

python bench/fill_store.py STORE PODS [--stages made,runs,ends,gone] [--realistic] [--peer]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "tests")]
AT_ONCE = 2000
PIECE = 20_000
# Every pod of the made-up day says this; what a chart and a mesh add to a real one goes in here.
SPOT = '"restartPolicy":"Always",'


def lines_of(pods: int, slots: int, stages: tuple[str, ...], realistic: bool) -> Iterator[bytes]:
    """Yield the day as a watch delivers it, an event a line."""
    from cluster_day import _events, _fixed, _pod_line, make_day

    day = make_day(pods, min(slots, pods))
    more = SPOT + _padding() if realistic else SPOT
    yield from (line.encode() for line in _fixed(day))
    for number, (moment, hold, stage) in enumerate(_events(day, stages)):
        yield _pod_line(day, moment, hold, stage, number).replace(SPOT, more).encode()


def _padding() -> str:
    """The fields of a real pod's spec that whowas does not read."""
    from support.servers import pods

    spec = pods.realistic("billing-api-6c9f7d5b8-abcde")["spec"]
    several = [{**spec["containers"][0], "name": f"init-{number}"} for number in range(4)]
    kept = {"volumes": spec["volumes"], "tolerations": spec["tolerations"], "initContainers": several}
    return json.dumps(kept, separators=(",", ":"))[1:-1] + ","


def fill(path: Path, every: Iterator[bytes]) -> dict[str, object]:
    """Decode, write, pack: only these are on the clock."""
    from enrich.store.evidence_store import EvidenceStore
    from enrich.store.prune import compact
    from ingest.cluster.evidence.lines import event_observation
    from ingest.cluster.evidence.reader import _event

    took = dict.fromkeys(("decode", "write", "pack", "compact"), 0.0)
    events, read, slowest = 0, 0, 0.0
    with EvidenceStore(path, write=True) as store:
        while piece := list(islice(every, PIECE)):
            start = time.process_time()
            seen = [event_observation(line, "", None) for line in map(_event, piece) if line is not None]
            decoded = time.process_time()
            for low in range(0, len(seen), AT_ONCE):
                began = time.perf_counter()
                store.write(seen[low : low + AT_ONCE])
                slowest = max(slowest, time.perf_counter() - began)
            written = time.process_time()
            while store.maintain(1.0):
                pass
            took["decode"] += decoded - start
            took["write"] += written - decoded
            took["pack"] += time.process_time() - written
            events, read = events + len(seen), read + sum(map(len, piece))
    start = time.process_time()
    compact(str(path))
    took["compact"] = time.process_time() - start
    return {"events": events, "line_bytes": read, "cpu_seconds": took, "slowest_write_seconds": slowest}


def keep_lines(path: Path, every: Iterator[bytes]) -> dict[str, object]:
    """What is compared with: each line read by json.loads and kept as it came, in transactions as large."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE event(id INTEGER PRIMARY KEY, uid TEXT, version TEXT, line BLOB)")
    events, read, took = 0, 0, 0.0
    while piece := list(islice(every, AT_ONCE)):
        start = time.process_time()
        metas = [json.loads(line)["object"]["metadata"] for line in piece]
        rows = [(one["uid"], one["resourceVersion"], line) for one, line in zip(metas, piece, strict=True)]
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO event(uid, version, line) VALUES(?, ?, ?)", rows)
        database.execute("COMMIT")
        took += time.process_time() - start
        events, read = events + len(piece), read + sum(map(len, piece))
    database.close()
    return {"events": events, "line_bytes": read, "cpu_seconds": {"write": took}}


def main() -> None:
    """Fill, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("pods", type=int)
    parser.add_argument("--slots", type=int, default=2_000)
    parser.add_argument("--stages", default="made,runs,ends,gone")
    parser.add_argument("--realistic", action="store_true", help="lines as long as those of real pods")
    parser.add_argument("--peer", action="store_true", help="json.loads and the lines as they are, into SQLite")
    told = parser.parse_args()
    every = lines_of(told.pods, told.slots, tuple(told.stages.split(",")), told.realistic)
    found = (keep_lines if told.peer else fill)(told.store, every)
    files = [f"{told.store}{tail}" for tail in ("", "-wal")]
    found["bytes"] = sum(os.path.getsize(one) for one in files if os.path.exists(one))
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main()

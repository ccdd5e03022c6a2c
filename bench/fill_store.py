"""Fill a store with the pods of a made-up day, as a recorder would; print what it took as JSON.

python bench/fill_store.py STORE PODS [--stages made,runs,ends,gone]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
AT_ONCE = 2000
PIECE = 20_000


def main() -> None:
    """Make lines, decode them, write them, pack; only the last three are on the clock."""
    from cluster_day import _events, _fixed, _pod_line, make_day

    from enrich.evidence import EvidenceStore
    from ingest.cluster.read import _event, _one

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("pods", type=int)
    parser.add_argument("--slots", type=int, default=2_000)
    parser.add_argument("--stages", default="made,runs,ends,gone")
    told = parser.parse_args()
    day = make_day(told.pods, min(told.slots, told.pods))

    def lines() -> Iterator[bytes]:
        yield from (line.encode() for line in _fixed(day))
        for number, (moment, hold, stage) in enumerate(_events(day, tuple(told.stages.split(",")))):
            yield _pod_line(day, moment, hold, stage, number).encode()

    took = {"decode": 0.0, "write": 0.0, "pack": 0.0}
    events = 0
    every = lines()
    with EvidenceStore(told.store, write=True) as store:
        while piece := list(islice(every, PIECE)):
            start = time.process_time()
            seen = [_one(line, "", None) for line in map(_event, piece) if line is not None]
            decoded = time.process_time()
            for low in range(0, len(seen), AT_ONCE):
                store.write(seen[low : low + AT_ONCE])
            written = time.process_time()
            while store.maintain(1.0):
                pass
            took["decode"] += decoded - start
            took["write"] += written - decoded
            took["pack"] += time.process_time() - written
            events += len(seen)
    size = sum(os.path.getsize(f"{told.store}{tail}") for tail in ("", "-wal") if os.path.exists(f"{told.store}{tail}"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"events": events, "cpu_seconds": took, "bytes": size, "peak_mb": peak}))


if __name__ == "__main__":
    main()

"""A folder of named flows to ask: python bench/workbench_flows.py OUT [--flows 4000000] [--hours 24]

Flows of rule_flows (workloads that talk to the same few others, one in a thousand odd), spread over hours, one file an
hour or more, as a compacted folder has them. One end in ten is outside the cluster.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402 - beside what stands in the folder above
from cluster_day import DAY_START_US  # noqa: E402
from rule_flows import at_new_times, named  # noqa: E402

ROWS = 65_536
BATCHES = 4
HOUR_US = 3_600_000_000


def make(out: Path, flows: int, hours: int) -> int:
    """Write named flows; returns how many."""
    from sinks.flows.parquet import ParquetOptions, ParquetSink

    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        kept = named(Path(name), ROWS, BATCHES)
    an_hour = max(1, flows // hours)
    written = 0
    for hour in range(hours):
        sink = ParquetSink(out, f"h{hour:03d}", ParquetOptions(rows_held=1 << 20, existing="append"))
        sink.check()
        for batch in range(-(-an_hour // ROWS)):
            rows = min(ROWS, an_hour - batch * ROWS)
            part = kept[(hour + batch) % BATCHES].slice(0, rows)
            begin = DAY_START_US + hour * HOUR_US + batch * ROWS * HOUR_US // an_hour
            sink.write(at_new_times(random, part, begin, rows, an_hour * 24))
            written += rows
        sink.close()
    return written


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--flows", type=int, default=4_000_000)
    parser.add_argument("--hours", type=int, default=24)
    told = parser.parse_args()
    print(f"{make(told.out, told.flows, told.hours):,} flows in {told.out}")


if __name__ == "__main__":
    main()

"""A folder of named flows to ask: python bench/workbench_flows.py OUT [--flows 4000000] [--hours 24]

Flows of rule_flows (workloads that talk to the same few others), one file an hour, as a compacted folder has them. One
end in ten is outside the cluster. One flow in a thousand goes to a port of its hour, so that every hour has edges that
no hour before had. Some thousand flows are named once; every row group has them at new times with new ids, so that 50
million take minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402 - beside what stands in the folder above
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from cluster_day import DAY_START_US  # noqa: E402
from rule_flows import ODD_PORTS, at_new_times, named  # noqa: E402

ROWS = 65_536
BATCHES = 8
HOUR_US = 3_600_000_000
NEW_PORTS = 200


def make(out: Path, flows: int, hours: int) -> int:
    """Write named flows; returns how many."""
    from whowas.flow_folders import hour_folder

    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        kept = named(Path(name), ROWS, BATCHES)
    an_hour = max(1, flows // hours)
    for hour in range(hours):
        folder = out / hour_folder(("bench", DAY_START_US // HOUR_US + hour))
        folder.mkdir(parents=True)
        _write(folder / "whowas-bench-00000.parquet", _groups(random, kept, hour, an_hour))
    return an_hour * hours


def _groups(random: Any, kept: list[Any], hour: int, an_hour: int) -> Iterator[Any]:
    """The row groups of an hour, in order of time."""
    begun = DAY_START_US + hour * HOUR_US
    ports = random.integers(1024, 65_535, NEW_PORTS).astype(np.int32)
    for batch in range(-(-an_hour // ROWS)):
        rows = min(ROWS, an_hour - batch * ROWS)
        part = kept[(hour + batch) % BATCHES].slice(0, rows)
        part = at_new_times(random, part, begun + batch * ROWS * HOUR_US // an_hour, rows, an_hour * 24)
        yield _odd(random, part, ports)


def _odd(random: Any, batch: Any, ports: Any) -> Any:
    """What is odd goes to ports that only this hour has."""
    told = batch.column("dst_port").to_numpy(zero_copy_only=False)
    moved = np.where(np.isin(told, ODD_PORTS), random.choice(ports, len(told)), told)
    place = batch.schema.get_field_index("dst_port")
    return batch.set_column(place, batch.schema.field(place), pa.array(moved).cast(batch.schema.field(place).type))


def _write(path: Path, groups: Iterator[Any]) -> None:
    """Write a file as the sink does, a row group at a time."""
    from sinks.flows.parquet_encoding import footer, spread, writer_options
    from sinks.flows.sorting import in_order

    writer = None
    with path.open("wb") as handle:
        for batch in groups:
            table = in_order([batch])
            made = spread(table)
            writer = writer or pq.ParquetWriter(handle, made.schema, **writer_options(made))
            writer.write_table(made)
        if writer is not None:
            writer.add_key_value_metadata(footer(table))
            writer.close()


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

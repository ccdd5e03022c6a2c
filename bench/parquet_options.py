"""What each choice in a Parquet file costs: python bench/parquet_options.py [--turns 12]

One batch of named flows is written with one option changed at a time, in turns; processor time and bytes a flow, the
best of all turns, as JSON. Then DuckDB asks many such files for an address that is in none, with bloom filters and
without.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import pyarrow as pa  # noqa: E402 - beside what stands in the folder above
import pyarrow.parquet as pq  # noqa: E402
from cluster_day import make_day  # noqa: E402
from name_flows import HOLDS, SLOTS, history, traffic  # noqa: E402

from sinks.flows.parquet_encoding import SEARCHED, SEARCHED_BYTES, spread, writer_options  # noqa: E402
from sinks.flows.sorting import in_order  # noqa: E402
from whowas.schema import plain  # noqa: E402

ROWS, FILES = 65_536, 48
NOBODY = "203.0.113.77"


def bloomed(table: Any) -> dict[str, Any]:
    """A bloom filter for each column that is searched, as large as it must be."""
    distinct = {name: len(table[name].unique()) for name in (*SEARCHED, *SEARCHED_BYTES)}
    return {name: {"ndv": number, "fpp": 0.01} for name, number in distinct.items()}


def choices(table: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Tables and options of the writer, by what is changed."""
    made = spread(table)
    told = writer_options(made)
    flat = plain(table)
    return {
        "as it is": (made, told),
        "no compression": (made, told | {"compression": "none"}),
        "lz4": (made, told | {"compression": "lz4"}),
        "no page checksums": (made, told | {"write_page_checksum": False}),
        "no page index": (made, told | {"write_page_index": False}),
        "no statistics": (made, told | {"write_statistics": False}),
        "data pages 2": (made, told | {"data_page_version": "2.0"}),
        "plain numbers and ids": (made, told | {"column_encoding": None}),
        "bloom filters": (made, told | {"bloom_filter_options": bloomed(table)}),
        "maps and lists of plain text": (flat, told),
    }


def written(table: Any, options: dict[str, Any]) -> Any:
    """A file in memory."""
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(buffer, table.schema, **options) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def timed(work: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def costs(table: Any, turns: int) -> list[dict[str, Any]]:
    """Write with each choice in turn."""
    known, best = choices(table), dict[str, float]()
    for _ in range(turns):
        for name, (one, options) in known.items():
            best[name] = min(best.get(name, 1e9), timed(lambda one=one, options=options: written(one, options)))
    return [
        {"choice": name, "ns_a_flow": best[name] * 1e9 / ROWS, "bytes_a_flow": written(*known[name]).size / ROWS}
        for name in known
    ]


def asked(table: Any, folder: Path, turns: int) -> list[dict[str, Any]]:
    """Ask for an address that no file has."""
    import duckdb

    database = duckdb.connect()
    database.execute("SET threads = 1")
    best: dict[str, float] = {}
    for name in ("as it is", "bloom filters"):
        (folder / name).mkdir()
        (folder / name / "0.parquet").write_bytes(written(*choices(table)[name]))
        for number in range(1, FILES):
            os.link(folder / name / "0.parquet", folder / name / f"{number}.parquet")
    for _ in range(turns):
        for name in ("as it is", "bloom filters"):
            sql = f"SELECT count(*), sum(bytes_out) FROM '{folder / name}/*.parquet' WHERE src_ip = '{NOBODY}'"
            best[name] = min(best.get(name, 1e9), timed(lambda sql=sql: database.execute(sql).fetchall()))
    return [{"question": f"{name}, {FILES} files", "ms": seconds * 1e3} for name, seconds in best.items()]


def main() -> None:
    """Measure, print."""
    from enrich import Namer

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--turns", type=int, default=12)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        known = history(Path(name), make_day(HOLDS, SLOTS))
        table = in_order([Namer(known).name(one) for one in traffic(ROWS, 1, "uniform")])
        for row in costs(table, told.turns) + asked(table, Path(name), told.turns):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

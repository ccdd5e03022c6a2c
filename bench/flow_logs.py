"""What a record of each flow log costs to read, beside native JSON readers on the same lines, in one run.

    python -m bench.flow_logs [--rows 20000]

CPU time (user and system) of one process, best of several turns, us a record.
The records are those of tests/support/flow_logs.py.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
TURNS = 7


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cost(task: Callable[[], Any], rows: int) -> float:
    """us a record, compiled and warm, best of some turns."""
    task()
    best = float("inf")
    for _ in range(TURNS):
        before = cpu()
        task()
        best = min(best, cpu() - before)
    return best / rows * 1e6


def varied(value: bytes, number: int, form: str) -> bytes:
    """The same conversation from one of two thousand addresses."""
    if "protobuf" in form:
        return value.replace(bytes([10, 1, 0, 5]), bytes([10, 1, number // 250 % 8, number % 250]))
    return value.replace(b"10.1.0.5", f"10.1.{number // 250 % 8}.{number % 250}".encode())


def formats(rows: int) -> dict[str, tuple[int, float]]:
    """Bytes and cost of a record of each format, values to record batches of flows."""
    from support.flow_logs import EXAMPLES

    from ingest.records import Ids, Values, reader_for

    found = {}
    for form, example in EXAMPLES.items():
        values = [*example.values[:-1], *(varied(example.values[-1], number, form) for number in range(rows))]
        reader = reader_for(form, values, example.options)
        packed, ids = Values.of(values), Ids("bench", np.arange(len(values)))
        assert reader.read(packed, ids).flows.num_rows == rows
        found[form] = len(values[-1]), cost(lambda r=reader, p=packed, i=ids: r.read(p, i), rows)
    return found


def parsers(rows: int) -> dict[str, float]:
    """What finding the same twelve fields costs alone: whowas's kernel and native readers, NetObserv's JSON."""
    import duckdb
    import msgspec
    import pyarrow as pa
    import pyarrow.json as pj
    from support.flow_logs import line, netobserv

    from ingest.records import Values
    from ingest.records.fields import Plan, read_json

    texts = ("SrcAddr", "DstAddr", "SrcMac", "AgentIP")
    whole = ("SrcPort", "DstPort", "Proto", "Bytes", "Packets", "TimeFlowStartMs", "TimeFlowEndMs", "Flags")
    pad = {"Dscp": 0, "IfDirections": [0], "TimeFlowRttNs": 10000, "Udns": [""]}
    values = [varied(line(netobserv(**pad)), number, "netobserv") for number in range(rows)]
    joined, packed, plan = b"\n".join(values), Values.of(values), Plan({name: (name,) for name in (*texts, *whole)})
    schema = pa.schema([*((name, pa.string()) for name in texts), *((name, pa.int64()) for name in whole)])
    struct = msgspec.defstruct("Record", [*((name, str) for name in texts), *((name, int) for name in whole)], gc=False)
    decoder = msgspec.json.Decoder(struct)
    columns = {**dict.fromkeys(texts, "VARCHAR"), **dict.fromkeys(whole, "BIGINT")}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "flows.json")
        Path(path).write_bytes(joined)
        base = duckdb.connect()
        base.execute("SET threads=1")
        query = f"SELECT * FROM read_json('{path}', format='newline_delimited', columns={columns})"
        pa.set_cpu_count(1)
        how = pj.ReadOptions(use_threads=False, block_size=len(joined) + 1)
        what = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        return {
            "bytes": len(values[0]),
            "whowas, fields found": cost(lambda: read_json(packed, plan), rows),
            "DuckDB read_json": cost(lambda: base.sql(query).to_arrow_table(), rows),
            "msgspec, typed": cost(lambda: [decoder.decode(value) for value in values], rows),
            "Arrow JSON": cost(lambda: pj.read_json(pa.py_buffer(joined), how, what), rows),
        }


def main() -> None:
    """Print both tables."""
    told = argparse.ArgumentParser()
    told.add_argument("--rows", type=int, default=20_000)
    rows = told.parse_args().rows
    load = re.match(r"\S+", Path("/proc/loadavg").read_text())
    print(f"us of CPU a record, best of {TURNS} turns, {rows:,} records; load {load.group(0) if load else '?'}\n")
    for name, value in parsers(rows).items():
        print(f"{name:<24} {value:>8.2f}")
    print()
    for form, (size, value) in formats(rows).items():
        print(f"{form:<24} {value:>8.2f}   {size:>4} bytes")


if __name__ == "__main__":
    main()

"""What naming a flow and writing it cost: python bench/name_flows.py [--rows 65536] [--pairs zipf] [--profile]

Flows as flow records give them (one direction, a time of receipt, no layers of tunnels) among 2,000 pod addresses that
are handed on all day, in batches; processor time of all threads by step, in microseconds a flow, as JSON.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402 - beside what stands in the folder above
import pyarrow as pa  # noqa: E402
from cluster_day import DAY_START_US, DAY_US, Day, address, make_day, write_evidence  # noqa: E402

from whowas.schema import flow_schema  # noqa: E402

SLOTS, HOLDS, SENSORS, MACS = 2_000, 20_000, 40, 2_000
OUTSIDE, ELSEWHERE = 0.1, 5_000
# So many flows pass in a second: what decides how long a batch is in time.
FLOWS_A_SECOND = 20_000
ZIPF = 1.2
Numbers = Any


def traffic(rows: int, batches: int, pairs: str, seed: int = 1) -> Iterator[Any]:
    """Yield batches of whowas.schema.flow_schema, past noon. pairs: how ends are drawn, uniform or zipf."""
    random = np.random.default_rng(seed)
    words = [address(slot) for slot in range(SLOTS)]
    words += [f"{one >> 8 & 255 | 96}.{one & 255}.7.9" for one in random.permutation(1 << 13)[:ELSEWHERE]]
    order = random.permutation(SLOTS)
    began = DAY_START_US + DAY_US // 2 + 600_000_000
    for number in range(batches):
        ends = began + (number * rows + np.sort(random.integers(0, rows, rows))) * 1_000_000 // FLOWS_A_SECOND
        starts = ends - random.exponential(2e6, rows).astype(np.int64)
        sides = [_drawn(random, rows, pairs, order, outside) for outside in (0.0, OUTSIDE)]
        yield _batch(random, words, sides, starts, ends)


def _drawn(random: Any, rows: int, pairs: str, order: Numbers, outside: float) -> Numbers:
    """Numbers of addresses: the first SLOTS are pods'."""
    if pairs == "uniform":
        inner = random.integers(0, SLOTS, rows)
    else:
        inner = order[random.zipf(ZIPF, rows) % SLOTS]
    return np.where(random.random(rows) < outside, SLOTS + random.integers(0, ELSEWHERE, rows), inner)


def _batch(random: Any, words: list[str], sides: list[Numbers], starts: Numbers, ends: Numbers) -> Any:
    rows = len(starts)
    columns: dict[str, Any] = {
        "flow_id": _ids(random, rows),
        "start_time": pa.array(starts),
        "end_time": pa.array(ends),
        "received_time": pa.array(ends + random.integers(200_000, 5_000_000, rows)),
        "protocol": _coded(np.zeros(rows, np.int32), ["tcp"]),
        "protocol_number": pa.array(np.full(rows, 6, np.uint8)),
        "bytes_out": pa.array(random.lognormal(7, 2, rows).astype(np.int64) + 60),
        "packets_out": pa.array(random.integers(1, 30, rows)),
        "tcp_flags": pa.array(random.choice([2, 16, 18, 24, 25, 27], rows)),
        "observer": _coded(random.integers(0, SENSORS, rows), [f"sensor-{one}" for one in range(SENSORS)]),
        "source_format": _coded(np.zeros(rows, np.int32), ["netobserv"]),
    }
    ports = (random.integers(32_768, 61_000, rows), random.choice([53, 80, 443, 5432, 8080, 9090], rows))
    for side, number, port in zip(("src", "dst"), sides, ports, strict=True):
        columns[f"{side}_ip"], columns[f"{side}_ip16"] = _addresses(words, number)
        columns[f"{side}_port"] = pa.array(port)
        macs = [f"0a:58:0a:f4:{one >> 8:02x}:{one & 255:02x}" for one in range(MACS)]
        columns[f"{side}_mac"] = _coded(number % MACS, macs)
    arrays = [
        columns[one.name].cast(one.type) if one.name in columns else pa.nulls(rows, one.type) for one in flow_schema()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=flow_schema())


def _ids(random: Any, rows: int) -> Any:
    text = np.frombuffer(random.bytes(16 * rows).hex().encode(), np.uint8)
    offsets = np.arange(rows + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text))


def _coded(numbers: Numbers, words: list[str]) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int32)), pa.array(words))


def _addresses(words: list[str], numbers: Numbers) -> tuple[Any, Any]:
    """Text of the addresses that are there, and their 16 bytes."""
    there, index = np.unique(numbers, return_inverse=True)
    text = [words[one] for one in there]
    octets = np.array([bytes(10) + b"\xff\xff" + bytes(map(int, one.split("."))) for one in text], "S16")
    whole = octets.view(np.uint8).reshape(-1, 16)[index]
    return _coded(index, text), pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(whole))]
    )


def history(folder: Path, day: Day) -> Any:
    """The history of a made-up day."""
    from whowas.history.queries import load_history

    path = folder / "evidence.jsonl"
    write_evidence(path, day)
    return load_history(path)


class Clock:
    """Processor time of all threads, by step."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def __call__(self, step: str, work: Callable[..., Any], *told: Any) -> Any:
        began = time.process_time()
        made = work(*told)
        self.spent[step] = self.spent.get(step, 0.0) + time.process_time() - began
        return made


def once(namer: Any, flows: list[Any], out: Path) -> dict[str, float]:
    """Name and write all batches. Returns: microseconds a flow, by step; bytes a flow."""
    from sinks.flows.parquet import ParquetSink

    clock, sink = Clock(), ParquetSink(out, "bench")
    sink.check()
    for one in flows:
        named = clock("name", namer.name, one)
        clock("write", sink.write, named)
    clock("write", sink.close)
    rows = sum(one.num_rows for one in flows)
    told = {step: seconds * 1e6 / rows for step, seconds in clock.spent.items()}
    told["name_and_write"] = told["name"] + told["write"]
    return told | {"bytes_a_flow": sink.bytes_written / rows}


def turns(known: Any, flows: list[Any], folder: Path, count: int, profile: bool) -> dict[str, Any]:
    """The first turn of a namer, to which every name is new, and the quickest of `count` that follow."""
    from enrich import Namer

    once(Namer(known), flows[:1], folder / "compiles")
    namer = Namer(known)
    first = once(namer, flows, folder / "first")
    after = [once(namer, flows, folder / f"out-{turn}") for turn in range(count)]
    if profile:
        with cProfile.Profile() as told:
            once(namer, flows, folder / "profile")
        pstats.Stats(told, stream=sys.stderr).sort_stats("tottime").print_stats(40)
    return {"names_all_new": first, "after_that": min(after, key=lambda one: one["name_and_write"])}


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, action="append", help="rows of a batch; repeatable (default 32768, 131072)")
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--pairs", choices=("uniform", "zipf"), action="append")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        known = history(Path(name), make_day(HOLDS, SLOTS))
        found = []
        for pairs in told.pairs or ("uniform", "zipf"):
            for rows in told.rows or (32_768, 131_072):
                flows = list(traffic(rows, told.batches, pairs))
                folder = Path(name) / f"{pairs}-{rows}"
                one = turns(known, flows, folder, told.turns, told.profile)
                found.append({"pairs": pairs, "rows_a_batch": rows, "microseconds_a_flow": one})
                print(json.dumps(found[-1]), flush=True)


if __name__ == "__main__":
    main()

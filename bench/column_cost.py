"""What each column of a named flow costs: python bench/column_cost.py [--rows 65536] [--turns 7]

Conversations are folded from a made capture once. Then, in turns, columns are made of them (some of them together),
named, put in order and encoded, each alone; processor time in nanoseconds a row, the best of all turns, and bytes on
disk. `all` is the whole step as a replay does it. Beside it the limits: the Arrow batch that is there already, with the
same columns, written by pyarrow, DuckDB and Polars.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402 - beside what stands in the folder above
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from inputs import Inputs  # noqa: E402

from enrich.naming.dictionary_columns import Remembered  # noqa: E402
from sinks.flows import sorting  # noqa: E402
from sinks.flows.parquet import encode  # noqa: E402
from sinks.flows.parquet_encoding import spread, writer_options  # noqa: E402
from whowas.cli.memory import keep_memory  # noqa: E402
from whowas.schema import plain  # noqa: E402

# Whose functions are watched.
source: Any = import_module("ingest.packets.source")
to_batch: Any = import_module("ingest.packets.to_batch")
PACKETS_A_FLOW, HOLDS = 10, 20_000
# What of `to_batch` makes which columns; two ways to make one are told together.
MAKERS = ("_flow_ids", "community_ids", "_end_columns", "_counts", "_network", "_spoke", "_words", "_same")
Costs = dict[str, dict[str, float]]


class Watch:
    """The least processor time that a step took for something, in nanoseconds a row."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.costs: Costs = {}

    def __call__(self, step: str, what: str, work: Callable[..., Any], *told: Any, **more: Any) -> Any:
        began = time.process_time_ns()
        made = work(*told, **more)
        spent = (time.process_time_ns() - began) / self.rows
        known = self.costs.setdefault(what, {})
        known[step] = min(known.get(step, 1e12), spent)
        return made


def conversations(capture: Path) -> tuple[Any, ...]:
    """What `to_batch` is given for all conversations of a capture, in one batch."""
    taken: list[tuple[Any, ...]] = []
    real = source.to_batch

    def kept(*told: Any) -> Any:
        taken.append(tuple(np.copy(one) if place < 2 else list(one) for place, one in enumerate(told)))
        return real(*told)

    source.to_batch = kept
    try:
        for _ in source.CaptureSource([str(capture)], source.PacketOptions()).batches():
            pass
    finally:
        source.to_batch = real
    return np.concatenate([one[0] for one in taken]), np.concatenate([one[1] for one in taken]), *taken[-1][2:]


def making(watch: Watch, told: tuple[Any, ...]) -> Any:
    """Make the flows, with each maker watched."""
    real = {name: getattr(to_batch, name) for name in MAKERS}

    def watched(name: str) -> Callable[..., Any]:
        return lambda *given: watch("made", name, real[name], *given)

    for name in MAKERS:
        setattr(to_batch, name, watched(name))
    try:
        to_batch.to_batch(*told)
    finally:
        for name, one in real.items():
            setattr(to_batch, name, one)
    return watch("made", "all", to_batch.to_batch, *told)


def naming(watch: Watch, namer: Any, flows: Any) -> Any:
    """Name the flows; a column of names is what its words' column costs beside the judging."""
    words: Any = Remembered
    real, names = words.column, {}
    for side in ("src", "dst"):
        names[side] = [f"{side}_{name}" for name in namer._names.words()]
    order = iter([*names["src"], *names["dst"]])
    words.column = lambda *given: watch("named", next(order), real, *given)
    try:
        namer.name(flows)
    finally:
        words.column = real
    return watch("named", "all", namer.name, flows)


def ordering(watch: Watch, batches: list[Any]) -> Any:
    """Join and sort as a sink does, column by column, then as a whole."""
    names = batches[0].schema.names
    joined = {name: watch("joined", name, sorting._joined, [one[name] for one in batches]) for name in names}
    order = watch("sorted", "(order)", sorting._order, joined["start_time"], joined["flow_id"])
    if order is not None:
        taking = sorting._Taking(order)
        for name, one in joined.items():
            watch("sorted", name, taking.take, one)
    return watch("sorted", "all", sorting.in_order, batches)


def encoding(watch: Watch, table: Any) -> None:
    """Encode each column alone, and all together."""
    made = spread(table)
    options = writer_options(made)

    def written(some: Any) -> Any:
        buffer = pa.BufferOutputStream()
        told = options | {"sorting_columns": None, "bloom_filter_options": None}
        with pq.ParquetWriter(buffer, some.schema, **told) as writer:
            writer.write_table(some)
        return buffer.getvalue()

    for name in made.column_names:
        some = made.select([name])
        told = watch("encoded", name, written, some)
        group = pq.ParquetFile(pa.BufferReader(told)).metadata.row_group(0)
        size = sum(group.column(place).total_compressed_size for place in range(group.num_columns))
        watch.costs[name]["bytes"] = size / watch.rows

    def whole() -> int:
        buffer = pa.BufferOutputStream()
        encode(buffer, table)
        return int(buffer.tell())

    watch.costs["all"]["bytes"] = watch("encoded", "all", whole) / watch.rows


def limits(watch: Watch, table: Any, folder: Path) -> None:
    """Others write what is there already."""
    flat, path = plain(table), str(folder / "limit.parquet")
    coded = pa.table({name: flat[name] for name in flat.column_names})

    def size(name: str, work: Callable[..., Any], *told: Any, **more: Any) -> None:
        watch("encoded", name, work, *told, **more)
        watch.costs[name]["bytes"] = Path(path).stat().st_size / watch.rows

    size("limit: pyarrow", pq.write_table, coded, path, compression="zstd")
    import duckdb

    link = duckdb.connect(config={"threads": 1})
    link.register("flows", coded)
    size("limit: DuckDB", link.execute, f"COPY flows TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    try:
        import polars
    except ImportError:
        return
    # It has no maps: lists of pairs.
    frame: Any = polars.from_arrow(coded)
    size("limit: Polars", frame.write_parquet, path, compression="zstd")


def measured(rows: int, turns: int, folder: Path) -> Costs:
    """All of it, in turns."""
    from enrich import Namer
    from enrich.naming.verdicts import NamingOptions
    from whowas.history.queries import load_history

    inputs = Inputs(folder)
    told = conversations(inputs.capture(rows * PACKETS_A_FLOW, rows, HOLDS))
    known = load_history(str(inputs.history(HOLDS)))
    namer = Namer(known, NamingOptions(vnis="any"))
    watch = Watch(len(told[0]))
    for _ in range(turns):
        flows = making(watch, told)
        named = naming(watch, namer, flows)
        # As they come: in halves that overlap in time.
        half = named.num_rows // 2
        parts = [named.take(pa.array(np.arange(start, named.num_rows, 2))) for start in (0, 1)] if half else [named]
        table = ordering(watch, parts)
        encoding(watch, table)
        limits(watch, table, folder)
    return watch.costs


STEPS = ("made", "named", "joined", "sorted", "encoded", "bytes")


def show(costs: Costs) -> None:
    """Print a table, the most expensive first."""
    print(f"{'column':<24}" + "".join(f"{one:>10}" for one in (*STEPS, "ns in all")))
    for name, one in sorted(costs.items(), key=lambda item: -_sum(item[1])):
        cells = "".join(f"{one[step]:>10.1f}" if step in one else f"{'':>10}" for step in STEPS)
        print(f"{name:<24}{cells}{_sum(one):>10.1f}")


def _sum(one: dict[str, float]) -> float:
    return sum(value for step, value in one.items() if step != "bytes")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--folder", type=Path, help="make inputs here and keep them (default: a temporary folder)")
    told = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory(prefix="whowas-bench-") as name:
        costs = measured(told.rows, told.turns, told.folder or Path(name))
        if told.json:
            print(json.dumps({name: {step: round(ns, 1) for step, ns in one.items()} for name, one in costs.items()}))
        else:
            show(costs)


if __name__ == "__main__":
    main()

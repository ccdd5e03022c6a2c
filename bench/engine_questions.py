"""Asks one engine, by the lines of docs/how-to/lake.md, what bench/engines.py wants to know.

Runs where the engines are installed, and nothing of whowas.

Usage: engine_questions.py ENGINE LAKE_MD, in a folder that has `named`. Prints one JSON object: question -> answer.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DAY = 20261120
CLUSTERS = ("prod", "007", "2026-11-20", "arn:aws:eks:eu-west-1:111122223333:cluster/prod")
KINDS = ("dst_port", "cluster", "event_day", "event_hour")
Row = dict[str, Any]


def lines(page: str, engine: str) -> str:
    """Return the first lines of Python below an engine's heading."""
    section = page.split(f"\n## {engine}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]


class BySql:
    """An engine that takes SQL. run: gives rows of a statement. words: what it calls things."""

    def __init__(self, run: Callable[[str], list[tuple[Any, ...]]], kind: Callable[[str], str], **words: str) -> None:
        self.run, self.kind = run, kind
        self.label = words.get("label", "src_labels['app']")
        self.flows = words.get("flows", "flows")

    def count(self, condition: str) -> int:
        return int(self.run(f"SELECT count(*) FROM {self.flows} WHERE {condition}")[0][0])

    def sums(self) -> dict[str, int]:
        rows = self.run(f"SELECT src_workload, sum(bytes_out) FROM {self.flows} GROUP BY src_workload")
        return {str(name or None): int(total) for name, total in rows}

    def labels(self) -> dict[str, int]:
        rows = self.run(f"SELECT {self.label}, count(*) FROM {self.flows} GROUP BY {self.label}")
        return {str(name or None): int(number) for name, number in rows}


class ByArrow(BySql):
    """An engine that gives an Arrow table of some rows. take: of a list of (column, value), which all must be equal."""

    def __init__(self, take: Callable[[list[tuple[str, Any]]], Any]) -> None:
        self.take = take

    def kind(self, column: str) -> str:
        return str(self.take([]).schema.field(column).type)

    def count(self, condition: str) -> int:
        if condition == "src_candidates IS NULL":
            return int(self.take([])["src_candidates"].null_count)
        pairs = [one.split(" = ", 1) for one in condition.split(" AND ")] if condition != "1 = 1" else []
        return int(
            self.take([(name, value[1:-1] if value[0] == "'" else int(value)) for name, value in pairs]).num_rows
        )

    def sums(self) -> dict[str, int]:
        return _counted((row["src_workload"], row["bytes_out"]) for row in self.take([]).to_pylist())

    def labels(self) -> dict[str, int]:
        return _counted((dict(row["src_labels"] or {}).get("app"), 1) for row in self.take([]).to_pylist())


def _counted(pairs: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, number in pairs:
        found[str(name)] = found.get(str(name), 0) + int(number)
    return found


def duckdb(known: Row) -> BySql:
    connection, flows = known["duckdb"], known["flows"]
    kinds = dict(zip(flows.columns, map(str, flows.types), strict=True))
    flows.create_view("flows")
    return BySql(lambda sql: connection.sql(sql).fetchall(), kinds.__getitem__)


def pyarrow(known: Row) -> BySql:
    ds, flows = known["ds"], known["flows"]

    def take(pairs: list[tuple[str, Any]]) -> Any:
        condition = None
        for name, value in pairs:
            one = ds.field(name) == value
            condition = one if condition is None else condition & one
        return flows.to_table(filter=condition)

    return ByArrow(take)


def pandas(known: Row) -> BySql:
    flows = known["flows"]

    class ByPandas(ByArrow):
        def kind(self, column: str) -> str:
            kind = flows[column].dtype
            return str(getattr(kind, "categories", None).dtype if hasattr(kind, "categories") else kind)

        def count(self, condition: str) -> int:
            if condition == "src_candidates IS NULL":
                return int(flows.src_candidates.isna().sum())
            return super().count(condition)

    class Rows:
        def __init__(self, frame: Any) -> None:
            self.num_rows, self.frame = len(frame), frame

        def to_pylist(self) -> list[Row]:
            rows = self.frame[["src_workload", "bytes_out", "src_labels"]].to_dict("records")
            return [{name: None if value != value else value for name, value in row.items()} for row in rows]

    def take(pairs: list[tuple[str, Any]]) -> Any:
        frame = flows
        for name, value in pairs:
            frame = frame[frame[name] == value]
        return Rows(frame)

    return ByPandas(take)


def polars(known: Row) -> BySql:
    pl, flows = known["pl"], known["flows"]
    context = pl.SQLContext(flows=flows.with_columns(app=pl.col("src_labels").map.get("app")))
    schema = flows.collect_schema()
    return BySql(lambda sql: context.execute(sql, eager=True).rows(), lambda one: str(schema[one]), label="app")


def datafusion(known: Row) -> BySql:
    context = known["context"]

    def run(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in context.sql(sql).to_pylist()]

    schema = context.table("flows").schema()
    return BySql(run, lambda one: str(schema.field(one).type))


def chdb(known: Row) -> BySql:
    flows = known["flows"]

    def run(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(json.loads(one)) for one in str(known["chdb"].query(sql, "JSONCompactEachRow")).splitlines()]

    return BySql(run, lambda one: str(run(f"SELECT toTypeName({one}) FROM {flows} LIMIT 1")[0][0]), flows=flows)


def daft(known: Row) -> BySql:
    module, flows = known["daft"], known["flows"]

    def run(sql: str) -> list[tuple[Any, ...]]:
        rows = module.sql(sql, flows=flows.with_column("app", module.col("src_labels").map_get("app"))).to_pylist()
        return [tuple(row.values()) for row in rows]

    return BySql(run, lambda one: str(flows.schema()[one].dtype), label="app")


def spark(known: Row) -> BySql:
    flows = known["flows"]
    flows.createOrReplaceTempView("flows")
    kinds = dict(flows.dtypes)
    return BySql(lambda sql: [tuple(row) for row in flows.sparkSession.sql(sql).collect()], kinds.__getitem__)


def delta(known: Row) -> BySql:
    from pyarrow import dataset

    return pyarrow({"ds": dataset, "flows": known["flows"]})


def iceberg(known: Row) -> BySql:
    flows = known["flows"]

    def take(pairs: list[tuple[str, Any]]) -> Any:
        condition = " AND ".join(f"{name} = {value!r}" for name, value in pairs)
        scan = flows.scan(row_filter=condition) if condition else flows.scan()
        return scan.to_arrow()

    return ByArrow(take)


ENGINES: dict[str, Callable[[Row], BySql]] = {
    "DuckDB": duckdb,
    "pyarrow": pyarrow,
    "pandas": pandas,
    "Polars": polars,
    "DataFusion": datafusion,
    "ClickHouse (chdb)": chdb,
    "Daft": daft,
    "Spark": spark,
    "Delta Lake": delta,
    "Delta Lake, of a plain folder": delta,
    "Iceberg": iceberg,
}


def tried(ask: Callable[[], Any]) -> Any:
    """Return an answer, or why there is none."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - each engine has its own kinds
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}" if str(error) else repr(error)


def answers(engine: BySql) -> Row:
    """Ask all there is to ask."""
    return {
        "rows": tried(lambda: engine.count("1 = 1")),
        "cluster": tried(lambda: [engine.count(f"cluster = '{one}'") for one in CLUSTERS]),
        "folder": tried(lambda: engine.count("cluster_key = '_-3007'")),
        "hour": tried(lambda: [engine.count(f"event_day = {DAY} AND event_hour = {one}") for one in (8, 9, 10, 11)]),
        "address": tried(lambda: engine.count("src_ip = '10.1.0.1'")),
        "port": tried(lambda: engine.count("dst_port = 51234")),
        "sum": tried(engine.sums),
        "label": tried(engine.labels),
        "null": tried(lambda: engine.count("src_candidates IS NULL")),
        "types": {one: tried(lambda one=one: engine.kind(one)) for one in KINDS},
    }


def needed(page: str, engine: str) -> int:
    """Return how many lines an engine wants."""
    return sum(bool(line.strip()) for line in lines(page, engine).splitlines())


def main() -> None:
    name, page = sys.argv[1:3]
    known: Row = {}
    with contextlib.redirect_stdout(sys.stderr):
        exec(compile(lines(Path(page).read_text(), name), name, "exec"), known)
        found = answers(ENGINES[name](known))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

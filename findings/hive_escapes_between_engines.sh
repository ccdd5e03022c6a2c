#!/usr/bin/env bash
# A cluster's name with ':' or '=' gets lost on the way through hive folders: one writer does not escape, one reader does not unescape.
#
# Versions: datafusion 55.0.0, duckdb 2.0.1, pyarrow 25.0.1, polars 2.1.0, chdb 4.4.0 (chdb-core 26.9.0); Python 3.11.
# Guess: all write '%3A' for ':' in hive folders, as Hive does, and all read it back as ':'.
# Behaviour: Arrow, DuckDB and Polars write escapes, and all of them and DataFusion take them back. ClickHouse does not: its value
# is the escaped text, so a filter on the ARN of an EKS cluster finds nothing, without an error. DataFusion, when it writes,
# escapes '/' but neither ':' nor '='; of a folder named k=env=prod DuckDB and Polars then read no partition at all: both refuse
# the query, having no such column. ClickHouse finds that one, because nothing in it is escaped.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  duckdb==2.0.1 pyarrow==25.0.1 polars==2.1.0 chdb==4.4.0 chdb-core==26.9.0 datafusion==55.0.0; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import os
import sys

import chdb
import datafusion
import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

ARN, PAIR = "arn:aws:eks:eu-west-1:111122223333:cluster/prod", "env=prod"


def by_arrow(flows, root):
    pyarrow.parquet.write_to_dataset(flows, root, partition_cols=["k"])


def by_duckdb(flows, root):
    duckdb.register("flows", flows)
    duckdb.sql(f"copy flows to '{root}' (format parquet, partition_by (k))")


def by_datafusion(flows, root):
    session = datafusion.SessionContext()
    session.from_arrow(flows, "flows")
    session.sql(f"copy flows to '{root}/' stored as parquet partitioned by (k)").collect()


def arrow(root, value):
    return pyarrow.dataset.dataset(root, partitioning="hive").to_table(filter=pyarrow.dataset.field("k") == value).num_rows


def duck(root, value):
    rows = duckdb.execute(f"select * from read_parquet('{root}/*/*.parquet', hive_partitioning = true) where k = ?", [value])
    return len(rows.fetchall())


def polar(root, value):
    rows = polars.scan_parquet(f"{root}/*/*.parquet", hive_partitioning=True)
    return rows.filter(polars.col("k") == value).collect().height


def fusion(root, value):
    session = datafusion.SessionContext()
    session.sql(f"create external table t stored as parquet partitioned by (k) location '{root}/'")
    return session.sql("select * from t").filter(datafusion.col("k") == datafusion.lit(value)).count()


def click(root, value):
    question = f"select count() from file('{root}/*/*.parquet', Parquet) where k = '{value}' settings use_hive_partitioning = 1"
    return int(chdb.query(question, "TSV").bytes())


def tried(reader, root, value):
    try:
        return reader(root, value)
    except Exception as error:  # each library has its own kinds
        return type(error).__name__


seen = {}
print(f"{'writer':<14}{'value':<10}folder, and rows found by arrow, duckdb, polars, datafusion, clickhouse (1 is right)")
for writer in (by_arrow, by_duckdb, by_datafusion):
    for name, value in (("ARN", ARN), ("pair", PAIR)):
        root = f"{writer.__name__}-{name}"
        writer(pa.table({"k": [value], "flows": [1]}), root)
        found = [tried(reader, root, value) for reader in (arrow, duck, polar, fusion, click)]
        seen[writer.__name__[3:], name] = found
        print(f"{writer.__name__[3:]:<14}{name:<10}{os.listdir(root)[0]}\n{'':<24}", *found)
found_by_all_but_clickhouse = [1, 1, 1, 1, 0]
sys.exit(seen != {
    **{(writer, name): found_by_all_but_clickhouse for writer in ("arrow", "duckdb") for name in ("ARN", "pair")},
    ("datafusion", "ARN"): found_by_all_but_clickhouse,
    ("datafusion", "pair"): [1, "BinderException", "ColumnNotFoundError", 1, 1],
})
PY

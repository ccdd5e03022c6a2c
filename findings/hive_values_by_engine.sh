#!/usr/bin/env bash
# Five engines read the same hive folder and disagree on what its partition values are.
#
# Versions: duckdb 2.0.1, pyarrow 25.0.1, polars 2.1.0, chdb 4.4.0 (chdb-core 26.9.0), datafusion 55.0.0; Python 3.11.
# Guess: a value that has a leading zero is text for all or a number for all; `hour` has one type whatever hours there are.
# Behaviour: AWS puts VPC flow logs under aws-account-id=…/hour=…, and both may begin with a zero. DuckDB takes a column as a
# number only where no value begins with a zero: hours 08 to 10 are text, 10 to 12 are BIGINT, so the type hangs on which
# files the glob found. Arrow takes numbers, but only those that fit 32 bits: the account stays text, the hour does not.
# Polars and ClickHouse take both as numbers, and the account loses its zero: a join with a list of accounts as text finds
# nothing. DataFusion keeps all as text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  duckdb==2.0.1 pyarrow==25.0.1 polars==2.1.0 chdb==4.4.0 chdb-core==26.9.0 datafusion==55.0.0; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import sys
from pathlib import Path

import chdb
import datafusion
import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet


def lay(name, hours):
    for hour in hours:
        folder = Path(name) / "account=012345678901" / f"hour={hour}"
        folder.mkdir(parents=True)
        pyarrow.parquet.write_table(pa.table({"flows": [1]}), folder / "a.parquet")
    return name


def by_duckdb(root):
    rows = duckdb.sql(f"from read_parquet('{root}/**/*.parquet', hive_partitioning = true) order by hour")
    return rows.fetchall()[0][1:]


def by_arrow(root):
    row = pyarrow.dataset.dataset(root, partitioning="hive").to_table().sort_by("hour").to_pylist()[0]
    return row["account"], row["hour"]


def by_polars(root):
    row = polars.scan_parquet(f"{root}/**/*.parquet", hive_partitioning=True).sort("hour").collect().row(0, named=True)
    return row["account"], row["hour"]


def by_clickhouse(root):
    text = chdb.query(
        f"select toTypeName(account), account, toTypeName(hour), hour from file('{root}/**/*.parquet', Parquet) "
        "order by hour limit 1 settings use_hive_partitioning = 1", "TSV").bytes().decode().split()
    return tuple(int(value) if "Int" in kind else value for kind, value in (text[:2], text[2:]))


def by_datafusion(root):
    session = datafusion.SessionContext()
    session.sql(f"create external table t stored as parquet partitioned by (account, hour) location '{root}/'")
    row = session.sql("select * from t order by hour").to_pylist()[0]
    return row["account"], row["hour"]


early, late = lay("early", ["08", "09", "10"]), lay("late", ["10", "11", "12"])
account = "012345678901"
expected = {  # engine: (account, first hour) of the early and of the late folder
    by_duckdb: ((account, "08"), (account, 10)),
    by_arrow: ((account, 8), (account, 10)),
    by_polars: ((12345678901, 8), (12345678901, 10)),
    by_clickhouse: ((12345678901, 8), (12345678901, 10)),
    by_datafusion: ((account, "08"), (account, "10")),
}
seen = {engine: (engine(early), engine(late)) for engine in expected}
print("(account, first hour)   folder 08-10                folder 10-12")
for engine, (first, second) in seen.items():
    print(f"{engine.__name__[3:]:<22}  {first!s:<26}  {second}")
sys.exit(seen != expected)
PY

#!/usr/bin/env bash
# A Parquet file with unsigned integers, taken into Delta, answers "no such row" for rows that it has.
#
# Versions: deltalake 1.6.6, pyarrow 25.0.1, polars 2.1.0; Python 3.11.
# Guess: Delta has no unsigned types, so UINT32 becomes long (and UINT16 integer), as in Iceberg.
# Behaviour: convert_to_deltalake() takes the signed type of the same width: UINT32 becomes integer, UINT16 short. The file is
# left as it is, but its largest value goes into the log's statistics as a negative number. A filter then looks at statistics
# whose maximum lies below their minimum and passes over the whole file: 500 is not found though it is there, without an error,
# by deltalake's own queries, by Polars and through Arrow. Only who reads the column without a filter gets an error. The
# writer, write_deltalake(), does refuse such values, but only when the first large one comes: port 443 goes in, 51234 does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  deltalake==1.6.6 pyarrow==25.0.1 polars==2.1.0; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import os
import sys

import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from deltalake import DeltaTable, QueryBuilder, convert_to_deltalake, write_deltalake

flows = pa.table({"octets": pa.array([500, 3_000_000_000], pa.uint32()), "flow": [1, 2]})
pyarrow.parquet.write_table(flows, "a.parquet")
in_file = pyarrow.parquet.read_table("a.parquet", filters=pyarrow.dataset.field("octets") == 500).num_rows

os.mkdir("flows")
os.rename("a.parquet", "flows/a.parquet")
convert_to_deltalake("flows")
table = DeltaTable("flows")
statistics = pa.table(table.get_add_actions(flatten=True)).to_pylist()[0]


def asked(question):
    return pa.table(QueryBuilder().register("t", table).execute(question).read_all()).num_rows


def refused(action):
    try:
        action()
    except Exception as error:  # each library has its own kinds
        return type(error).__name__
    return "nothing"


seen = {
    "type of octets": str(table.schema().fields[0].type.type),
    "statistics": (statistics["min.octets"], statistics["max.octets"]),
    "rows of 500, plain Parquet": in_file,
    "rows, no filter": asked("select flow from t"),
    "rows of 500, deltalake": asked("select flow from t where octets = 500"),
    "rows above 100, deltalake": asked("select flow from t where octets > 100"),
    "rows of 500, Polars": polars.scan_delta("flows").filter(polars.col("octets") == 500).select("flow").collect().height,
    "rows of 500, Arrow": table.to_pyarrow_dataset().to_table(["flow"], pyarrow.dataset.field("octets") == 500).num_rows,
    "reading octets raises": refused(table.to_pyarrow_table),
    "writing port 443 raises": refused(lambda: write_deltalake("ports", pa.table({"port": pa.array([443], pa.uint16())}))),
    "then appending 51234": refused(
        lambda: write_deltalake("ports", pa.table({"port": pa.array([51234], pa.uint16())}), mode="append")),
}
for what, value in seen.items():
    print(f"{what:<28} {value}")
sys.exit(list(seen.values()) != ["integer", (500, -1294967296), 1, 2, 0, 0, 0, 0, "ArrowInvalid", "nothing", "DeltaError"])
PY

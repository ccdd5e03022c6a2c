#!/usr/bin/env bash
# A folder whose files have statistics of some columns is converted to Delta; a filter on any other column then finds nothing.
#
# Versions: deltalake 1.6.6, pyarrow 25.0.1; Python 3.11.
# Guess: statistics in Delta's log are a help for skipping, each of them optional (the protocol has them so): a column that has
# none is looked into.
# Behaviour: DeltaTable.to_pyarrow_dataset() makes a condition of a file's bounds, and where a column has none, one of it too:
# `name >= null`. Arrow then knows that no row can match, and answers 0 without opening the file. convert_to_deltalake() writes
# such bounds for Parquet files whose footers have statistics of some columns only, or of none. deltalake's own SQL is right in
# every case, and so is Arrow where all columns have bounds, or where the log tells the number of rows alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  deltalake==1.6.6 pyarrow==25.0.1; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import os
import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet
from deltalake import DeltaTable, QueryBuilder, convert_to_deltalake

flows = pa.table({"port": [1, 2, 3], "name": ["web", "db", None]})
seen = {}
print("statistics of   rows where port = 2, where name = 'web' (Arrow), the same (SQL)")
for what in (False, ["port"], True):
    folder = f"t-{what}"
    os.mkdir(folder)
    pyarrow.parquet.write_table(flows, f"{folder}/a.parquet", write_statistics=what)
    convert_to_deltalake(folder)
    table = DeltaTable(folder)
    found = table.to_pyarrow_dataset()
    asked = QueryBuilder().register("t", table).execute("select * from t where name = 'web'").read_all()
    seen[str(what)] = (
        found.to_table(filter=ds.field("port") == 2).num_rows,
        found.to_table(filter=ds.field("name") == "web").num_rows,
        pa.table(asked).num_rows,
    )
    print(f"{what!s:<15}", *seen[str(what)])
sys.exit(seen != {"False": (0, 0, 1), "['port']": (1, 0, 1), "True": (1, 1, 1)})
PY

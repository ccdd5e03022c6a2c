#!/usr/bin/env bash
# DataFusion shows the rows of a hive folder that has a '~' in its name, and finds none of them by a condition on it.
#
# Versions: datafusion 55.0.0, pyarrow 25.0.1; Python 3.11.
# Guess: '~' is one of RFC 3986's unreserved characters, which nothing has to escape, so the folder k=~a is found by k = '~a'.
# Behaviour: a scan of everything has the rows, with k = '~a'. With a condition on k no row comes back, and no error: the folder
# is looked for under an escaped name ('~' stands in the list of characters that Rust's object_store escapes, as '%7E'). '@', '!'
# and '_-' in its place are found.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  datafusion==55.0.0 pyarrow==25.0.1; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import os
import sys

import datafusion
import pyarrow as pa
import pyarrow.parquet

seen = {}
print("key   shown, rows in all, rows where k = key (2 is right)")
for key in ("~a", "@a", "!a", "_-a", "a~b"):
    os.makedirs(f"{key}-table/k={key}")
    pyarrow.parquet.write_table(pa.table({"n": [1, 2]}), f"{key}-table/k={key}/a.parquet")
    session = datafusion.SessionContext()
    session.register_parquet("t", f"{key}-table/", table_partition_cols=[("k", pa.string())])
    shown = session.sql("select distinct k from t").to_pylist()[0]["k"]
    seen[key] = shown, session.table("t").count(), session.sql(f"select * from t where k = '{key}'").count()
    print(f"{key:<5}", *seen[key])
sys.exit(seen != {key: (key, 2, 0 if "~" in key else 2) for key in seen})
PY

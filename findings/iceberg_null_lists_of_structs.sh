#!/usr/bin/env bash
# A list that is null becomes an empty list on its way through pyiceberg, if its elements are structs; other lists stay null.
#
# Versions: pyiceberg 0.12.0, pyarrow 25.0.1; Python 3.11.
# Guess: null and empty stay two things, as in Arrow and Parquet, or are one for lists of every kind.
# Behaviour: lists and maps whose values are structs lose their null, both when rows are appended (the Parquet file has the empty
# list, so no other engine can tell any more) and when a file that was added as it is, is read. Lists of numbers, lists of
# lists, maps of text and structs alone keep it. Whoever writes null for "not known" and [] for "known to be none" reads back
# that nothing is unknown, and a count of "is null" is 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  "pyiceberg[sql-sqlite]==0.12.0" pyarrow==25.0.1; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import logging
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog

logging.disable(logging.WARNING)
here = os.getcwd()
catalog = SqlCatalog("local", uri=f"sqlite:///{here}/catalog.db", warehouse=f"file://{here}/warehouse")
catalog.create_namespace("n")
struct = pa.struct([("name", pa.string())])
rows = pa.table(
    {
        "list_of_numbers": pa.array([[1], [], None], pa.list_(pa.int32())),
        "list_of_lists": pa.array([[[1]], [], None], pa.list_(pa.list_(pa.int32()))),
        "map_of_text": pa.array([[("a", "b")], [], None], pa.map_(pa.string(), pa.string())),
        "struct": pa.array([{"name": "a"}, {"name": None}, None], struct),
        "list_of_structs": pa.array([[{"name": "a"}], [], None], pa.list_(struct)),
        "map_of_structs": pa.array([[("a", {"name": "b"})], [], None], pa.map_(pa.string(), struct)),
    }
)


def nulls(table):
    return {name: table[name].null_count for name in rows.column_names}


appended = catalog.create_table("n.appended", rows.schema)
appended.append(rows)
(file,) = Path("warehouse").rglob("*.parquet")
pyarrow.parquet.write_table(rows, "as_it_is.parquet")
added = catalog.create_table("n.added", rows.schema)
added.add_files([f"{here}/as_it_is.parquet"])
seen = {
    "rows": nulls(rows),
    "appended, the file": nulls(pyarrow.parquet.read_table(file)),
    "appended, read": nulls(appended.scan().to_arrow()),
    "added, the file": nulls(pyarrow.parquet.read_table("as_it_is.parquet")),
    "added, read": nulls(added.scan().to_arrow()),
}
print(f"{'nulls in':<20}", *seen, sep=" | ")
for name in rows.column_names:
    print(f"{name:<20}", *(one[name] for one in seen.values()), sep=" | ")
whole = dict.fromkeys(rows.column_names, 1)
lost = whole | {"list_of_structs": 0, "map_of_structs": 0}
sys.exit([*seen.values()] != [whole, lost, lost, whole, lost])
PY

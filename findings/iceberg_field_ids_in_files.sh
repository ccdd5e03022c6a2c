#!/usr/bin/env bash
# A table is made with the very field ids that its files carry; added to it, the files' columns are null, or one another.
#
# Versions: pyiceberg 0.12.0, pyarrow 25.0.1; Python 3.11.
# Guess: ids in Parquet are what Iceberg asks of writers, so a schema and files that agree on them fit; where they do not fit,
# add_files() refuses the file or falls back on names.
# Behaviour: create_table() gives every column a new id, counted from 1, whatever ids the schema brings, and says nothing. A
# file that has ids is then read by these alone. With ids 10 and 20 both columns are null; with 1 and 2 the other way round
# (columns in another order than when the ids were given) `src` holds what was written as `dst`, and a filter finds nothing.
# Neither adding nor reading says so. The same file without any ids is read by its names, and right: ids do harm, not good,
# until they are those of the one table.
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

import pyarrow as pa
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType

logging.disable(logging.WARNING)
here = os.getcwd()
catalog = SqlCatalog("local", uri=f"sqlite:///{here}/catalog.db", warehouse=f"file://{here}/warehouse")
catalog.create_namespace("n")


def field(name, number):
    return pa.field(name, pa.string(), metadata={"PARQUET:field_id": str(number)} if number else None)


def added(name, ids):
    """What a table whose schema has these ids (1 and 2 for a file without) shows of one row, web -> db."""
    path = f"{here}/{name}.parquet"
    schema = pa.schema([field("src", ids[0]), field("dst", ids[1])])
    pyarrow.parquet.write_table(pa.table({"src": ["web"], "dst": ["db"]}, schema=schema), path)
    wished = Schema(NestedField(ids[0] or 1, "src", StringType()), NestedField(ids[1] or 2, "dst", StringType()))
    table = catalog.create_table(f"n.{name}", wished)
    table.add_files([path])
    row = table.scan().to_arrow().to_pylist()[0]
    given = tuple(one.field_id for one in table.schema().fields)
    return given, row["src"], row["dst"], table.scan(row_filter="src = 'web'").to_arrow().num_rows


seen = {ids: added(f"t{n}", ids) for n, ids in enumerate([(None, None), (1, 2), (10, 20), (2, 1)])}
print("ids of file and schema   ids of the table, src, dst, rows where src = 'web'")
for ids, value in seen.items():
    print(f"{ids!s:<24}", *value)
wanted = [((1, 2), "web", "db", 1), ((1, 2), "web", "db", 1), ((1, 2), None, None, 0), ((1, 2), "db", "web", 0)]
sys.exit([*seen.values()] != wanted)
PY

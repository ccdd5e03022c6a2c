#!/usr/bin/env bash
# A file without column statistics, added to a partitioned Iceberg table, is counted but never found.
#
# Versions: pyiceberg 0.12.0, pyarrow 25.0.1; Python 3.11.
# Guess: add_files() reads the column when the footer has no statistics for it, or refuses the file.
# Behaviour: it infers the partition from the statistics alone. Without them the partition is null, whatever the rows say. A scan
# of everything shows the rows with their cluster; a filter on the cluster passes the file over; and a filter on "is null" finds
# nothing either, because the rows are looked at then. The same file in a table without partitions is found.
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
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

logging.disable(logging.WARNING)
here = os.getcwd()
catalog = SqlCatalog("local", uri=f"sqlite:///{here}/catalog.db", warehouse=f"file://{here}/warehouse")
catalog.create_namespace("n")
schema = Schema(NestedField(1, "cluster", StringType()), NestedField(2, "bytes", LongType()))
by_cluster = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "cluster"))
flows = pa.table({"cluster": ["prod"] * 3, "bytes": [1, 2, 3]})


def added(name, spec, statistics):
    path = f"{here}/{name}.parquet"
    pyarrow.parquet.write_table(flows, path, write_statistics=statistics)
    table = catalog.create_table(f"n.{name}", schema, partition_spec=spec)
    table.add_files([path])

    def rows(condition):
        return table.scan(row_filter=condition).to_arrow().num_rows

    partition = table.inspect.files().to_pylist()[0].get("partition")
    clusters = sorted(set(table.scan().to_arrow()["cluster"].to_pylist()))
    return partition, clusters, rows("bytes > 0"), rows("cluster = 'prod'"), rows("cluster is null")


seen = {
    "by cluster, with statistics": added("a", by_cluster, True),
    "by cluster, of bytes only": added("b", by_cluster, ["bytes"]),
    "no partitions, of bytes only": added("c", UNPARTITIONED_PARTITION_SPEC, ["bytes"]),
}
print("table, statistics             partition, clusters, rows: bytes > 0, cluster = 'prod', cluster is null")
for what, value in seen.items():
    print(f"{what:<29}", *value)
prod, null = {"cluster": "prod"}, {"cluster": None}
wanted = [(prod, ["prod"], 3, 3, 0), (null, ["prod"], 3, 0, 0)]
sys.exit([*seen.values()][:2] != wanted or seen["no partitions, of bytes only"][1:] != (["prod"], 3, 3, 0))
PY

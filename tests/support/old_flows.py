"""Files of named flows as version 1 of the columns had them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from whowas.flow_folders import NO_CLUSTER

UNSIGNED = {
    **{f"{side}_{what}": pa.uint16() for side in ("src", "dst") for what in ("port", "nat_port")},
    **dict.fromkeys(("tcp_flags", "tcp_flags_out", "tcp_flags_in"), pa.uint16()),
    "protocol_number": pa.uint8(),
    "vlan": pa.list_(pa.uint16()),
}


def as_version_1(flows: Path, out: Path) -> Path:
    """Write all files of a folder anew: unsigned numbers, the cluster in the folder alone, hours of two digits."""
    for path in sorted(flows.rglob("*.parquet")):
        table = pq.ParquetFile(path).read().replace_schema_metadata(None)
        clusters = {one.as_py() for one in table["cluster"].unique()}
        assert len(clusters) == 1
        day, hour = path.parent.parent.name, int(path.parent.name.partition("=")[2])
        cluster = quote(clusters.pop() or NO_CLUSTER, safe=" ._-")
        folder = out / f"cluster={cluster}" / day / f"event_hour={hour:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        table = table.drop_columns(["cluster"])
        fields = [pa.field(one.name, UNSIGNED.get(one.name, one.type)) for one in table.schema]
        pq.write_table(table.cast(pa.schema(fields)), folder / path.name)
    return out

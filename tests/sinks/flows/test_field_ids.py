"""The numbers that Iceberg knows columns by: never changed, in every file; and what else table formats need there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.rows import batch

from sinks.flows.field_ids import FIRST, KEY, field_ids
from sinks.flows.parquet import encode
from sinks.flows.sorting import in_order
from whowas.schema import COLUMNS, VERSION

# Whoever has a table with these numbers has it for good: a change here is a fault.
PINNED = {
    "flow_id": 1, "start_time": 2, "end_time": 3, "cluster": 8, "src_ip": 9, "src_ip16": 10, "src_port": 11,
    "dst_ip": 18, "dst_port": 20, "protocol": 27, "bytes_out": 29, "vlan": 42, "src_confidence": 47,
    "src_candidates": 62,
    "dst_confidence": 63, "dst_candidates": 78, "community_id": 83, "source_format": 86,
}  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = tmp_path_factory.mktemp("files") / "a.parquet"
    with path.open("wb") as handle:
        encode(handle, in_order([batch(50, 1)]))
    return pq.ParquetFile(path)


def test_numbers_never_change() -> None:
    assert {name: field_ids()[name] for name in PINNED} == PINNED
    assert list(field_ids())[:FIRST] == [one.name for one in COLUMNS[:FIRST]]
    assert sorted(field_ids().values()) == list(range(1, len(field_ids()) + 1))


def _told(field: Any, path: str) -> dict[str, int]:
    kind, found = field.type, {path: int(field.metadata[KEY])}
    inside: dict[str, Any] = {}
    if pa.types.is_map(kind):
        inside = {"key": kind.key_field, "value": kind.item_field}
    elif pa.types.is_list(kind):
        inside = {"element": kind.value_field}
    elif pa.types.is_struct(kind):
        inside = {kind.field(place).name: kind.field(place) for place in range(kind.num_fields)}
    for name, one in inside.items():
        found |= _told(one, f"{path}.{name}")
    return found


def test_a_file_has_a_number_for_everything_in_it(file: Any) -> None:
    found: dict[str, int] = {}
    for one in file.schema_arrow:
        found |= _told(one, one.name)
    assert found == field_ids()


def test_a_file_says_its_version_and_has_no_unsigned_number(file: Any) -> None:
    assert file.schema_arrow.metadata[b"whowas.schema"].decode() == VERSION
    leaves = [file.metadata.schema.column(place) for place in range(len(file.metadata.schema))]
    assert not [one.path for one in leaves if "isSigned=false" in str(one.logical_type)]


@pytest.mark.parametrize("name", ["cluster", "start_time", "src_ip16", "dst_ip16", "src_port", "protocol_number"])
def test_what_a_table_is_parted_or_pruned_by_has_statistics(file: Any, name: str) -> None:
    group = file.metadata.row_group(0)
    (column,) = (one for one in map(group.column, range(group.num_columns)) if one.path_in_schema == name)
    assert column.is_stats_set
    assert column.statistics.has_min_max

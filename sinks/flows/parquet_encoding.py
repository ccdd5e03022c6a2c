"""Encodes columns for Parquet (docs/decisions/0007-parquet-files.md)."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.flows.field_ids import numbered
from whowas.schema import VERSION, flow_schema, is_nested, plain

# A column whose dictionary outgrows its page is written plainly; then a bloom filter says what is not in it.
DICTIONARY_BYTES = 1 << 20
SEARCHED = ("src_ip", "dst_ip", "src_pod_uid", "dst_pod_uid")
SEARCHED_BYTES = {"src_ip16": "src_ip", "dst_ip16": "dst_ip"}
# Numbers of which there are few; of the others each differs from the one before by little.
FEW = (
    "dst_port", "dst_nat_port", "protocol_number", "tcp_flags", "tcp_flags_out", "tcp_flags_in", "vni",
)  # fmt: skip
VERSION_KEY = "whowas.schema"
ORDER = [("start_time", "ascending"), ("flow_id", "ascending")]


def spread(table: Any) -> Any:
    """Turn dictionaries of maps and lists into maps and lists of dictionaries, which Parquet has words for.

    Readers are told another schema (`footer`): to them they are maps and lists of text.
    """
    # Names have each word once, as naming makes them.
    told = set(flow_schema().names)
    columns = [
        _spread(one) if is_nested(one.type) else _words_once(one) if name in told else one
        for name, one in zip(table.schema.names, table.columns, strict=True)
    ]
    fields = zip(table.schema.names, columns, strict=True)
    return pa.table(columns, schema=numbered(pa.schema([(name, one.type) for name, one in fields])))


def footer(table: Any) -> dict[str, str]:
    """Return the table's metadata, the version of its columns, and its schema as Arrow's readers look for it."""
    told = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    told[VERSION_KEY] = VERSION
    schema = plain(table.slice(0, 0)).schema.with_metadata(told)
    return told | {"ARROW:schema": base64.b64encode(schema.serialize()).decode()}


def _spread(column: Any) -> Any:
    if not pa.types.is_dictionary(column.type):
        return column
    if column.num_chunks > 1:
        return pa.chunked_array([chunk.dictionary.take(chunk.indices) for chunk in column.chunks])
    words = column.chunk(0).dictionary if column.num_chunks else pa.array([], column.type.value_type)
    words = _coded(words.take(pa.array(np.arange(len(words)))))
    if column.null_count == len(column):
        return pa.nulls(len(column), words.type)
    return pa.chunked_array([words.take(column.chunk(0).indices)])


def _words_once(column: Any) -> Any:
    """A column whose dictionaries have each word once: else Arrow writes memory into the file that nobody wrote to."""
    if not pa.types.is_dictionary(column.type) or all(_is_distinct(one.dictionary) for one in column.chunks):
        return column
    return pa.chunked_array([_recoded(one) for one in column.chunks], column.type)


def _is_distinct(words: Any) -> bool:
    return len(words) < 2 or pc.count_distinct(words, mode="all").as_py() == len(words)


def _recoded(chunk: Any) -> Any:
    again = chunk.dictionary.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(chunk.indices), again.dictionary)


def _coded(array: Any) -> Any:
    """The same with its text dictionary-encoded. No slice: Arrow would look at the whole."""
    kind = array.type
    if pa.types.is_string(kind):
        return array.dictionary_encode()
    if pa.types.is_map(kind):
        keys, items = _coded(array.keys), _coded(array.items)
        return pa.MapArray.from_arrays(
            array.offsets, keys, items, type=pa.map_(keys.type, items.type), mask=array.is_null()
        )
    if pa.types.is_list(kind):
        values = _coded(array.values)
        return pa.ListArray.from_arrays(array.offsets, values, type=pa.list_(values.type), mask=array.is_null())
    if pa.types.is_struct(kind):
        members = [_coded(array.field(place)) for place in range(kind.num_fields)]
        fields = [pa.field(kind.field(place).name, one.type) for place, one in enumerate(members)]
        return pa.StructArray.from_arrays(members, fields=fields, mask=array.is_null())
    return array


def writer_options(table: Any) -> dict[str, Any]:
    """Return what pyarrow.parquet.ParquetWriter is told for a table that was `spread`."""
    words = [path for one in table.schema for path in _paths(one.name, one.type)]
    numbers = [one.name for one in table.schema if _is_number(one.type)]
    texts = [one.name for one in table.schema if pa.types.is_string(one.type)]
    return {
        "compression": "zstd",
        "use_dictionary": [*words, *(name for name in numbers if name in FEW), *SEARCHED_BYTES, "vlan.list.element"],
        "column_encoding": {name: "DELTA_BINARY_PACKED" for name in numbers if name not in FEW}
        | dict.fromkeys(texts, "DELTA_LENGTH_BYTE_ARRAY"),
        # Arrow's own 1,024 rows at a time cost 3 % more.
        "write_batch_size": 4_096,
        "write_page_index": True,
        "write_page_checksum": True,
        "sorting_columns": pq.SortingColumn.from_ordering(table.schema, ORDER),
        "bloom_filter_options": _blooms(table),
        "dictionary_pagesize_limit": DICTIONARY_BYTES,
        "store_schema": False,
        # Statistics are for what is asked for in ranges: times, numbers, addresses. In names they skip nothing and cost
        # much; but a table format knows a file's partition by the statistics of its cluster, and finds nothing without.
        "write_statistics": [*numbers, *SEARCHED_BYTES, *(name for name in ("cluster",) if name in table.column_names)],
    }


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_timestamp(kind))


def _paths(path: str, kind: Any) -> list[str]:
    """Parquet paths of the words in a column: all but ids, of which each is another."""
    if pa.types.is_dictionary(kind) or (pa.types.is_string(kind) and "." in path):
        return [path]
    if pa.types.is_map(kind):
        return [*_paths(f"{path}.key_value.key", kind.key_type), *_paths(f"{path}.key_value.value", kind.item_type)]
    if pa.types.is_list(kind):
        return _paths(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        members = [kind.field(place) for place in range(kind.num_fields)]
        return [inner for one in members for inner in _paths(f"{path}.{one.name}", one.type)]
    return []


def _blooms(table: Any) -> dict[str, Any]:
    """Bloom filters for columns that are searched and have no dictionary to look in."""
    found = {}
    for name, of in {**{name: name for name in SEARCHED}, **SEARCHED_BYTES}.items():
        words = table[of].chunk(0).dictionary if table.num_rows else pa.array([], pa.string())
        size = words.nbytes if name == of else 16 * len(words)
        if size >= DICTIONARY_BYTES:
            found[name] = {"ndv": len(words), "fpp": 0.01}
    return found

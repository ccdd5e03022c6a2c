"""Writes what an hour of flows adds up to: a few small Parquet files that a page reads.

| file | one row | for |
|---|---|---|
| `groups` | a group of ends: its number is its place | names |
| `links` | two groups, port, protocol, direction: its number is its place | overview, map, facets |
| `edges_1m`, `edges_10m` | a link in a bucket of time, sorted by bucket | overview, map, facets |
| `ends_1h` | an address, its side and name; sorted by address, so that statistics skip | who was |
| `details` | of a group, what was seen of it that it has no column for: pod, labels, node, images | filters |

Every row holds ends of one confidence. Counts are of flows; bytes and packets of both directions, as they were counted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whowas.arrays import Indices, Words
from whowas.workbench.numbering import NONE, Lists, Sums, WordList
from whowas.workbench.rollup_sql import AN_HOUR, DETAILS, GROUP, MEASURES, SIDES, TEN_MINUTES
from whowas.workbench.summing import CANDIDATE, MINUTE, NESTED, PLAIN, Summed

FILES = ("groups", "links", "edges_1m", "edges_10m", "ends_1h", "details")
SORTED_ROWS, FACT_ROWS = 8192, 32_768
# Numbers of which there are few; of the others each differs from the one before by little.
FEW = ("bucket", "flows", "dst_port", "protocol_number")
TOLD = ("labels", "images")
LABELS, IMAGES = pa.map_(pa.string(), pa.string()), pa.list_(pa.string())
OTHERS = pa.list_(pa.struct([pa.field(one, pa.string()) for one in CANDIDATE]))


def write(summed: Summed, place: Path) -> None:
    """Write all files into a folder."""
    _write(place / "groups.parquet", groups(summed), SORTED_ROWS)
    _write(place / "links.parquet", links(summed), SORTED_ROWS)
    minutes = edges(summed)
    _write(place / "edges_1m.parquet", minutes, FACT_ROWS)
    _write(place / "edges_10m.parquet", _coarser(minutes), FACT_ROWS)
    _write(place / "ends_1h.parquet", ends(summed), SORTED_ROWS)
    _write(place / "details.parquet", details(summed), SORTED_ROWS)


def _write(path: Path, table: Any, rows: int) -> None:
    plain = pa.table(
        [one.cast(one.type.value_type) if pa.types.is_dictionary(one.type) else one for one in table.columns],
        names=table.schema.names,
    )
    numbers = [one.name for one in plain.schema if pa.types.is_integer(one.type) and one.name not in FEW]
    few = [one.name for one in plain.schema if one.name not in numbers and not pa.types.is_nested(one.type)]
    pq.write_table(
        plain, path, compression="zstd", row_group_size=rows, use_dictionary=few,
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
    )  # fmt: skip


def groups(summed: Summed) -> Any:
    """cluster, GROUP, candidates."""
    rows = summed.groups.listed(0, len(GROUP) + 2)
    columns = {"cluster": summed.words["cluster"].taken(rows[:, 0])}
    for place, one in enumerate(GROUP):
        columns[one] = summed.words["service" if one == "name" else one].taken(rows[:, 1 + place])
    columns["candidates"] = _others(summed, rows[:, -1])
    return pa.table(columns)


def links(summed: Summed) -> Any:
    """src, dst: groups; dst_port, protocol, protocol_number, direction."""
    rows = summed.links.listed(0, 6)
    return pa.table(
        {
            "src": rows[:, 0], "dst": rows[:, 1], "dst_port": _number(rows[:, 2]),
            "protocol": summed.words["protocol"].taken(rows[:, 3]), "protocol_number": _number(rows[:, 4]),
            "direction": summed.words["direction"].taken(rows[:, 5]),
        }
    )  # fmt: skip


def edges(summed: Summed) -> Any:
    """bucket (a minute's begin in us, null without a time), link, MEASURES."""
    rows = summed.minutes.listed(0, 2)
    return _sorted(_buckets(summed.buckets, rows[:, 0], MINUTE), rows[:, 1], summed.edge_sums.parts())


def _buckets(known: WordList, codes: Indices, size: int) -> Words:
    """Begins of buckets in us, NONE without a time."""
    begins = np.array([NONE, *(one * size for one in known.words[1:])], np.int64)
    return begins[codes]


def _sorted(buckets: Words, numbers: Indices, sums: list[Words]) -> Any:
    order = np.lexsort((numbers, buckets))
    taken = [one[order] for one in sums]
    nobody = taken[3] == NONE
    columns = {"bucket": _us(buckets[order], buckets[order] == NONE), "link": pa.array(numbers[order], pa.int32())}
    columns |= dict(zip(MEASURES, [*map(pa.array, taken[:3]), *(_us(one, nobody) for one in taken[3:])], strict=True))
    return pa.table(columns)


def _us(values: Words, missing: Any) -> Any:
    return pa.array(values, pa.int64(), mask=missing)


def _coarser(minutes: Any) -> Any:
    """The same by ten minutes."""
    there = minutes["bucket"].is_valid().to_numpy()
    begins = pc.fill_null(minutes["bucket"], NONE).to_numpy()
    begins = np.where(there, np.floor_divide(begins, TEN_MINUTES) * TEN_MINUTES, NONE)
    several, codes = np.unique(begins, return_inverse=True)
    rows, sums = Lists(), Sums()
    at = rows.rows(codes.astype(np.int32), minutes["link"].to_numpy())
    told = [pc.fill_null(minutes[one], 0).to_numpy() for one in MEASURES]
    sums.add(at, rows.known, told, there)
    found = rows.listed(0, 2)
    return _sorted(several[found[:, 0]], found[:, 1], sums.parts())


def ends(summed: Summed) -> Any:
    """bucket (an hour's begin), cluster, address, side, names, MEASURES; by address, then bucket."""
    rows = summed.ends.listed(0, 4)
    named = summed.identities.listed(0, len(PLAIN) + len(NESTED) + 1)[rows[:, 1]]
    group = summed.groups.listed(0, len(GROUP) + 2)[summed.group_of[rows[:, 1]]]
    buckets = _buckets(summed.hours, rows[:, 3], AN_HOUR)
    sums = summed.end_sums.parts()
    columns = {"bucket": _us(buckets, buckets == NONE), "cluster": summed.words["cluster"].taken(named[:, 0])}
    columns["address"] = summed.words["ip"].taken(rows[:, 0])
    columns["side"] = pa.DictionaryArray.from_arrays(pa.array(rows[:, 2]), pa.array(SIDES))
    for one in (*(what for what in GROUP if what != "name"), "pod", "pod_uid"):
        columns[one] = summed.words[one].taken(named[:, 1 + PLAIN.index(one)])
    columns["name"] = summed.words["service"].taken(group[:, 1 + GROUP.index("name")])
    nobody = sums[3] == NONE
    columns |= dict(zip(MEASURES, [*map(pa.array, sums[:3]), *(_us(one, nobody) for one in sums[3:])], strict=True))
    table = pa.table({name: _plain(one) for name, one in columns.items()})
    return table.take(pc.sort_indices(table, sort_keys=[("address", "ascending"), ("bucket", "ascending")]))


def _plain(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def details(summed: Summed) -> Any:
    """group, DETAILS; of labels and images a text too, by which they are compared."""
    rows = summed.identities.listed(0, len(PLAIN) + len(NESTED) + 1)
    columns: dict[str, Any] = {"group": pa.array(summed.group_of, pa.int32())}
    for one in DETAILS:
        if one in TOLD:
            codes = rows[:, 1 + len(PLAIN) + NESTED.index(one)]
            every = _labels(summed) if one == "labels" else _images(summed)
            columns[one] = _taken(every, codes)
            columns[f"{one}_text"] = _taken(pa.array([json.dumps(several) for several in every.to_pylist()]), codes)
        else:
            columns[one] = summed.words[one].taken(rows[:, 1 + PLAIN.index(one)])
    return pa.table(columns)


def _number(codes: Indices) -> Any:
    return pa.array(codes, pa.int32(), mask=codes < 0)


def _labels(summed: Summed) -> Any:
    flat, offsets = summed.nested["labels"].parts()
    keys, items = (summed.inner.taken(flat[place::2]) for place in range(2))
    every = pa.MapArray.from_arrays(pa.array(offsets // 2, pa.int32()), _plain(keys), _plain(items))
    return every.cast(LABELS)


def _images(summed: Summed) -> Any:
    flat, offsets = summed.nested["images"].parts()
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _plain(summed.inner.taken(flat))).cast(IMAGES)


def _others(summed: Summed, codes: Indices) -> Any:
    flat, offsets = summed.nested["candidates"].parts()
    told = summed.elements.listed(0, len(CANDIDATE))[flat]
    parts = [_plain(summed.inner.taken(told[:, place])) for place in range(len(CANDIDATE))]
    structs = pa.StructArray.from_arrays(parts, names=list(CANDIDATE))
    return _taken(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs).cast(OTHERS), codes)


def _taken(lists: Any, codes: Indices) -> Any:
    """Lists of numbers, none where a code is 0."""
    return lists.take(pa.array(codes.astype(np.int64) - 1, mask=codes == 0))

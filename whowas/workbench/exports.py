"""Flows of a filter as a file, in pieces: CSV, JSON lines, Parquet. Hours are read one after the other."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.flows.json_objects import lines
from sinks.flows.jsonl import rows as plain_rows
from whowas.safe_text import harmless, in_words
from whowas.workbench.api.flows import ExportAsk, FlowsAsk
from whowas.workbench.edges import Asking, bounds
from whowas.workbench.filter_text import read
from whowas.workbench.hours import touched
from whowas.workbench.pages import columns_of, steps, where
from whowas.workbench.rollups import relation

BATCH_ROWS = 4096
TYPES = {
    "csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet",
}  # fmt: skip


def pieces(asking: Asking, asked: ExportAsk) -> Iterator[bytes]:
    """Yield the file. Raises: ConfigError before the first piece."""
    names = columns_of(asked.columns) if asked.columns else columns_of(["flow_id", *columns_of([])])
    made = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[asked.format]
    return made(_batches(asking, asked, names), names)


def partial(asking: Asking, asked: ExportAsk) -> str:
    """Say that the file will not hold all that matches; "" when it will."""
    sql, values = where(FlowsAsk(asked.filter, asked.range), read(asked.filter).filter, None)
    left = asked.limit
    for hours in steps(touched(asking.state.found.hours, *bounds(asked.range)), asked.oldest_first):
        asking.call.check()
        every = " UNION ALL BY NAME ".join(f"({relation(asking.link, one)})" for one in hours)
        some = f"SELECT 1 FROM ({every}) WHERE {sql} LIMIT {int(left) + 1}"
        left -= asking.link.sql(f"SELECT count(*) FROM ({some})", params=values).fetchall()[0][0]
        if left < 0:
            return f"the {'oldest' if asked.oldest_first else 'newest'} {asked.limit:,} flows; more match"
    return ""


def _batches(asking: Asking, asked: ExportAsk, names: list[str]) -> Iterator[Any]:
    """Batches of one schema."""
    sql, values = where(FlowsAsk(asked.filter, asked.range), read(asked.filter).filter, None)
    left = asked.limit
    order = "ASC" if asked.oldest_first else "DESC"
    for hours in steps(touched(asking.state.found.hours, *bounds(asked.range)), asked.oldest_first):
        if left <= 0:
            return
        asking.call.check()
        every = " UNION ALL BY NAME ".join(f"({relation(asking.link, one)})" for one in hours)
        result = asking.link.sql(
            f"SELECT {', '.join(names)} FROM ({every}) WHERE {sql} "
            f"ORDER BY start_time {order}, flow_id LIMIT {int(left)}",
            params=values,
        )
        reader = result.to_arrow_reader(BATCH_ROWS)
        for batch in reader:
            asking.call.check()
            left -= batch.num_rows
            yield batch


def _csv(batches: Iterator[Any], names: list[str]) -> Iterator[bytes]:
    """All cells quoted; those that a spreadsheet would run begin with '."""
    yield _lines([names])
    for batch in batches:
        yield _lines([_cell(value) for value in row.values()] for row in plain_rows(batch))


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return harmless(in_words(value))


def _jsonl(batches: Iterator[Any], _names: list[str]) -> Iterator[bytes]:
    for batch in batches:
        yield from lines(batch)


class _Pieces(io.RawIOBase):
    """A file that hands on what is written."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.held.append(bytes(data))
        self._at += len(self.held[-1])
        return len(self.held[-1])

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        """What was written since."""
        found = b"".join(self.held)
        self.held.clear()
        return found


def _parquet(batches: Iterator[Any], names: list[str]) -> Iterator[bytes]:
    out = _Pieces()
    writer = None
    for batch in batches:
        writer = writer or pq.ParquetWriter(out, batch.schema, compression="zstd")
        writer.write_batch(batch)
        yield out.taken()
    if writer is None:
        nothing = pa.schema([pa.field(name, pa.string()) for name in names])
        writer = pq.ParquetWriter(out, nothing)
        writer.write_table(nothing.empty_table())
    writer.close()
    yield out.taken()

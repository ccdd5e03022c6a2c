"""Named flows as JSON lines: one object a flow, keys as the columns, for tools that read text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sinks.files.durable import durable
from sinks.files.output_folder import OutputFolder, Run
from whowas.schema import check, named_schema, plain


def rows(flows: Any) -> list[dict[str, Any]]:
    """Turn a batch into plain objects: times as RFC 3339 UTC with microseconds, bytes as hex, labels as objects."""
    found: list[dict[str, Any]] = []
    flows = plain(flows)
    maps = {f.name for f in flows.schema if pa.types.is_map(f.type)}
    for row in flows.to_pylist():
        found.append({name: _value(dict(value) if name in maps and value else value) for name, value in row.items()})
    return found


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return value.hex()
    return value


def texts(flows: Any, nulls: bool = True) -> list[str]:
    """Return what json.dumps says of each of `rows`, column by column: a word is put into JSON once a batch.

    nulls: False leaves out the fields that are null.
    """
    named = zip(flows.schema.names, flows.columns, strict=True)
    wanted = [(name, column) for name, column in named if nulls or column.null_count < len(column)]
    members = [_members(name, column, nulls) for name, column in wanted]
    if nulls:
        return ["{" + ",".join(row) + "}" for row in zip(*members, strict=True)]
    return ["{" + ",".join(filter(None, row)) + "}" for row in zip(*members, strict=True)]


def _members(name: str, column: Any, nulls: bool) -> list[str]:
    """A column's part of each object; nothing for a null that is left out."""
    key = _dumped(name) + ":"
    missing = key + "null" if nulls else ""
    if not pa.types.is_dictionary(column.type):
        return [missing if one is None else key + one for one in _words(column)]
    used, places = np.unique(pc.fill_null(column.indices, -1).to_numpy(), return_inverse=True)
    there = used[used >= 0]
    told = [missing if one is None else key + one for one in _words(column.dictionary.take(pa.array(there)))]
    told = [missing, *told] if len(there) < len(used) else told
    return [told[place] for place in places.tolist()]


def _words(column: Any) -> list[str | None]:
    """Each value as JSON."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        times = np.datetime_as_string(pc.fill_null(column.cast(pa.int64()), 0).to_numpy().astype("M8[us]")).tolist()
        there = column.is_valid().to_pylist()
        return [f'"{time}Z"' if valid else None for time, valid in zip(times, there, strict=True)]
    values = column.to_pylist()
    if pa.types.is_integer(kind):
        return [None if one is None else str(one) for one in values]
    if pa.types.is_map(kind):
        values = [dict(one) if one else one for one in values]
    return [None if one is None else _dumped(_value(one)) for one in values]


_dumped = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class JsonlSink:
    """Writes `out/whowas-RUN-NNNNN.jsonl`, a file a flush; all appear when the sink is closed."""

    def __init__(self, out: str | Path, run: Run | str, existing: str = "refuse", rows_held: int = 65_536) -> None:
        self.files: list[str] = []
        self.bytes_written = 0
        self._out = Path(out)
        self._run = run if isinstance(run, Run) else Run(run)
        self._folder = OutputFolder(self._out, ".jsonl", self._run, existing)
        self._waiting: list[Any] = []
        self._claimed = False
        self._rows_held = rows_held

    def check(self) -> None:
        """Claim the folder. Raises: OutputError."""
        self._folder.claim()
        self._claimed = True

    def write(self, flows: Any) -> None:
        """Hold a batch; write a file when enough is held."""
        check(flows, named_schema())
        self._waiting.append(flows)
        if sum(batch.num_rows for batch in self._waiting) >= self._rows_held:
            self.flush()

    def flush(self) -> None:
        """Write what is held as one file; it is on disk on return, and appears with the rest."""
        if not self._waiting:
            return
        name = f"whowas-{self._run.name}-{len(self.files):05d}.jsonl"
        path = self._folder.place(name)
        with durable(path) as handle:
            for batch in self._waiting:
                handle.write("".join(f"{row}\n" for row in texts(batch)).encode())
        self._waiting.clear()
        self.files.append(str(self._out / name))
        self.bytes_written += path.stat().st_size

    def close(self) -> None:
        """Flush, let the files appear, unlock the folder."""
        if self._claimed:
            self.flush()
            self._folder.publish()
        self.abandon()

    def abandon(self) -> None:
        """Forget what waits and what has not appeared; unlock the folder."""
        self._waiting.clear()
        # Also where a signal came between the lock and the word of it.
        self._folder.release()
        self._claimed = False

"""Named flows as JSON lines: one object a flow, keys as the columns, for tools that read text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.durable import Folder, durable
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


class JsonlSink:
    """Writes `out/whowas-RUN-NNNNN.jsonl`, a file a flush, each whole or absent."""

    def __init__(self, out: str | Path, run: str, existing: str = "refuse", rows_held: int = 65_536) -> None:
        self.files: list[str] = []
        self.bytes_written = 0
        self._out = Path(out)
        self._run = run
        self._folder = Folder(self._out, "*.jsonl", run, existing)
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
        """Write what is held as one file; durable on return."""
        if not self._waiting:
            return
        path = self._out / f"whowas-{self._run}-{len(self.files):05d}.jsonl"
        with durable(path) as handle:
            for batch in self._waiting:
                for row in rows(batch):
                    handle.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._waiting.clear()
        self.files.append(str(path))
        self.bytes_written += path.stat().st_size

    def close(self) -> None:
        """Flush and unlock the folder."""
        if self._claimed:
            self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Forget what waits, keep the finished files, unlock the folder."""
        self._waiting.clear()
        if self._claimed:
            self._folder.release()
            self._claimed = False

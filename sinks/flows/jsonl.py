"""Named flows as JSON lines: one object a flow, keys as the columns, for tools that read text."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.files.durable import durable
from sinks.files.output_folder import OutputFolder, Run
from sinks.flows.json_objects import lines
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
                handle.writelines(lines(batch))
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

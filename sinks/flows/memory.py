"""Named flows in memory: what `whowas.replay` returns, and the reference every other sink is held against."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from whowas.schema import check, named_schema, plain, table_schema


class MemorySink:
    """Keeps every batch. `table()` gives them as one Arrow table."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.bytes_written = 0
        self._batches: list[Any] = []

    def check(self) -> None:
        """Memory can always be written."""

    def write(self, flows: Any) -> None:
        """Keep a batch."""
        check(flows, named_schema())
        self._batches.append(flows)

    def flush(self) -> None:
        """Nothing is buffered elsewhere."""

    def close(self) -> None:
        """Nothing is held open."""

    def abandon(self) -> None:
        """Keep what was written."""

    def table(self) -> Any:
        """Return all flows sorted by (start_time, flow_id), as the files of the other sinks are."""
        table = pa.Table.from_batches(map(plain, self._batches), schema=table_schema()).unify_dictionaries()
        return table.sort_by([("start_time", "ascending"), ("flow_id", "ascending")])

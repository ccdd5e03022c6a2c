"""Which Parquet files below a folder count: all, but of a Delta table those that its log names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sinks.files.run_journal import DELTA_LOG


def live_files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the paths of Parquet files, in no order; tables may lie anywhere below.

    Raises: OutputError for a table that cannot be read, MissingExtra where the library for it is missing.
    """
    for place, folders, names in os.walk(folder):
        if DELTA_LOG in folders:
            from sinks.flows.delta_log import DeltaLog

            folders.clear()
            yield from (os.path.join(place, one) for one in DeltaLog(Path(place)).files())
        else:
            yield from (os.path.join(place, one) for one in names if one.endswith(".parquet"))

"""Flow logs to flows: bytes in, record batches of whowas.schema.flow_schema out. One module a format.

kernels/ scans the bytes, fields.py makes columns of what it finds, flow_builder.py checks and builds the batch.
What is named here is imported when it is asked for: a capture needs none of the formats.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.records.files.beginnings import RecordFiles
    from ingest.records.files.source import RecordSource, holds_records
    from ingest.records.formats.recognise import FORMATS, reader_for
    from ingest.records.reader import Ids, Parsed, RecordOptions, RecordReader, Refusal, Values, read_safely

_ROOMS = {
    "FORMATS": "formats.recognise",
    "Ids": "reader",
    "Parsed": "reader",
    "RecordFiles": "files.beginnings",
    "RecordOptions": "reader",
    "RecordReader": "reader",
    "RecordSource": "files.source",
    "Refusal": "reader",
    "Values": "reader",
    "holds_records": "files.source",
    "read_safely": "reader",
    "reader_for": "formats.recognise",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'ingest.records' has no attribute '{name}'")
    return getattr(importlib.import_module(f"ingest.records.{_ROOMS[name]}"), name)


__all__ = [
    "FORMATS",
    "Ids",
    "Parsed",
    "RecordFiles",
    "RecordOptions",
    "RecordReader",
    "RecordSource",
    "Refusal",
    "Values",
    "holds_records",
    "read_safely",
    "reader_for",
]

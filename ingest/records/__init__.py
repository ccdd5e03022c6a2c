"""Flow logs to flows: bytes in, record batches of whowas.schema.flow_schema out. One module a format.

kernels/ scans the bytes, fields.py makes columns of what it finds, flow_builder.py checks and builds the batch.
"""

from ingest.records.files.source import RecordFiles, RecordSource, holds_records
from ingest.records.formats.recognise import FORMATS, reader_for
from ingest.records.reader import Ids, Parsed, RecordOptions, RecordReader, Refusal, Values, read_safely

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

"""What is told of files of records, and their first bytes: all it takes to see that an input holds none."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass, field

from ingest.files import Input, open_input
from ingest.records.reader import RecordOptions

HEAD = 1 << 16
BLOCK = 4 << 20


@dataclass(frozen=True)
class RecordFiles:
    """How files of records are read. format: None = each is recognised.

    dead_letter: file for what is refused. A replay writes it (whowas.batch.inputs); a RecordSource alone does not.
    """

    format: str | None = None
    options: RecordOptions = field(default_factory=RecordOptions)
    dead_letter: str | None = None
    block_bytes: int = BLOCK


def first_bytes(path: str) -> bytes:
    """The first bytes of an input, uncompressed, without using them up; none where that cannot be."""
    if path == "-":
        ahead = sys.stdin.buffer.peek(HEAD) if isinstance(sys.stdin.buffer, io.BufferedReader) else b""
        with Input("-", io.BytesIO(ahead), 0) as source:
            return source.read(HEAD)
    if not os.path.isfile(path):
        return b""
    with open_input(path) as source:
        return source.read(HEAD)

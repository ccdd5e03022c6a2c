"""Named flows as Kafka messages: JSON, one a flow, or Arrow IPC, one a batch. The key is stable: a repeat is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sinks.flows.dead_letters import Letter
from sinks.flows.json_objects import objects
from whowas.schema import plain

# An Arrow message holds so many flows, and fewer where they are large: brokers take a megabyte unless told otherwise.
ARROW_ROWS, ARROW_BYTES = 1000, 900_000
Message = tuple[bytes | None, bytes]


def messages(flows: Any, form: str, revision: int | None) -> Iterator[Message]:
    """Yield (key, value). revision: 0 provisional, 1 the answer that replaces it; None where answers are final."""
    if form == "arrow":
        yield from _arrow(flows, revision)
        return
    told = objects(flows, nulls=False, more="" if revision is None else f'"revision":{revision}')
    yield from zip(*(one.cast(pa.large_binary()).to_pylist() for one in (flows["flow_id"], told)), strict=True)


def _arrow(flows: Any, revision: int | None) -> Iterator[Message]:
    """IPC streams of some rows each, keyed by a digest of the flow ids within."""
    flows = plain(flows)
    for start in range(0, flows.num_rows, ARROW_ROWS):
        yield from _halved(flows.slice(start, ARROW_ROWS), revision)


def _halved(part: Any, revision: int | None) -> Iterator[Message]:
    """One message, or two where it would be too large."""
    value = _encoded(part, revision)
    if len(value) > ARROW_BYTES and part.num_rows > 1:
        half = part.num_rows // 2
        yield from _halved(part.slice(0, half), revision)
        yield from _halved(part.slice(half), revision)
        return
    yield hashlib.sha256("".join(part["flow_id"].to_pylist()).encode()).hexdigest()[:32].encode(), value


def _encoded(part: Any, revision: int | None) -> bytes:
    part = plain(part)
    if revision is not None:
        part = part.append_column("revision", pa.array([revision] * part.num_rows, pa.int32()))
    # Of the whole batch's words only those that these rows use.
    part = pa.RecordBatch.from_arrays([_own_words(one) for one in part.columns], schema=part.schema)
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, part.schema) as writer:
        writer.write_batch(part)
    value: bytes = buffer.getvalue().to_pybytes()
    return value


def _own_words(column: Any) -> Any:
    if not pa.types.is_dictionary(column.type):
        return column
    return pc.cast(column, column.type.value_type).dictionary_encode()


def dead_letters(letters: list[Letter]) -> Iterator[Message]:
    """Yield a message a letter: the value as it came, its place and the reason as JSON in the key."""
    for one in letters:
        yield json.dumps(one.place(), ensure_ascii=False).encode(), one.value

"""Messages of a topic of evidence: evidence lines in zstd, as in a slice, some of them a message.

`kcat -C -t TOPIC -f %s | zstd -dc` shows them. The first line of each message tells the format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import zstandard

from ingest.cluster.evidence.lines import observations_in
from ingest.cluster.evidence.slice import as_line
from whowas.errors import InputError
from whowas.observation import Observation

FORMAT = 1
FIRST = b'{"type":"EVIDENCE","format":1}\n'
# Brokers take messages of a megabyte unless they are told otherwise; lines are mostly a tenth as large when packed.
RAW_MOST = 1 << 20
PACKED_MOST = 900_000
# More than any message we write: what unfolds to more is none.
UNPACKED_MOST = 64 << 20
PACKER = zstandard.ZstdCompressor(level=3)


class _First(msgspec.Struct):
    type: str
    format: int


def to_messages(observations: Sequence[Observation]) -> list[bytes]:
    """Return observations as messages. A line that alone is too large for a broker's taste is a message of its own."""
    lines: list[bytes] = []
    found: list[bytes] = []
    size = 0
    for one in observations:
        line = msgspec.json.encode(as_line(one))
        if lines and size + len(line) > RAW_MOST:
            found += _packed(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    return found + _packed(lines) if lines else found


def _packed(lines: list[bytes]) -> list[bytes]:
    message = PACKER.compress(FIRST + b"\n".join(lines))
    if len(message) <= PACKED_MOST or len(lines) == 1:
        return [message]
    half = len(lines) // 2
    return _packed(lines[:half]) + _packed(lines[half:])


def from_message(message: bytes, source: str, refused: Counter[str]) -> list[Observation]:
    """Return the observations of a message. source: where it comes from, for people. refused: counts odd lines.

    Raises: InputError for what is no message of evidence, or one of a newer format.
    """
    try:
        raw = zstandard.ZstdDecompressor().stream_reader(message).read(UNPACKED_MOST)
        first, _, rest = raw.partition(b"\n")
        told = msgspec.json.decode(first, type=_First)
    except (zstandard.ZstdError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {source}: it is no message of evidence ({error}); see what else writes to "
                         "the topic") from error  # fmt: skip
    if told.type != "EVIDENCE" or told.format > FORMAT:
        raise InputError(
            f"cannot read {source}: it has format {told.type} {told.format}, this whowas knows up to {FORMAT}; "
            "update whowas"
        )
    return [one for line in rest.split(b"\n") if line for one in _observations(line, source, refused)]


def _observations(line: bytes, source: str, refused: Counter[str]) -> list[Observation]:
    try:
        found = observations_in(line, source)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        refused["broken_json"] += 1
        return []
    if not found:
        refused["no_evidence"] += 1
    return found

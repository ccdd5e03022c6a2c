"""CloudWatch Logs: exports, the console's tables, answers of the AWS command line, subscriptions, Firehose.

Source: docs.aws.amazon.com/AmazonCloudWatch/latest/logs: S3Export, SubscriptionFilters, CWL_QuerySyntax; API reference
of FilterLogEvents and GetLogEvents; docs.aws.amazon.com/firehose: records of HTTP endpoints; Lambda's awslogs event.
"""

from __future__ import annotations

import binascii
import csv
import zlib
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET as UNTOLD
from msgspec import Raw, Struct, UnsetType

from ingest.wrappings.shapes import STAMP, Envelope, Prefix, decoder, text

# An export to S3 writes the time before each message. So do `kubectl logs --timestamps` and `docker logs -t`.
EXPORT = Prefix("stamped", STAMP + rb" ")
# A subscription's message is 1 MB at most, and text shrinks to a tenth.
UNPACKED_MOST = 64 << 20
# CloudWatch tests its subscribers with such a message.
CONTROL = "CWL CONTROL MESSAGE"
COLUMNS = ("message", "@message")
QUOTE = b'"'


class Event(Struct):
    """An event of logEvents or events."""

    message: str | None = None


class Lone(Struct, forbid_unknown_fields=True):
    """An event that stands alone: with no field of anybody else."""

    message: str
    timestamp: int | str | None = None
    ingestionTime: int | str | None = None
    eventId: str | None = None
    id: str | None = None
    logStreamName: str | None = None
    logGroupName: str | None = None
    logGroup: str | None = None
    logStream: str | None = None


class Stream(Struct, forbid_unknown_fields=True):
    """A word of the AWS command line on a stream it looked through: no event."""

    logStreamName: str
    searchedCompletely: bool | None = None


class Packed(Struct):
    """data: base64, mostly of gzip."""

    data: str


class Record(Struct, forbid_unknown_fields=True):
    """A record of Firehose."""

    data: str
    recordId: str | None = None
    approximateArrivalTimestamp: int | None = None
    kinesisRecordMetadata: Any = None


class Whole(Struct):
    """What may stand around events."""

    logEvents: list[Event] | None = None
    events: list[Event] | None = None
    awslogs: Packed | None = None
    kinesis: Packed | None = None
    records: Raw | UnsetType = UNTOLD
    Records: list[Raw] | None = None


class CloudWatch(Envelope):
    """Events in JSON: alone, in an answer, in a subscription's message, packed."""

    name = "cloudwatch"
    _whole, _lone, _record, _stream = decoder(Whole), decoder(Lone), decoder(Record), decoder(Stream)
    _records = decoder(list[Record])

    def inside(self, outer: bytes) -> list[bytes] | None:
        """See Envelope."""
        found: Whole = self._whole.decode(outer)
        events = found.logEvents if found.logEvents is not None else found.events
        if events is not None:
            return _messages([one.message for one in events])
        for one in (found.awslogs, found.kinesis):
            if one is not None:
                return unpacked(one.data)
        if found.Records is not None:
            return [bytes(one) for one in found.Records]
        if not isinstance(found.records, UnsetType):
            return _all(self._records.decode(found.records))
        return self._alone(outer)

    def _alone(self, outer: bytes) -> list[bytes] | None:
        if b'"message"' in outer:
            return _messages([self._lone.decode(outer).message])
        if b'"data"' in outer:
            return unpacked(self._record.decode(outer).data)
        self._stream.decode(outer)
        return []


def _messages(told: Sequence[str | None]) -> list[bytes]:
    return [text(one) for one in told if one and not one.startswith(CONTROL)]


def _all(records: Sequence[Record]) -> list[bytes] | None:
    """What is in all of them; None where one cannot be unpacked, so that it is not lost."""
    found = [unpacked(one.data) for one in records]
    return None if None in found else [inner for some in found for inner in some or ()]


def unpacked(data: str) -> list[bytes] | None:
    """Return what base64, and gzip in it, hold: a text; None where it cannot be unpacked, or is too large."""
    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        return None
    if raw[:2] != b"\x1f\x8b":
        return [raw.rstrip(b"\r\n")]
    codec = zlib.decompressobj(wbits=31)
    try:
        found = codec.decompress(raw, UNPACKED_MOST)
    except zlib.error:
        return None
    return [found.rstrip(b"\r\n")] if codec.eof and not codec.unused_data else None


class Console:
    """A table of the console, or of Logs Insights: a column `message`. In quotes a record may go on over lines."""

    name, is_text, joins = "cloudwatch-csv", False, True

    def __init__(self, header: bytes) -> None:
        """Raises: ValueError where the line is no header of such a table."""
        self._header = header.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
        names = next(csv.reader([self._header.decode()]), [])
        if not any(name in ("timestamp", "@timestamp") for name in names):
            raise ValueError("no header of CloudWatch")
        self._wide = len(names)
        self._at = next(names.index(name) for name in COLUMNS if name in names)

    @classmethod
    def of(cls, line: bytes) -> Console | None:
        """Return the table that a line is the header of."""
        try:
            return cls(line[:1024])
        except (ValueError, StopIteration, csv.Error):
            return None

    def opened(self, outer: bytes) -> list[bytes] | None:
        """See Wrapping. The header holds no record."""
        if outer.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n") == self._header:
            return []
        try:
            rows = list(csv.reader([f"{line}\n" for line in outer.decode().split("\n")], strict=True))
        except (UnicodeDecodeError, csv.Error):
            return None
        if any(len(row) != self._wide for row in rows):
            return None
        return [text(row[self._at]) for row in rows]

    def goes_on(self, line: bytes, waiting: frozenset[bytes]) -> frozenset[bytes]:
        """See Wrapping."""
        return waiting ^ {QUOTE} if line.count(QUOTE) % 2 else waiting

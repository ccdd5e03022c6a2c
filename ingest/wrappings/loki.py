"""Loki: lines of `logcli -o jsonl`, Grafana's downloads, and answers of its API.

Source: grafana.com/docs/loki: logcli, HTTP API (query_range: resultType streams; push and tail: streams).
"""

from __future__ import annotations

from msgspec import UNSET as UNTOLD
from msgspec import Raw, Struct, UnsetType

from ingest.wrappings.shapes import Envelope, decoder, text


class Line(Struct):
    """A line with the labels of its stream."""

    line: str
    labels: Raw | UnsetType = UNTOLD
    timestamp: Raw | UnsetType = UNTOLD
    fields: Raw | UnsetType = UNTOLD


class Stream(Struct):
    """A stream: (nanoseconds, line), maybe with structured metadata behind."""

    stream: dict[str, str]
    values: list[list[Raw]]


class Data(Struct):
    """data of an answer."""

    resultType: str
    result: list[Stream]


class Answer(Struct):
    """What may stand around streams."""

    data: Data | None = None
    streams: list[Stream] | None = None


class Loki(Envelope):
    """Lines of Loki."""

    name = "loki"
    _line, _stream, _answer, _text = decoder(Line), decoder(Stream), decoder(Answer), decoder(str)

    def inside(self, outer: bytes) -> list[bytes] | None:
        """See Envelope."""
        if b'"values"' not in outer:
            found: Line = self._line.decode(outer)
            beside = (found.labels, found.timestamp, found.fields)
            return None if all(one is UNTOLD for one in beside) else [text(found.line)]
        answer: Answer = self._answer.decode(outer)
        if answer.data is not None:
            return self._lines(answer.data.result) if answer.data.resultType == "streams" else None
        if answer.streams is not None:
            return self._lines(answer.streams)
        return self._lines([self._stream.decode(outer)])

    def _lines(self, streams: list[Stream]) -> list[bytes]:
        return [text(self._text.decode(one[1])) for stream in streams for one in stream.values if len(one) > 1]

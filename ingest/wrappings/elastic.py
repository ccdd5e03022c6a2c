"""Envelopes of the Elastic stack and its like: filebeat, Logstash, Vector, exports of Elasticsearch and OpenSearch.

Source: elastic.co/guide: filebeat (message; json without `keys_under_root`), ECS (event.original), search API.
"""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType, field

from ingest.wrappings.shapes import Envelope, decoder, is_object, text


class Original(Struct):
    """event."""

    original: str | None = None


class Hits(Struct):
    """hits of an answer."""

    hits: list[Raw]


class Document(Struct):
    """A document or an event of a shipper, or an answer full of them."""

    source: Raw | UnsetType = field(name="_source", default=UNSET)
    hits: Hits | None = None
    at: Raw | UnsetType = field(name="@timestamp", default=UNSET)
    json: Raw | UnsetType = UNSET
    event: Original | str | int | float | bool | list[Raw] | None = None
    message: Raw | UnsetType = UNSET


class Elastic(Envelope):
    """Documents. Text that is no JSON counts only where the envelope has its time, `@timestamp`."""

    name = "elastic"
    _document, _text = decoder(Document), decoder(str)

    def inside(self, outer: bytes) -> list[bytes] | None:
        """See Envelope."""
        found: Document = self._document.decode(outer)
        if found.source is not UNSET:
            return [bytes(found.source)]
        if found.hits is not None:
            return [bytes(one) for one in found.hits.hits]
        if found.json is not UNSET and bytes(found.json)[:1] == b"{":
            return [bytes(found.json)]
        for one in (self._original(found), self._message(found)):
            if one and (found.at is not UNSET or is_object(one)):
                return [one]
        return None

    def _original(self, found: Document) -> bytes:
        told = found.event.original if isinstance(found.event, Original) else None
        return text(told) if told else b""

    def _message(self, found: Document) -> bytes:
        raw = b"" if isinstance(found.message, UnsetType) else bytes(found.message)
        return text(self._text.decode(raw)) if raw[:1] == b'"' else b""

"""Azure Monitor: diagnostic records (`properties.log`), rows of a Log Analytics table (`log_s`), files of `records`.

Source: learn.microsoft.com/azure/azure-monitor: resource logs schema; AKS control plane logs (AzureDiagnostics).
"""

from __future__ import annotations

from msgspec import Raw, Struct

from ingest.wrappings.shapes import Envelope, decoder, text


class Properties(Struct):
    """properties of a record."""

    log: str | None = None


class Diagnostic(Struct):
    """A record, or a file of them."""

    records: list[Raw] | None = None
    properties: Properties | None = None
    log_s: str | None = None


class Azure(Envelope):
    """Records of diagnostic settings."""

    name = "azure"
    _record = decoder(Diagnostic)

    def inside(self, outer: bytes) -> list[bytes] | None:
        """See Envelope."""
        found: Diagnostic = self._record.decode(outer)
        if found.records is not None:
            return [bytes(one) for one in found.records]
        told = found.properties.log if found.properties is not None and found.properties.log else found.log_s
        return [text(told)] if told else None

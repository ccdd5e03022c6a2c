"""Reports how far a source has been read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Bytes as stored of the current file; total 0 = unknown; packets and records of the whole run."""

    path: str
    consumed: int
    total: int
    packets: int = 0
    records: int = 0

"""What the cluster said of itself, in files: objects to observations. What is named here is imported when asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.cluster.evidence.lines import EvidenceReport
    from ingest.cluster.evidence.reader import EvidenceProgress, in_order, read_observations, together

_ROOMS = {
    "EvidenceProgress": "ingest.cluster.evidence.reader",
    "EvidenceReport": "ingest.cluster.evidence.lines",
    "in_order": "ingest.cluster.evidence.reader",
    "read_observations": "ingest.cluster.evidence.reader",
    "together": "ingest.cluster.evidence.reader",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: who asks a store needs no reader of files."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'ingest.cluster' has no attribute '{name}'")
    return getattr(importlib.import_module(_ROOMS[name]), name)


__all__ = ["EvidenceProgress", "EvidenceReport", "in_order", "read_observations", "together"]

"""The versions of all observations in a store."""

from __future__ import annotations

from pathlib import Path

from enrich.store.database import opened
from enrich.store.reader import StoreReader


def versions(path: Path) -> list[int]:
    """The versions of all observations that stand in a store, packed or not."""
    with opened(str(path)) as database:
        every = list(StoreReader(database).observations(-(1 << 62), 1 << 62))
    return sorted(int(one.object.metadata.resourceVersion or 0) for one in every if one.object.metadata)

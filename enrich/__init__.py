"""Knows who held what when. What is named here is imported when it is asked for: a recorder needs no numpy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enrich.answers import NamingOptions
    from enrich.history import ClusterHistory, History, derive
    from enrich.naming import Namer
    from enrich.networks import Network, load_networks

_ROOMS = {
    "ClusterHistory": "enrich.history",
    "History": "enrich.history",
    "Namer": "enrich.naming",
    "NamingOptions": "enrich.answers",
    "Network": "enrich.networks",
    "derive": "enrich.history",
    "load_networks": "enrich.networks",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'enrich' has no attribute '{name}'")
    return getattr(importlib.import_module(_ROOMS[name]), name)


__all__ = ["ClusterHistory", "History", "Namer", "NamingOptions", "Network", "derive", "load_networks"]

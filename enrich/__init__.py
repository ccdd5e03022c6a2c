"""Knows who held what when. What is named here is imported when it is asked for: a recorder needs no numpy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enrich.history.history import ClusterHistory, History, derive
    from enrich.naming.flow_namer import Namer
    from enrich.naming.identities import load_issuers
    from enrich.naming.networks import Network, load_networks
    from enrich.naming.verdicts import NamingOptions

_ROOMS = {
    "ClusterHistory": "enrich.history.history",
    "History": "enrich.history.history",
    "Namer": "enrich.naming.flow_namer",
    "NamingOptions": "enrich.naming.verdicts",
    "Network": "enrich.naming.networks",
    "derive": "enrich.history.history",
    "load_issuers": "enrich.naming.identities",
    "load_networks": "enrich.naming.networks",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'enrich' has no attribute '{name}'")
    return getattr(importlib.import_module(_ROOMS[name]), name)


__all__ = ["ClusterHistory", "History", "Namer", "NamingOptions", "Network", "derive", "load_issuers", "load_networks"]

"""Knows who held what when."""

from enrich.answers import NamingOptions
from enrich.history import ClusterHistory, History, derive
from enrich.naming import Namer
from enrich.networks import Network, load_networks

__all__ = ["ClusterHistory", "History", "Namer", "NamingOptions", "Network", "derive", "load_networks"]

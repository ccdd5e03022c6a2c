"""A real control plane and a real broker for the whole chain."""

from servers.fixtures import broker, kafka_fetched, servers_built

__all__ = ["broker", "kafka_fetched", "servers_built"]

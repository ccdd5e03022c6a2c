from servers.fixtures import control_plane, servers_built

__all__ = ["control_plane", "servers_built"]

"""The one place where the page is served: the loopback address of this machine."""

from __future__ import annotations

import socket

from whowas.errors import ConfigError


def listen(port: int) -> socket.socket:
    """A socket of the loopback address; port 0 takes a free one. Raises: ConfigError."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
        # From here on who comes waits: the URL may be opened before the server runs.
        made.listen(128)
    except OSError as error:
        made.close()
        raise ConfigError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}; say --port with another") from error
    return made


def hosts(port: int) -> list[str]:
    """How a browser names this server."""
    return [f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"]

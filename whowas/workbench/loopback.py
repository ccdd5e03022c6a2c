"""The one place where the page is served: the loopback address of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

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


@contextlib.contextmanager
def door(url: str) -> Iterator[str | None]:
    """A private file that leads to a URL, and is removed afterwards: its own URL, which gives nothing away.

    Command lines can be read by every user of a machine, so no browser is started with the token in its own. None
    where no file can be written.
    """
    folder = _own_folder()
    try:
        yield None if folder is None else _door(Path(folder), url).as_uri()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _own_folder() -> str | None:
    """A folder of mode 0700. At home and not hidden: browsers in a sandbox of their own see no other place."""
    for place in (os.path.expanduser("~"), None):
        with contextlib.suppress(OSError):
            return tempfile.mkdtemp(prefix="whowas-", dir=place)
    return None


def _door(folder: Path, url: str) -> Path:
    made = folder / "open.html"
    to = escape(url, quote=True)
    text = (
        '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>whowas</title>'
        f'<meta http-equiv="refresh" content="0;url={to}"><a href="{to}">to the page</a>\n'
    )
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
    return made

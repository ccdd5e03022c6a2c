"""A small HTTP server for probes and Prometheus: /metrics, /healthz, /readyz."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple

from whowas.errors import ConfigError

REQUEST_SECONDS = 10


class Page(NamedTuple):
    """What is answered: HTTP status, content type, body."""

    status: int
    content_type: str
    body: bytes


class Probe(NamedTuple):
    """Reads, when asked, why something is not well (nothing: it is) and what a program may want to know."""

    reasons: Callable[[], list[str]]
    details: Callable[[], object]


def answer(probe: Probe, as_json: bool) -> Page:
    """Return 200 and `ok`, or 503 and one reason a line; for programs the reasons with the details."""
    reasons = probe.reasons()
    status = 503 if reasons else 200
    if as_json:
        told = {"ok": not reasons, "reasons": reasons, "details": probe.details()}
        return Page(status, "application/json", json.dumps(told, ensure_ascii=False).encode() + b"\n")
    return Page(status, "text/plain; charset=utf-8", ("\n".join(reasons or ["ok"]) + "\n").encode())


def parse_address(text: str) -> tuple[str, int]:
    """Split `127.0.0.1:9464`, `[::1]:9464` or `:9464` (every address). Raises: ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ConfigError(f"cannot listen on '{text}': it is no ADDRESS:PORT; write it like 127.0.0.1:9464, or none")
    return host.strip("[]"), int(port)


class Server:
    """Serves pages until it is closed. A context manager.

    Args: address: where to listen, ADDRESS:PORT; port 0 takes a free one. pages: by path, from whether JSON is asked.
    Raises: ConfigError when the address cannot be had.
    """

    def __init__(self, address: str, pages: dict[str, Callable[[bool], Page]]) -> None:
        host, port = parse_address(address)
        try:
            self._server = _server_class(host)((host, port), _handler(pages))
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(f"cannot listen on '{address}': {why}; choose another --listen, or none") from error
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _server_class(host: str) -> type[ThreadingHTTPServer]:
    class Family(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    return Family


def _handler(pages: dict[str, Callable[[bool], Page]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # A client that connects and says nothing holds a thread no longer than this.
        timeout = REQUEST_SECONDS
        server_version = "whowas"
        sys_version = ""

        def do_GET(self) -> None:
            path, _, asked = self.path.partition("?")
            make = pages.get(path)
            as_json = "json" in asked or "application/json" in self.headers.get("Accept", "")
            page = make(as_json) if make else Page(404, "text/plain", f"there are {' '.join(pages)}\n".encode())
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(page.body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds: they are no news."""

    return Handler

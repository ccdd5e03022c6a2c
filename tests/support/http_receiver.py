"""A real HTTP server in a thread, which takes JSON and can be told to fail, stall, drip or hang up."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple


class Act(NamedTuple):
    """How one request is answered. status 0: hang up without a word. stall, drip: seconds, before or between bytes."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    stall: float = 0.0
    drip: float = 0.0


OK = Act()


class Receiver:
    """Use it as a context manager. got: bodies taken. acts: how the next requests are answered; then `rest`."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.got: list[Any] = []
        self.seen: list[tuple[int, dict[str, str], bytes]] = []
        self.acts: deque[Act] = deque()
        self.rest = OK
        self.poison: str | None = None
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Nobody is there from now on."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def objects(self) -> list[Any]:
        """What was taken, arrays laid flat."""
        return [one for body in self.got for one in (body if isinstance(body, list) else [body])]

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                act = receiver._next(data)
                receiver.seen.append((act.status, dict(self.headers), data))
                receiver._stopping.wait(act.stall)
                if act.status == 0:
                    self.close_connection = True
                    return
                if 200 <= act.status < 300:
                    receiver.got.append(json.loads(data))
                self._answer(act)

            def _answer(self, act: Act) -> None:
                self.send_response(act.status)
                for name, value in (*act.headers, ("Content-Length", str(len(act.body)))):
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):
                    for byte in act.body:
                        if act.drip and receiver._stopping.wait(act.drip):
                            return
                        self.wfile.write(bytes([byte]))

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler

    def _next(self, data: bytes) -> Act:
        if self.poison is not None and self.poison.encode() in data:
            return Act(400, body=b"no such field")
        return self.acts.popleft() if self.acts else self.rest


def until(true: Any, seconds: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)

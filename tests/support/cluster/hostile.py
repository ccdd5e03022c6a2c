"""A peer that speaks HTTP and misbehaves as told: what no real apiserver can be made to do on demand."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request. `number`: how many of its sort (list, check or watch) came before it."""

    sort: str
    number: int
    query: dict[str, str]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


# What an answer is made of: bytes to send, seconds to wait.
Answer = Iterable[bytes | float]


class Hostile(socketserver.ThreadingTCPServer):
    """Answers each request with what `script` yields, raw; closes the connection when it ends.

    Requests are of three sorts: `check` (a list of limit 1), `list` and `watch`.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, script: Callable[[Asked], Answer], port: int = 0) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def of(self, sort: str) -> list[Asked]:
        return [one for one in self.asked if one.sort == sort]

    def __enter__(self) -> Hostile:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: Hostile

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        if not line:
            return
        headers = {}
        while (header := self.rfile.readline().strip()) != b"":
            name, _, text = header.decode().partition(":")
            headers[name.strip().lower()] = text.strip()
        query = dict(parse_qsl(urlsplit(line.split()[1]).query))
        sort = "watch" if "watch" in query else "check" if query.get("limit") == "1" else "list"
        asked = Asked(sort, len(self.server.of(sort)), query, headers)
        self.server.asked.append(asked)
        try:
            for part in self.server.script(asked):
                if isinstance(part, float):
                    if self.server.closing.wait(part):
                        return
                else:
                    self.wfile.write(part)
                    self.wfile.flush()
        except OSError:
            return  # the client went away, as it may


def answer(body: bytes, status: str = "200 OK", **headers: str) -> Iterator[bytes]:
    """A whole answer of known length."""
    told = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in told.items())
    yield f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def page(names: Iterable[str], version: int, more: str = "") -> Iterator[bytes]:
    """One page of a PodList."""
    meta: dict[str, Any] = {"resourceVersion": str(version)}
    if more:
        meta["continue"] = more
    return answer(json.dumps({"kind": "PodList", "metadata": meta, "items": [pod(name, 1) for name in names]}).encode())


def status(code: int, message: str = "no", **headers: str) -> Iterator[bytes]:
    """A failure as the apiserver words it."""
    return answer(json.dumps(failure(code, message)).encode(), f"{code} Told", **headers)


def failure(code: int, message: str = "no") -> dict[str, Any]:
    return {"kind": "Status", "metadata": {}, "status": "Failure", "message": message, "code": code}


def stream(*chunks: bytes, chunked: bool = True) -> Iterator[bytes]:
    """The head of a watch and its chunks; what follows is for the caller to yield."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    yield head + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Connection: close\r\n\r\n")
    for one in chunks:
        yield chunk(one) if chunked else one


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


END = b"0\r\n\r\n"


def pod(name: str, version: int, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, **fields}


def event(verb: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": verb, "object": {"kind": "Pod", **thing}}, ensure_ascii=False).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}, "spec": {"containers": None}})

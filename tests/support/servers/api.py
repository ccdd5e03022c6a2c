"""The Kubernetes API with nothing in between: requests and raw watch lines over kept connections.

Made for load (a request costs ~60 us here) and for tests that must see what the server really sends.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
# The answer to a write can be cut down to its metadata: most who write do not read it.
BRIEF = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LIST_PAGE = 500


class ApiError(Exception):
    """The server said no. `status` is HTTP's, `reason` and `text` are the Status object's."""

    def __init__(self, method: str, path: str, status: int, body: bytes) -> None:
        try:
            told = json.loads(body)
        except ValueError:
            told = {"message": body.decode(errors="replace")}
        self.status = status
        self.reason = str(told.get("reason", ""))
        self.text = str(told.get("message", ""))
        super().__init__(f"{method} {path}: {status} {self.reason}: {self.text}")


@dataclass
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection that speaks as much HTTP/1.1 as an apiserver does."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout_seconds: float | None) -> None:
        plain = socket.create_connection((host, port), timeout_seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        self._unread = b""

    def close(self) -> None:
        self.socket.close()

    def send(self, head: str, body: bytes) -> None:
        self.socket.sendall(head.encode() + body)

    def _more(self) -> None:
        got = self.socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server closed the connection")
        self._unread += got

    def _line(self) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            self._more()
        line, self._unread = self._unread[:end], self._unread[end + 2 :]
        return line

    def _take(self, count: int) -> bytes:
        if len(self._unread) < count:
            parts, have = [self._unread], len(self._unread)
            while have < count:
                got = self.socket.recv(min(1 << 20, count - have))
                if not got:
                    raise ConnectionError("the server closed the connection")
                parts.append(got)
                have += len(got)
            self._unread = b"".join(parts)
        taken, self._unread = self._unread[:count], self._unread[count:]
        return taken

    def head(self) -> tuple[int, dict[str, str]]:
        """Read the status and the headers, names in lower case."""
        status = int(self._line().split(None, 2)[1])
        headers = {}
        while line := self._line():
            name, _, text = line.decode("latin-1").partition(":")
            headers[name.lower()] = text.strip()
        return status, headers

    def chunks(self, headers: dict[str, str]) -> Iterator[bytes]:
        """Read the body as it comes."""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self._line().split(b";")[0], 16):
                yield self._take(size + 2)[:-2]
            self._line()
        elif length := int(headers.get("content-length", "0")):
            yield self._take(length)


@dataclass
class Api:
    """An apiserver as one user sees it. Threads may share it: each gets a connection of its own.

    Args: server: https://host:port. authority: the CA's PEM file. token or certificate: who we are (certificate: PEM
    files of the certificate and its key).
    """

    server: str
    authority: str
    token: str | None = None
    certificate: tuple[str, str] | None = None
    timeout_seconds: float = 30
    _mine: threading.local = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        self._context = ssl.create_default_context(cafile=self.authority)
        if self.certificate:
            self._context.load_cert_chain(*self.certificate)
        where = urlsplit(self.server)
        self._host, self._port = where.hostname or "", where.port or 443

    def connect(self, timeout_seconds: float | None = None) -> Wire:
        """Open a connection."""
        return Wire(self._host, self._port, self._context, timeout_seconds or self.timeout_seconds)

    def head(self, method: str, path: str, body: bytes = b"", kind: str = "", accept: str = "application/json") -> str:
        """Return a request's head."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"Accept: {accept}"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if body:
            lines += [f"Content-Type: {kind or 'application/json'}", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines) + "\r\n\r\n"

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "", accept: str = "application/json"
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status. Raises: OSError.

        A kept connection that the server closed meanwhile is opened anew, once.
        """
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        head = self.head(method, path, data, kind, accept)
        kept: Wire | None = getattr(self._mine, "wire", None)
        if kept is not None:
            try:
                return self._exchange(kept, head, data)
            except ConnectionError:
                pass
        return self._exchange(self.connect(), head, data)

    def _exchange(self, wire: Wire, head: str, data: bytes) -> Answer:
        self._mine.wire = None
        try:
            wire.send(head, data)
            status, headers = wire.head()
            answer = Answer(status, headers, b"".join(wire.chunks(headers)))
        except BaseException:
            wire.close()
            raise
        if headers.get("connection") == "close":
            wire.close()
        else:
            self._mine.wire = wire
        return answer

    def call(self, method: str, path: str, body: Any = None, kind: str = "") -> Any:
        """Send one request and return the JSON of its answer. Raises: ApiError, OSError."""
        answer = self.request(method, path, body, kind)
        if answer.status >= 300:
            raise ApiError(method, path, answer.status, answer.body)
        return json.loads(answer.body)

    def write(self, method: str, path: str, body: Any = None, kind: str = "") -> Answer:
        """Send one request whose answer, a whole object, nobody needs: its metadata are asked for. Raises: ApiError."""
        answer = self.request(method, path, body, kind, accept=BRIEF)
        if answer.status >= 300:
            raise ApiError(method, path, answer.status, answer.body)
        return answer

    def get(self, path: str) -> Any:
        """Return the object at a path."""
        return self.call("GET", path)

    def create(self, path: str, thing: Any) -> Any:
        """Create an object in the collection at a path."""
        return self.call("POST", path, thing)

    def patch(self, path: str, change: Any, kind: str = MERGE) -> Any:
        """Change an object; `kind` is MERGE, STRATEGIC or APPLY."""
        return self.call("PATCH", path, change, kind)

    def delete(self, path: str, grace_seconds: int | None = None, **options: Any) -> Any:
        """Delete an object; grace_seconds 0 forces it."""
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return self.call("DELETE", path, options or None)

    def list(self, path: str, page: int = LIST_PAGE, **query: Any) -> tuple[list[Any], str]:
        """Return every object of a collection and the list's resourceVersion, in pages of one consistent list."""
        items: list[Any] = []
        going_on = ""
        while True:
            asked = {"limit": page, **query, **({"continue": going_on} if going_on else {})}
            got = self.get(f"{path}?{urlencode(asked)}")
            items += got["items"]
            going_on = got["metadata"].get("continue", "")
            if not going_on:
                return items, got["metadata"]["resourceVersion"]

    def watch(
        self, path: str, silence_seconds: float = 90, on_open: Callable[[], object] = bool, **query: Any
    ) -> Iterator[tuple[int, bytes]]:
        """Yield each raw line of one watch with the time it came (us since epoch), until the server ends it.

        Args: query: as the API names it, such as resourceVersion, allowWatchBookmarks="true", timeoutSeconds.
        on_open: called when the server has agreed.
        Raises: ApiError, when the server refuses; OSError, when the connection breaks or is silent for too long.
        """
        wire = self.connect(silence_seconds)
        try:
            target = f"{path}?{urlencode({'watch': 'true', **query})}"
            wire.send(self.head("GET", target), b"")
            status, headers = wire.head()
            if status >= 300:
                raise ApiError("GET", target, status, b"".join(wire.chunks(headers)))
            on_open()
            unread = b""
            for chunk in wire.chunks(headers):
                now = time.time_ns() // 1000
                *lines, unread = (unread + chunk).split(b"\n")
                for line in lines:
                    yield now, line
        finally:
            wire.close()

    def events(self, path: str, **query: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """watch, with each line as JSON."""
        for at, line in self.watch(path, **query):
            yield at, json.loads(line)


def from_kubeconfig(path: str | Path) -> Api:
    """Return the API as a kubeconfig that ControlPlane wrote says (JSON, one cluster, one user)."""
    told = json.loads(Path(path).read_text())
    where, who = told["clusters"][0]["cluster"], told["users"][0]["user"]
    pair = (who["client-certificate"], who["client-key"]) if "client-key" in who else None
    token = Path(who["tokenFile"]).read_text().strip() if "tokenFile" in who else who.get("token")
    return Api(where["server"], where["certificate-authority"], token=token, certificate=pair)

"""What a TLS server answers: version and, up to TLS 1.2, protocol and whether it asks for a certificate."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.names.client_hello import ALPN, VERSIONS
from ingest.names.reading import Bytes, Refused, printable


@dataclass(frozen=True)
class ServerHello:
    """version: as a number, chosen. alpn: chosen; None: none, or hidden as in TLS 1.3."""

    version: int
    alpn: str | None


def read_server_hello(body: bytes) -> ServerHello:
    """Read the body of a ServerHello. Raises: Short, Refused."""
    it = Bytes(body)
    version = it.number(2)
    if version >> 8 != 3:
        raise Refused
    it.take(32)
    it.part(1)
    it.take(3)
    alpn = None
    extensions = it.part(2) if it.left() else Bytes(b"")
    while extensions.left():
        kind, content = extensions.number(2), extensions.part(2).data
        if kind == VERSIONS and len(content) == 2:
            version = int.from_bytes(content, "big")
        elif kind == ALPN:
            alpn = printable(Bytes(content).part(2).part(1).data)
    return ServerHello(version, alpn)

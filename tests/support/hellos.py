"""Bytes of TLS handshakes, DNS messages and greetings, for the tests of names seen in passing."""

from __future__ import annotations

import contextlib
import ssl
import struct
from collections.abc import Iterable, Sequence


def client_hello(name: str | None = "shop.example.com", protocols: Sequence[str] = ("h2", "http/1.1")) -> bytes:
    """The records that Python's own TLS client sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def vector(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size, "big") + body


def words(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack(">H", one) for one in numbers)


def made_hello(ciphers: Sequence[int], extensions: Sequence[tuple[int, bytes]] | None, version: int = 0x0303) -> bytes:
    """The body of a ClientHello."""
    body = struct.pack(">H", version) + bytes(32) + vector(1, bytes(32)) + vector(2, words(ciphers)) + vector(1, b"\0")
    if extensions is not None:
        body += vector(2, b"".join(struct.pack(">H", kind) + vector(2, content) for kind, content in extensions))
    return body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def record(content: bytes, kind: int = 22) -> bytes:
    return bytes([kind, 3, 3]) + vector(2, content)


def server_hello(version: int, alpn: bytes | None = None) -> bytes:
    """A ServerHello message. From 1.3 on the version stands in an extension."""
    extensions = struct.pack(">H", 43) + vector(2, struct.pack(">H", version)) if version > 0x0303 else b""
    if alpn:
        extensions += struct.pack(">H", 16) + vector(2, vector(2, vector(1, alpn)))
    fixed = struct.pack(">H", min(version, 0x0303)) + bytes(32) + vector(1, b"") + b"\xc0\x2f\0"
    return message(2, fixed + (vector(2, extensions) if extensions else b""))


def dns_name(name: str) -> bytes:
    return b"".join(vector(1, label.encode()) for label in name.split(".")) + b"\0"


def dns_record(name: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    return name + struct.pack(">HHI", kind, 1, ttl) + vector(2, data)


def dns(number: int, name: str, answers: Sequence[bytes] = (), answer: bool = True, kind: int = 1) -> bytes:
    """A DNS message. In answers b"\\xc0\\x0c" is the question's name."""
    head = struct.pack(">HHHHHH", number, 0x8180 if answer else 0x0100, 1, len(answers), 0, 0)
    return head + dns_name(name) + struct.pack(">HH", kind, 1) + b"".join(answers)

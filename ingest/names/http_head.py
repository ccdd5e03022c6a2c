"""The host that an HTTP/1 request is for (RFC 9112 3.2)."""

from __future__ import annotations

import re

from ingest.names.reading import printable

METHODS = b"GET|POST|HEAD|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PROPFIND|PROPPATCH"
REQUEST = re.compile(rb"(?:" + METHODS + rb") +([^ \r\n]+)")
HOST = re.compile(rb"\r?\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n]*?)[ \t]*\r?\n")
ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
HEAD_END = re.compile(rb"\r?\n\r?\n")


def host_of(stream: bytes) -> tuple[str | None, bool]:
    """Return (host with its port where one is said, whether that is the last word).

    The Host line stands; without one, an absolute target or a CONNECT tells.
    """
    end = HEAD_END.search(stream)
    head = stream[: end.end()] if end else stream
    line = HOST.search(head)
    if line and line[1]:
        return printable(line[1]).lower(), True
    if not end:
        return None, False
    request = REQUEST.match(head)
    target = request[1] if request else b""
    found = ABSOLUTE.match(target)
    told = found[1].rpartition(b"@")[2] if found else target if head.startswith(b"CONNECT") else b""
    return (printable(told).lower() or None), True

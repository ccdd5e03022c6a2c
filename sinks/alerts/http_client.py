"""Sends one HTTP request to one place; follows no redirect."""

from __future__ import annotations

import email.utils
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from whowas.errors import ConfigError

# Bytes of an answer that are read, and how much of them is told.
MOST_READ, MOST_TOLD = 65_536, 300
LONGEST_WAIT = 600.0


@dataclass(frozen=True)
class Secret:
    """A text that may stand elsewhere: `value`, or the name of an environment variable or of a file.

    A file is read anew for each connection: whoever rotates it need not restart anything. It never gets into a message.
    """

    value: str = field(default="", repr=False)
    env: str = ""
    file: str = ""

    def read(self, what: str) -> str:
        """Return the text; what: how messages call it. Raises: ConfigError."""
        if self.env:
            told = os.environ.get(self.env)
            if told is None:
                raise ConfigError(f"cannot use {what}: the environment has no {self.env}; set it")
            return told
        if not self.file:
            return self.value
        try:
            with open(self.file, encoding="utf-8") as handle:
                return handle.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot use {what}: cannot read '{self.file}': {error}; name a text file") from None


@dataclass(frozen=True)
class Target:
    """Where to post. url: http or https; its path may be secret, so messages name only scheme and host.

    seconds: for one request, from the first byte of the connection to the last of the answer. authority: file of
    certificates to trust in place of the system's. certificate, key: files, where the place asks for ours.
    """

    url: Secret
    headers: Mapping[str, Secret] = field(default_factory=dict)
    seconds: float = 10.0
    authority: str | None = None
    certificate: str | None = None
    key: str | None = None


class Answer(NamedTuple):
    """What came back. status: 0 where nothing did. wait: seconds, where it said how long."""

    status: int
    told: str
    wait: float | None = None


class Post:
    """Posts JSON to a place over one connection that is kept while it is used."""

    def __init__(self, place: Target, path: str = "") -> None:
        self._place = place
        self._path = path
        self._connection: http.client.HTTPConnection | None = None
        self._target = ""
        self._headers: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The place without its secrets."""
        try:
            url = self._url()
        except ConfigError:
            return "the place"
        return f"{url.scheme}://{url.hostname}" + (f":{url.port}" if url.port else "")

    def check(self) -> None:
        """Refuse an address, a secret or a certificate that cannot be used. Raises: ConfigError.

        Whether anybody answers is not asked: that may be otherwise in a minute.
        """
        self._open()
        self.close()

    def send(self, data: bytes) -> Answer:
        """Post, and return what came back; status 0 and the cause where nothing did. Raises: ConfigError."""
        fresh = self._connection is None
        answer = self._send(data)
        if answer.status == 0 and not fresh:
            # A kept connection may have been closed by the other side meanwhile, which tells nothing of the place.
            answer = self._send(data)
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None

    def _send(self, data: bytes) -> Answer:
        if self._connection is None:
            self._open()
        connection = self._connection
        assert connection is not None
        watch = _Watch(self._place.seconds, connection)
        try:
            with watch:
                return self._exchange(connection, data, watch)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            why = f"no answer within {self._place.seconds:g} s" if watch.ended else _cause(error)
            return Answer(0, why)

    def _exchange(self, connection: http.client.HTTPConnection, data: bytes, watch: _Watch) -> Answer:
        connection.request("POST", self._target, data, self._headers)
        watch.socket = connection.sock
        response = connection.getresponse()
        text = response.read(MOST_READ)
        if not response.isclosed():
            self.close()  # it says more than anybody wants to read
        told = " ".join(text.decode("utf-8", "replace").split())[:MOST_TOLD]
        return Answer(response.status, told, _wait(response.getheader("Retry-After")))

    def _url(self) -> SplitResult:
        try:
            url = urlsplit(self._place.url.read("the address to post to"))
            known = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
        except ValueError:
            known = False
        if not known or not (url.geturl().isascii() and url.geturl().isprintable()) or " " in url.geturl():
            raise ConfigError("cannot post alerts: the address is none; write it like https://host:port/path")
        if url.username or url.password:
            raise ConfigError(
                f"cannot post alerts to '{url.hostname}': the address holds a user; say it in a header, Authorization"
            )
        return url

    def _open(self) -> None:
        """Make a connection, which is not connected yet, from the settings as they are now."""
        url = self._url()
        self._headers = {"Content-Type": "application/json", "User-Agent": "whowas"} | self._own_headers()
        path = url.path.rstrip("/") + self._path if self._path else url.path or "/"
        self._target = path + (f"?{url.query}" if url.query else "")
        self._connection = self._connect(url)

    def _own_headers(self) -> dict[str, str]:
        found = {}
        for name, secret in self._place.headers.items():
            value = secret.read(f"the header '{name}'")
            fits = value.isascii() and value.isprintable() and name.replace("-", "").isalnum() and name.isascii()
            if not fits:
                raise ConfigError(f"cannot use the header '{name}': it holds what no header may; write plain text")
            found[name] = value
        return found

    def _connect(self, url: SplitResult) -> http.client.HTTPConnection:
        """Straight, or through the proxy that the environment names (HTTPS_PROXY, NO_PROXY)."""
        assert url.hostname is not None
        proxy = urllib.request.getproxies().get(url.scheme)
        if not proxy or urllib.request.proxy_bypass(url.hostname):
            return self._connection_to(url.scheme, url.hostname, url.port)
        via = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
        if via.hostname is None:
            raise ConfigError(f"cannot post alerts: the proxy for {url.scheme} is no address; see {url.scheme}_proxy")
        connection = self._connection_to(url.scheme, via.hostname, via.port or 80)
        if url.scheme == "https":
            connection.set_tunnel(url.hostname, url.port or 443)
        else:
            self._target = f"{url.scheme}://{url.netloc}{self._target}"
        return connection

    def _connection_to(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._place.seconds)
        place = self._place
        try:
            context = ssl.create_default_context(cafile=place.authority)
            if place.certificate:
                context.load_cert_chain(place.certificate, place.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(f"'{one}'" for one in (place.authority, place.certificate, place.key) if one)
            raise ConfigError(f"cannot use the certificates {files}: {_cause(error)}; name PEM files") from None
        return http.client.HTTPSConnection(host, port, timeout=place.seconds, context=context)


class _Watch:
    """Ends a request that takes too long as a whole: a socket's own timeout is for each byte."""

    def __init__(self, seconds: float, connection: http.client.HTTPConnection) -> None:
        self.ended = False
        self.socket: Any = None
        self._connection = connection
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        """A second handle on the socket: the one that reads may stand in the middle of TLS."""
        self.ended = True
        held = self.socket or self._connection.sock
        with suppress(OSError, ValueError, AttributeError), socket.socket(fileno=os.dup(held.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)


def _wait(header: str | None) -> float | None:
    """Retry-After: seconds or a date, never longer than LONGEST_WAIT."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdecimal() and len(header) < 10:
        return min(float(header), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, moment - time.time()), LONGEST_WAIT)


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

"""One conversation that is listened to: its first bytes in both directions, and what they told."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.names.client_hello import ClientHello, read_client_hello
from ingest.names.greetings import H2_PREFACE, HTTP_REQUEST, TLS_CLIENT, TLS_SERVER
from ingest.names.http_head import host_of
from ingest.names.quic import Initials
from ingest.names.reading import Refused, Short
from ingest.names.server_hello import read_server_hello
from ingest.names.stretch import Stretch
from ingest.names.tls_records import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CLIENT_HELLO,
    HANDSHAKE,
    SERVER_DONE,
    SERVER_HELLO,
    handshake_bytes,
    hello_at,
    messages,
)

TLS_1_3 = 0x0304
# A list of certificates that holds none.
NO_CERTIFICATES = 3
# Datagrams of a direction that do not open under a client's key.
FAILURES_MOST = 3


@dataclass(slots=True)
class Told:
    """What a conversation told. Versions are numbers; mutual: whether the client showed a certificate."""

    sni: str | None = None
    alpn: tuple[str, ...] | None = None
    alpn_chosen: str | None = None
    offered: int | None = None
    version: int | None = None
    ja4: str | None = None
    ech: bool | None = None
    mutual: bool | None = None
    host: str | None = None
    question: str | None = None
    late_tls: bool = False


class Talk:
    """The first bytes of both directions, 0 and 1, as far as they are still needed."""

    __slots__ = ("asked", "certificate_asked", "done", "failed", "initials", "kept", "stretches", "told")

    def __init__(self) -> None:
        self.told = Told()
        self.stretches: list[Stretch | None] = [None, None]
        self.done = [False, False]
        self.certificate_asked = False
        self.initials: list[Initials | None] = [None, None]
        self.failed = [0, 0]
        # Bytes that were taken: no more are kept.
        self.kept = 0
        self.asked: set[tuple[int, str]] = set()

    def take(self, sender: int, start: int, sequence: int, payload: bytes, code: int) -> None:
        """Take a segment. code: what the direction begins with, 0 when its beginning has not come yet.

        start: sequence number of the direction's first byte, -1 = not known.
        """
        if self.done[sender]:
            return
        stretch = self.stretches[sender]
        if code not in (0, TLS_CLIENT, TLS_SERVER, HTTP_REQUEST, H2_PREFACE):
            stretch = self._after_words(sequence, payload, stretch)
            if stretch is None:
                return
        elif stretch is None:
            stretch = Stretch(start)
        self.stretches[sender] = stretch
        stretch.add(sequence, payload)
        if code == HTTP_REQUEST:
            self._http(sender, stretch)
        elif code == H2_PREFACE:
            self.finish(sender)
        elif code:
            self._tls(sender, stretch)

    def take_quic(self, sender: int, datagram: bytes) -> None:
        """Take a datagram of QUIC: the client's Initials tell its ClientHello, a server's are under other keys."""
        if self.done[sender]:
            return
        initials = self.initials[sender] = self.initials[sender] or Initials()
        if not initials.take(datagram):
            self.failed[sender] += 1
            if self.failed[sender] >= FAILURES_MOST:
                self.finish(sender)
            return
        try:
            for kind, body in messages(initials.crypto.joined):
                if kind == CLIENT_HELLO:
                    self._offered(read_client_hello(body, "q"))
                    self.finish(0)
                    self.finish(1)
                    return
        except (Short, Refused):
            self.finish(sender)

    def finish(self, sender: int) -> None:
        """Let go of a direction: nothing more is to be learnt from it."""
        self.done[sender] = True
        self.stretches[sender] = None
        self.initials[sender] = None

    def _after_words(self, sequence: int, payload: bytes, stretch: Stretch | None) -> Stretch | None:
        """TLS that begins after some words in the clear: a ClientHello begins a segment, then so does its answer."""
        if stretch is not None:
            return stretch
        server = self.told.late_tls and payload[:1] == bytes([HANDSHAKE])
        if not server and not hello_at(payload):
            return None
        self.told.late_tls = True
        return Stretch(sequence)

    def _http(self, sender: int, stretch: Stretch) -> None:
        host, over = host_of(stretch.joined)
        if over:
            self.told.host = host
            self.finish(sender)

    def _tls(self, sender: int, stretch: Stretch) -> None:
        handshake, over = handshake_bytes(stretch.joined)
        try:
            for kind, body in messages(handshake):
                self._message(sender, kind, body)
                if self.done[sender]:
                    return
        except (Short, Refused):
            over = True
        if over:
            self.finish(sender)

    def _message(self, sender: int, kind: int, body: bytes) -> None:
        told = self.told
        if kind == CLIENT_HELLO and told.ja4 is None:
            self._offered(read_client_hello(body))
            # A certificate of the client's can follow, if it is asked for; never in the clear from TLS 1.3 on.
            if told.version == TLS_1_3 or told.mutual is False:
                self.finish(sender)
        elif kind == SERVER_HELLO and told.version is None:
            answer = read_server_hello(body)
            told.version, told.alpn_chosen = answer.version, answer.alpn
            if answer.version >= TLS_1_3:
                self._over()
        elif kind == CERTIFICATE_REQUEST:
            self.certificate_asked = True
            self.finish(sender)
        elif kind == SERVER_DONE and not self.certificate_asked:
            told.mutual = False
            self._over()
        elif kind == CERTIFICATE and self.certificate_asked:
            told.mutual = len(body) > NO_CERTIFICATES
            self._over()

    def _offered(self, hello: ClientHello) -> None:
        told = self.told
        told.sni, told.alpn, told.offered = hello.sni, hello.alpn, hello.version
        told.ja4, told.ech = hello.ja4, hello.ech

    def _over(self) -> None:
        """Nothing more comes in the clear. A direction whose hello is still missing is waited for."""
        for sender in (0, 1):
            if self.stretches[sender] is not None and self.told.ja4 is not None:
                self.finish(sender)

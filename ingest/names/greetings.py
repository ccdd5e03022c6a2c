"""What the first bytes of a direction can be, as codes, and what two of them say of a conversation."""

from __future__ import annotations

from functools import cache

# Codes, one a direction. 0: no payload was seen.
OTHER = 1
TLS_CLIENT = 2
TLS_SERVER = 3
TLS_RECORD = 4  # of a connection that began before, or an alert
HTTP_REQUEST = 5
HTTP_ANSWER = 6
H2_PREFACE = 7
H2_SETTINGS = 8
SSH = 9
POSTGRES_START = 10
POSTGRES_SSL = 11
POSTGRES_YES = 12  # one byte: S, G, or N
POSTGRES_NO = 13
MYSQL_SERVER = 14
MYSQL_SSL = 15
REDIS = 16
MONGODB = 17
KAFKA = 18
MAIL_SERVER = 19  # 220: SMTP, FTP
IMAP_SERVER = 20
MAIL_CLIENT = 21  # EHLO, HELO, LHLO
QUIC = 22
DNS = 23
CODES = 24

YES, NO, UNKNOWN = "yes", "no", "unknown"
_PLAIN = {
    HTTP_REQUEST: ("http", "HTTP/1 in the clear"),
    HTTP_ANSWER: ("http", "HTTP/1 in the clear"),
    H2_PREFACE: ("http2", "HTTP/2 in the clear"),
    H2_SETTINGS: ("http2", "HTTP/2 in the clear"),
    POSTGRES_START: ("postgresql", "PostgreSQL that does not ask for TLS"),
    REDIS: ("redis", "Redis in the clear"),
    MONGODB: ("mongodb", "MongoDB in the clear"),
    KAFKA: ("kafka", "Kafka in the clear"),
    MAIL_CLIENT: ("smtp", "SMTP, no TLS asked for in its first packets"),
    IMAP_SERVER: ("imap", "IMAP, no TLS asked for in its first packets"),
    DNS: ("dns", "DNS in the clear"),
}
_BEGUN = {
    POSTGRES_SSL: "postgresql",
    MYSQL_SERVER: "mysql",
    MYSQL_SSL: "mysql",
    MAIL_CLIENT: "smtp",
    IMAP_SERVER: "imap",
}


@cache
def meaning(one: int, other: int) -> tuple[str | None, str | None, str | None]:
    """Return (application protocol, whether it is encrypted, why) by how both directions begin; None: not told."""
    codes = {one, other}
    if codes == {0}:
        return None, None, None
    if codes & {TLS_CLIENT, TLS_SERVER, TLS_RECORD}:
        return _of_tls(codes)
    if SSH in codes:
        return "ssh", YES, "SSH, by its greeting"
    if QUIC in codes:
        return "quic", YES, "QUIC, by its long header"
    asked = _asked(codes)
    if asked is not None:
        return asked
    for code, (word, why) in _PLAIN.items():
        if code in codes:
            return word, NO, why
    return None, UNKNOWN, "the first bytes are of no protocol that is known here"


def _of_tls(codes: set[int]) -> tuple[str | None, str, str]:
    strange = codes - {0, TLS_CLIENT, TLS_SERVER, TLS_RECORD}
    if strange:
        return "tls", UNKNOWN, "one side speaks TLS, the other something else"
    if codes == {0, TLS_CLIENT}:
        return "tls", UNKNOWN, "a ClientHello, no answer was seen"
    if codes == {TLS_CLIENT}:
        return "tls", UNKNOWN, "both sides sent a ClientHello"
    if TLS_RECORD in codes and not codes & {TLS_CLIENT, TLS_SERVER}:
        return "tls", YES, "TLS records of a connection that began before"
    return "tls", YES, "a TLS handshake"


def _asked(codes: set[int]) -> tuple[str | None, str, str] | None:
    """Protocols in which TLS is asked for first. That it follows is told by `after_words`."""
    if POSTGRES_SSL in codes:
        if POSTGRES_NO in codes:
            return "postgresql", NO, "PostgreSQL: TLS was asked for and refused"
        return "postgresql", UNKNOWN, "PostgreSQL: TLS was asked for, no handshake was seen"
    if MYSQL_SSL in codes:
        return "mysql", UNKNOWN, "MySQL: TLS was asked for, no handshake was seen"
    if MYSQL_SERVER in codes:
        if codes == {0, MYSQL_SERVER}:
            return "mysql", UNKNOWN, "MySQL's greeting, no answer was seen"
        return "mysql", NO, "MySQL that does not ask for TLS"
    return None


@cache
def after_words(one: int, other: int) -> tuple[str, str, str]:
    """As `meaning`, of a conversation in which TLS began after some words in the clear."""
    known = [word for code, word in _BEGUN.items() if code in (one, other)]
    return ",".join([*known[:1], "tls"]), YES, "a TLS handshake after some words in the clear"

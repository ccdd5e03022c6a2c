"""A TLS ClientHello (RFC 8446 4.1.2) and its JA4 (the algorithm that FoxIO published; of the client's only)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from ingest.names.reading import Bytes, Refused, printable

SERVER_NAME, SIGNATURES, ALPN, VERSIONS, ECH, PRE_SHARED_KEY = 0, 13, 16, 43, 65037, 41
NO_HASH = "000000000000"
JA4_VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
# As Zeek spells them.
VERSION_WORDS = {0x0304: "TLSv13", 0x0303: "TLSv12", 0x0302: "TLSv11", 0x0301: "TLSv10", 0x0300: "SSLv3"}
PROTOCOLS_MOST, EXTENSIONS_MOST = 16, 256


@dataclass(frozen=True)
class ClientHello:
    """What a client offers. version: the highest that it offers, as a number. ech: the server name is an outer one."""

    sni: str | None
    alpn: tuple[str, ...]
    version: int
    ja4: str
    ech: bool


def grease(number: int) -> bool:
    """Values that are sent so that nobody gets used to a closed list (RFC 8701)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _numbers(octets: bytes) -> tuple[int, ...]:
    if len(octets) & 1:
        raise Refused
    pairs = (int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    return tuple(one for one in pairs if not grease(one))


def read_client_hello(body: bytes, transport: str = "t") -> ClientHello:
    """Read the body of a ClientHello, without the handshake header. transport: t for TCP, q for QUIC.

    Raises: Short, Refused.
    """
    it = Bytes(body)
    version = it.number(2)
    if version >> 8 != 3:
        raise Refused
    it.take(32)
    if len(it.part(1).data) > 32:
        raise Refused
    ciphers = _numbers(it.part(2).data)
    it.part(1)
    found: dict[int, bytes] = {}
    kinds = []
    extensions = it.part(2) if it.left() else Bytes(b"")
    while extensions.left():
        kind, content = extensions.number(2), extensions.part(2).data
        if not grease(kind):
            found.setdefault(kind, content)
            kinds.append(kind)
        if len(kinds) > EXTENSIONS_MOST:
            raise Refused
    first = _protocols(found.get(ALPN))
    offered = _numbers(Bytes(found[VERSIONS]).part(1).data) if VERSIONS in found else ()
    signatures = _numbers(Bytes(found[SIGNATURES]).part(2).data) if SIGNATURES in found else ()
    highest = max(offered, default=version)
    label = f"{transport}{JA4_VERSIONS.get(highest, '00')}{'d' if SERVER_NAME in kinds else 'i'}"
    label += f"{min(len(ciphers), 99):02}{min(len(kinds), 99):02}{_ends(first[0] if first else b'')}"
    told = tuple(printable(one) for one in first)
    hashes = ja4_hashes(ciphers, tuple(kinds), signatures)
    return ClientHello(_server_name(found.get(SERVER_NAME)), told, highest, f"{label}_{hashes}", ECH in kinds)


@lru_cache(maxsize=4096)
def ja4_hashes(ciphers: tuple[int, ...], kinds: tuple[int, ...], signatures: tuple[int, ...]) -> str:
    """The second and third part of a JA4: sorted ciphers; sorted extensions, then signature algorithms as they come."""
    behind = sorted(f"{one:04x}" for one in kinds if one not in (SERVER_NAME, ALPN))
    spelt = ",".join(behind)
    if signatures:
        spelt += "_" + ",".join(f"{one:04x}" for one in signatures)
    second = sha256(",".join(sorted(f"{one:04x}" for one in ciphers)).encode()).hexdigest()[:12]
    third = sha256(spelt.encode()).hexdigest()[:12]
    return f"{second if ciphers else NO_HASH}_{third if spelt else NO_HASH}"


def _ends(first: bytes) -> str:
    """First and last character of the first ALPN; of its hex digits, where one of them is no letter or digit."""
    if not first:
        return "00"
    ends = bytes((first[0], first[-1]))
    if ends.isalnum():
        return ends.decode("ascii")
    return first.hex()[0] + first.hex()[-1]


def _protocols(extension: bytes | None) -> list[bytes]:
    if not extension:
        return []
    names, some = Bytes(extension).part(2), list[bytes]()
    while names.left() and len(some) < PROTOCOLS_MOST:
        some.append(names.part(1).data)
    return some


def _server_name(extension: bytes | None) -> str | None:
    """The host name of the server that is meant (RFC 6066): small, because names are compared so."""
    if not extension:
        return None
    names = Bytes(extension).part(2)
    while names.left():
        kind, name = names.number(1), names.part(2).data
        if kind == 0 and name:
            return printable(name).lower().rstrip(".") or None
    return None

"""What a person asks about: an address, an address with a port, a network, or a name. Near misses are told apart."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from whowas.addresses import is_address
from whowas.errors import ConfigError

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
# No name in Kubernetes has a colon, and no namespace a dot: what looks so was meant as an address.
LIKE_ADDRESS = re.compile(r"[0-9.]*\.[0-9.]*([:/].*)?|[^/]*:.*", re.DOTALL)
# 10.244.1.12:8080, 10.244.1.12:53/udp, [fd00::1]:443
WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*)):([0-9]{1,5})(?:/([A-Za-z]+))?", re.ASCII)
PROTOCOLS = ("tcp", "udp", "sctp")
FORM = "write it like 10.244.1.12, fd00::1, 10.244.1.12:8080, [fd00::1]:443 or 10.244.1.0/24"


class Question(NamedTuple):
    """What is asked about: one of address, network and name is told. port: number and protocol, with an address."""

    asked: str
    address: str = ""
    port: tuple[int, str] | None = None
    network: Net | None = None
    name: str = ""


def read_question(asked: str) -> Question:
    """Tell what a word asks about. Raises: ConfigError for what was meant as an address and is none."""
    text = asked.strip()
    if is_address(text):
        return Question(asked, address=_spelled(text))
    if not text:
        raise ConfigError("cannot look up '': say an address or a name, such as 10.244.1.12 or deploy/shop/web")
    if not LIKE_ADDRESS.fullmatch(text):
        return Question(asked, name=text)
    with_port = WITH_PORT.fullmatch(text)
    if with_port:
        return _with_port(asked, *with_port.groups())
    if "/" in text:
        return Question(asked, network=_network(asked, text))
    if text.startswith("[") and text.endswith("]") and is_address(text[1:-1]):
        return Question(asked, address=_spelled(text[1:-1]))
    raise ConfigError(f"cannot look up '{asked}': it is no address; {FORM}")


def _spelled(text: str) -> str:
    """An address in its usual spelling; IPv4 that is mapped into IPv6 is IPv4."""
    one = ipaddress.ip_address(text)
    return str(getattr(one, "ipv4_mapped", None) or one)


def _with_port(asked: str, six: str | None, four: str | None, number: str, protocol: str | None) -> Question:
    address, protocol = six if six is not None else four or "", (protocol or "tcp").lower()
    if not is_address(address):
        raise ConfigError(f"cannot look up '{asked}': '{address}' is no address; {FORM}")
    if not 0 < int(number) < 65536:
        raise ConfigError(f"cannot look up '{asked}': there is no port {number}; ports go from 1 to 65535")
    if protocol not in PROTOCOLS:
        raise ConfigError(f"cannot look up '{asked}': no protocol '{protocol}'; say {', '.join(PROTOCOLS)}")
    return Question(asked, address=_spelled(address), port=(int(number), protocol))


def _network(asked: str, text: str) -> Net:
    """A network; one with bits behind its prefix is taken for the network that it lies in."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(f"cannot look up '{asked}': it is no network; {FORM}") from error

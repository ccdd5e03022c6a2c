"""SQL functions for addresses: `ip(text)` and `ip_in(column, 'CIDR')`, on the columns of 16 bytes."""

from __future__ import annotations

import ipaddress
from typing import Any

from whowas.addresses import MAPPED, sixteen
from whowas.errors import ConfigError

NAMES = frozenset(("ip", "ip_in"))
# A constant range is reckoned once, when the query is planned, so files are skipped by their bounds.
MACRO = "CREATE MACRO ip_in(address, net) AS address BETWEEN _whowas_low(net) AND _whowas_high(net)"


def bounds(text: str) -> tuple[bytes, bytes]:
    """Return the lowest and the highest address of a range or of one address, in 16 bytes.

    Bits below the prefix are let pass: 10.1.2.3/8 is 10.0.0.0/8. Raises: ConfigError.
    """
    try:
        net = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ConfigError(
            f"cannot use '{text[:60]}' as a range: it is neither an address nor a CIDR like 10.0.0.0/8 or fd00::/8"
        ) from None
    # ::ffff:10.0.0.0/104 is the same as 10.0.0.0/8, and its bytes too.
    return sixteen(net.network_address), sixteen(net.broadcast_address)


def address(text: str) -> bytes:
    """Return an address in 16 bytes. Raises: ConfigError for what is none; a zone (%eth0) is none either."""
    try:
        parsed = ipaddress.ip_address(text.strip())
        if "%" in text:
            raise ValueError
    except ValueError:
        raise ConfigError(f"cannot use '{text[:60]}' as an address: write it like 10.244.1.12 or fd00::1") from None
    return sixteen(parsed)


def is_v4(octets: bytes) -> bool:
    """Say whether an address of 16 bytes is IPv4."""
    return octets.startswith(MAPPED)


def register(link: Any) -> None:
    """Make the functions known to a connection."""
    # Names in what follows are DuckDB's, as text, so that nothing of its types is kept when the connection goes.
    link.create_function("_whowas_low", lambda text: bounds(text)[0], ["VARCHAR"], "BLOB")
    link.create_function("_whowas_high", lambda text: bounds(text)[1], ["VARCHAR"], "BLOB")
    link.create_function("ip", address, ["VARCHAR"], "BLOB")
    link.sql(MACRO)

"""Addresses as records have them, turned into 16 bytes; each spelling is looked at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from whowas.addresses import MAPPED, address16, sixteen

Indices = npt.NDArray[np.int64]
# What stands in for an address in a batch: nothing was there, or nothing that can be read.
ABSENT, UNREADABLE = -1, -2
KEPT = 1 << 16
# An address with a port behind it, as proxies write it.
WITH_PORT = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$|^\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?$")
# A list of more addresses, or a longer text, is none that anybody reads.
LIST_MOST, TEXT_MOST = 64, 4096
WHOLE = ("/32", "/128")


def packed(value: Any) -> bytes | None:
    """Return the 16 bytes of an address (text, with a port behind it or not; an ipaddress object; 4 or 16 bytes)."""
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return sixteen(value)
    if isinstance(value, bytes) and len(value) in (4, 16):
        return value if len(value) == 16 else MAPPED + value
    return None


def _of_text(text: str) -> bytes | None:
    found = WITH_PORT.match(text)
    if found:
        text = found[1] or found[2]
    if "/" in text and not text.endswith(WHOLE):
        return None
    return address16(text)


def listed(value: Any) -> list[str]:
    """Return the members of a list of addresses in one text, as x-forwarded-for has it; [] for anything else."""
    if not isinstance(value, str) or "," not in value or len(value) > TEXT_MOST:
        return []
    members = [one.strip() for one in value.split(",")]
    return members if len(members) <= LIST_MOST and any(packed(one) is not None for one in members) else []


class Addresses:
    """Turns values into rows of a table of addresses. The table is bounded: it is emptied between batches."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._rows: dict[Any, int] = {None: ABSENT, "": ABSENT, "-": ABSENT, "(empty)": ABSENT, UNSET: ABSENT}
        self._bytes = bytearray()

    def new_batch(self) -> None:
        """Forget, where too much is known. Rows of earlier batches mean nothing any more."""
        if len(self._rows) > KEPT:
            self._begin()

    def rows(self, values: Sequence[Any]) -> Indices:
        """Return the row of each value in `table`, ABSENT or UNREADABLE. Raises: TypeError for a list among them."""
        found: list[Any] = list(map(self._rows.get, values))
        if None in found:
            found = [self._row(value) if row is None else row for value, row in zip(values, found, strict=True)]
        return np.array(found, dtype=np.int64)

    def _row(self, value: Any) -> int:
        known = self._rows.get(value)
        if known is None:
            address = packed(value)
            known = UNREADABLE if address is None else len(self._bytes) // 16
            self._bytes += address or b""
            self._rows[value] = known
        return known

    def table(self) -> npt.NDArray[np.uint8]:
        """Return the addresses so far, (n, 16) uint8."""
        return np.frombuffer(bytes(self._bytes), dtype=np.uint8).reshape(-1, 16)

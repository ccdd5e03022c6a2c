"""Values of a flow as a view writes them: JSON's own kinds, of bounded length, and nothing that is not known."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

# Kubernetes allows 63 characters for most names and 253 for the longest; a label's key has 317. What is longer comes
# from a record or a history that somebody forged.
LONGEST = 512
MOST_LABELS = 100
LABELS_LENGTH = 16_384
MOST_IMAGES = 20
MOST_CANDIDATES = 20

_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def text(value: Any) -> str | None:
    """Return a value as text, cut where nobody would read on; None stays None."""
    if value is None:
        return None
    told = str(value)
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"


def filled(**fields: Any) -> dict[str, Any]:
    """Return the fields that are known: neither None nor empty."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def filled_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As `filled`, for names that are no Python words."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def labels(given: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return labels in the order of their keys: at most MOST_LABELS of them, and about LABELS_LENGTH characters."""
    found: dict[str, str] = {}
    length = 0
    for key, value in islice(sorted(dict(given).items()), MOST_LABELS):
        name, word = str(text(key)), text(value) or ""
        length += len(name) + len(word)
        if length > LABELS_LENGTH:
            break
        found[name] = word
    return found


def images(given: Iterable[Any]) -> list[str]:
    """Return the images of a pod, each once."""
    return list(islice(dict.fromkeys(str(text(one)) for one in given), MOST_IMAGES))


def candidates(given: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return who may have held an address, best first, at most so many."""
    return [{name: str(text(value)) for name, value in one.items() if value is not None}
            for one in islice(given, MOST_CANDIDATES)]  # fmt: skip


def stamp(value: Any) -> str | None:
    """Return a moment as RFC 3339 in UTC."""
    if not isinstance(value, datetime):
        return text(value)
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """Return any value of a row as JSON has it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in islice(value, MOST_LABELS)]
    if isinstance(value, Mapping):
        return {str(text(key)): plain(one) for key, one in islice(value.items(), MOST_LABELS)}
    return stamp(value)


def address(value: Any) -> str | None:
    """Return an IP address, None for anything else; one with a zone (fe80::1%x) is none: a zone may be any text."""
    try:
        return value if isinstance(value, str) and "%" not in value and ipaddress.ip_address(value) else None
    except ValueError:
        return None


def ethernet(value: Any) -> str | None:
    """Return an Ethernet address, None for anything else."""
    return value if isinstance(value, str) and _MAC.fullmatch(value) else None


def is_label(key: Any) -> bool:
    """Say whether Kubernetes takes it for a label's key."""
    return isinstance(key, str) and _LABEL.fullmatch(key) is not None

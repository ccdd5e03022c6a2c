"""Stretches of time as rules write them: 12.5s, 5m, 1h, 30d, 2w; M and y as Sigma's mean month and year."""

from __future__ import annotations

import re

from detect.sigma.refusals import Refused
from detect.sigma.yaml_documents import Node

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_629_746, "y": 31_556_952}
_WRITTEN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?([smhdwMy])")
LONGEST_US = 10 * 31_556_952 * 1_000_000


def duration_us(node: Node, least: int = 1) -> int:
    """Return a stretch of time in microseconds. Raises: Refused, also below `least` and above ten years."""
    found = _WRITTEN.fullmatch(node.value) if isinstance(node.value, str) else None
    if not found:
        raise Refused(f"'{node.text}' is no length of time", "write 12.5s, 5m, 1h or 30d", node.line)
    micros = (int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0"))) * _UNITS[found[3]]
    if not least <= micros <= LONGEST_US:
        raise Refused(f"'{node.text}' is too {'short' if micros < least else 'long'}", "change it", node.line)
    return micros

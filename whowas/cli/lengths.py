"""Lengths of time as options have them: 36h, 90d, 12w, 2y."""

from __future__ import annotations

import re

from whowas.errors import ConfigError

UNITS = {"d": 86_400, "h": 3_600, "w": 604_800, "y": 31_557_600}
LONGEST = 1000 * UNITS["y"]


def length(word: str) -> int:
    """Return the seconds of a length of time. Raises: ConfigError."""
    found = re.fullmatch(r"(\d{1,6})\s*([hdwy])", word.strip().lower())
    if not found:
        raise ConfigError(f"cannot keep '{word}': no length of time; write it like 36h, 90d, 12w or 2y")
    seconds = int(found[1]) * UNITS[found[2]]
    if seconds > LONGEST:
        raise ConfigError(
            f"cannot keep '{word}': that is longer than 1,000 years; leave pruning out to keep everything"
        )
    return seconds

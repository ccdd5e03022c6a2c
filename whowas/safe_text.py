"""Text from strangers, harmless for what shows it: terminals, tickets, spreadsheets; and sizes for people."""

from __future__ import annotations

from typing import Any

# A spreadsheet runs a cell that starts with one of these; labels and names are written by strangers.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def harmless(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def clean(value: Any) -> str:
    """Make text from the cluster safe to print: control characters and direction marks become escapes.

    Labels and names are written by whoever may create a pod; a terminal obeys what it is sent.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def size(count: float) -> str:
    """Bytes for people, powers of 1000 as disks and links count."""
    for unit in UNITS:
        if abs(count) < 1000 or unit == UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"

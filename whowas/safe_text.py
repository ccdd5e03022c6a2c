"""Text from strangers, harmless for what shows it: terminals, tickets, spreadsheets; and sizes for people."""

from __future__ import annotations

import re
from typing import Any

# A spreadsheet runs a cell that starts with one of these; labels and names are written by strangers.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
LINES_AND_TABS = re.compile(r"([\n\t]+)")


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


def clean_lines(text: str) -> str:
    """The same for text whose line breaks and tabs are meant."""
    return "".join(one if number % 2 else clean(one) for number, one in enumerate(LINES_AND_TABS.split(text)))


def clean_json(text: str) -> str:
    r"""The same for JSON, which stays what it was: \u009b inside of a string is that character."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else _json_escape(one) for one in text)


def escape_surrogates(text: str) -> str:
    """Return JSON that can be encoded: half characters, as names of files have them, become escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_json_escape(one) if "\ud800" <= one <= "\udfff" else one for one in text)
    return text


def _json_escape(one: str) -> str:
    pairs = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4))


def in_words(value: Any) -> str:
    """One value of a row for people: labels as k=v, lists with commas, nothing for none."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{name}={in_words(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(in_words(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def size(count: float) -> str:
    """Bytes for people, powers of 1000 as disks and links count."""
    for unit in UNITS:
        if abs(count) < 1000 or unit == UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"

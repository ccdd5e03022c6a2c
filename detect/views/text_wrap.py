"""Text in columns of a terminal: cut prose, and fold commands so that a shell still reads the same."""

from __future__ import annotations

import unicodedata

WIDTH = 100


def columns(text: str) -> int:
    """Return how many columns a terminal gives a line."""
    return len(text) if text.isascii() else sum(map(_wide, text))


def cut(text: str, width: int = WIDTH) -> str:
    """Return a line that fits, with … where it was cut."""
    text = text.rstrip()
    if columns(text) <= width:
        return text
    kept, room = [], width - 1
    for one in text:
        room -= _wide(one)
        if room < 0:
            break
        kept.append(one)
    return "".join(kept).rstrip() + "…"


def fold(command: str, width: int = WIDTH) -> list[str]:
    """Return a command as lines that a POSIX shell reads as the same words.

    A backslash before a newline is nothing to a shell, outside single quotes: between words, or within one too long. A
    line can stay too long only where a quoted word is.
    """
    lines, rest, quote = [], command, ""
    while True:
        line, newline, after = rest.partition("\n")
        if columns(line) <= width:
            lines.append(line)
            if not newline:
                return lines
            quote, rest = _quote_after(line, quote), after
            continue
        at = _place(line, quote, width - 1)
        if at is None:
            return [*lines, *rest.split("\n")]
        lines.append(line[:at] + "\\")
        quote, rest = _quote_after(line[:at], quote), rest[at:]


def _place(line: str, quote: str, room: int) -> int | None:
    """Where to break: behind the last space that fits, else within a word; never in single quotes or behind a \\."""
    inside, last = None, None
    used = 0
    for at, one in enumerate(line):
        if at and quote != "'" and line[at - 1] != "\\":
            inside = at
            last = at if line[at - 1] == " " and not quote else last
        used += _wide(one)
        if used > room:
            break
        quote = _quote_after(one, quote)
    return last or inside


def _quote_after(text: str, quote: str) -> str:
    """Which quote is open behind a text: a single one, a double one or none. shlex.quote escapes nothing by \\."""
    for one in text:
        if one == quote:
            quote = ""
        elif not quote and one in "'\"":
            quote = one
    return quote


def _wide(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1

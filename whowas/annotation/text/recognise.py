"""Tells free text from tables, by its first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from whowas.annotation.addresses import packed
from whowas.annotation.annotator import Choice
from whowas.annotation.delimited import DELIMITERS, sniffed
from whowas.annotation.known_logs import kind_of_columns
from whowas.annotation.text.found_addresses import Finder
from whowas.annotation.text.key_values import key_values
from whowas.annotation.text.line_times import LineTimes, Years

# Of so many lines it is told what they are.
LINES = 64
ADDRESS_CELL = re.compile(r"[0-9A-Fa-f.:]+|\"[0-9A-Fa-f.:]+\"")
BOM = b"\xef\xbb\xbf"


def is_text(lines: Sequence[bytes], choice: Choice | None = None) -> bool:
    """Say whether lines are free text, and no table: a table begins with names, and its rows have one shape."""
    lines, times, finder = lines[:LINES], LineTimes(Years()), Finder()

    def holds(line: bytes) -> bool:
        return key_values(line) is not None or times.of(line) is not None or any(finder.find(line))

    if not lines or not any(map(holds, lines)):
        return False
    if not holds(lines[0]) and _is_header(lines, choice or Choice()):
        return False
    return key_values(lines[0]) is not None or not _are_rows(lines)


def _is_header(lines: Sequence[bytes], choice: Choice) -> bool:
    text = lines[0].removeprefix(BOM).decode(errors="replace").rstrip("\r\n")
    mark = sniffed(text)
    names = [one.strip().strip('"') for one in text.split(mark)]
    if {*choice.addresses, *filter(None, [choice.time])} & set(names):
        return True
    # Words with blanks between them are a sentence as well.
    if mark == " " and len({line.count(b" ") for line in lines[:2]}) > 1:
        return False
    return kind_of_columns(names, timed=choice.at_us is None) is not None


def _are_rows(lines: Sequence[bytes]) -> bool:
    """Say whether these are rows of one width, all but the first with an address in the same column."""
    texts = [line.decode(errors="replace").rstrip("\r\n") for line in lines]
    mark = sniffed(texts[0])
    if mark not in DELIMITERS[:4] or mark not in texts[0] or len({text.count(mark) for text in texts}) > 1:
        return False
    columns = [
        {
            place
            for place, cell in enumerate(text.split(mark))
            if ADDRESS_CELL.fullmatch(cell) and packed(cell.strip('"'))
        }
        for text in texts
    ]
    return bool(set.intersection(*(columns[1:] or columns)))

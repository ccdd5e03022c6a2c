"""Lines of keys and values: CEF, LEEF 1.0 and 2.0, logfmt and its like. Read without decoding more than is needed.

Source: ArcSight Common Event Format, revision 16; IBM QRadar LEEF guide; github.com/kr/logfmt; FortiOS log reference.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CEF = re.compile(rb"CEF: ?\d{1,2}(?:\.\d{1,2})?\|(?:(?:[^|\\\n]|\\.)*+\|){6}")
CEF_KEY = re.compile(rb"(?:(?<= )|(?<=\|))([A-Za-z0-9_.\[\]-]{1,128})=")
LEEF = re.compile(rb"LEEF: ?([12])\.0\|(?:[^|\n]*+\|){4}")
LEEF_DELIMITER = re.compile(rb"(?:0?x([0-9A-Fa-f]{2,4})|([^\w\s|]|))\|")
PAIR = re.compile(
    rb"(?<![\w.@/-])([A-Za-z_@][\w.@/-]{0,127})=(\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s\"']*+)(?:[\s,;]{1,16}|$)"
)
PRIORITY = re.compile(rb"(?:<\d{1,3}>)?(?:\d{1,2} )?")
# A CEF or LEEF record begins so early in a line, behind syslog's header.
HEADER_WITHIN = 1024
TWO_THINGS = b"said twice"
# So many pairs from the line's start on make it logfmt.
PAIRS = 3
# Numbers of four parts that are none.
NO_ADDRESS = re.compile(r"(?:version|ver|release|build|firmware|oid|mask)\Z", re.IGNORECASE)
# The best time of a line, and what belongs to it: a start with an end, a moment, a date with its time and zone.
TIMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "cef": (("start", "end"), ("rt",), ("end",), ("start",)),
    "leef": (("devTime",),),
    "logfmt": (("eventtime",), ("time",), ("ts",), ("timestamp",), ("@timestamp",), ("t",), ("datetime",)),
}
FORTINET = ("date", "time", "tz")


class Pair(NamedTuple):
    """A key and its value as it is meant, without quotes."""

    key: str
    value: bytes


class KeyValues(NamedTuple):
    """A line. kind: cef, leef or logfmt. delimiter: stands between pairs."""

    kind: str
    pairs: list[Pair]
    delimiter: bytes

    def values(self, keys: tuple[str, ...]) -> list[bytes] | None:
        """Return the values of keys; None where one is missing. A key that says two things says nothing readable."""
        found = []
        for key in keys:
            told = {one.value for one in self.pairs if one.key == key}
            if not told:
                return None
            found.append(told.pop() if len(told) == 1 else TWO_THINGS)
        return found


def key_values(line: bytes) -> KeyValues | None:
    """Take a line apart; None for one that is of no such kind. line: without its end."""
    if b"=" not in line:
        return None
    head = line[:HEADER_WITHIN]
    if b"CEF:" in head and (found := CEF.search(line, 0, len(line))):
        return KeyValues("cef", _cef(line, found.end()), b" ")
    if b"LEEF:" in head and (found := LEEF.search(line)):
        return _leef(line, found)
    return _logfmt(line)


def _cef(line: bytes, at: int) -> list[Pair]:
    keys = list(CEF_KEY.finditer(line, at - 1))
    ends = [one.start() for one in keys[1:]] + [len(line)] * bool(keys)
    return [Pair(one[1].decode(), line[one.end() : end].strip()) for one, end in zip(keys, ends, strict=True)]


def _leef(line: bytes, header: re.Match[bytes]) -> KeyValues:
    at, delimiter = header.end(), b"\t"
    if header[1] == b"2" and (told := LEEF_DELIMITER.match(line, at)):
        at = told.end()
        delimiter = bytes([int(told[1], 16) & 255]) if told[1] else told[2] or delimiter
    pairs = []
    for part in line[at:].split(delimiter):
        key, equals, value = part.partition(b"=")
        if equals:
            pairs.append(Pair(key.strip().decode(errors="replace"), value.strip()))
    return KeyValues("leef", pairs, delimiter)


def _logfmt(line: bytes) -> KeyValues | None:
    head = PRIORITY.match(line)
    at = head.end() if head else 0
    if PAIR.match(line, at) is None:
        return None
    pairs: list[Pair] = []
    for found in PAIR.finditer(line, at):
        if found.start() != at and len(pairs) < PAIRS:
            return None
        at = found.end()
        value = found[2]
        pairs.append(Pair(found[1].decode(), value[1:-1] if value[:1] in (b'"', b"'") else value))
    return KeyValues("logfmt", pairs, b" ") if len(pairs) >= PAIRS else None

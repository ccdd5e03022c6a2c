"""Addresses in a block of free text. Versions, times, MACs and OIDs are left out where they can be told from them.

Every pattern takes time in proportion to the text: bounded repeats, or possessive ones.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple

from whowas.addresses import address16

# Not behind a letter and a bar (lib-1.2.3.4), nor behind ==, >= and the like. A digit first: that is looked for fast.
V4 = re.compile(rb"\d(?<![\w.]\d)(?<![A-Za-z]-\d)(?<![<>=~!]=\d)\d{0,2}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w|\.\w)")
# Hex digits and colons as far as they go; what they are is looked at behind.
V6 = re.compile(rb"(?<![\w:.])[0-9A-Fa-f]{0,4}+:[0-9A-Fa-f:]{1,40}+(?:(?:\.\d{1,3}){3})?+(?![\w:]|\.\w)")
# Without these a block has no IPv6.
SHORTENED, WHOLE = b"::", re.compile(rb":(?:[0-9A-Fa-f]{1,4}:){5}")
# Before a number of four parts that is a version (nginx/1.2.3.4, version 1.2.3.4), a mask or an OID.
WORDS = tuple(
    b"version versions is was of number release releases firmware ver build builds rev revision oid mask v rule rules "
    b"ruleset rulesets set sets signature signatures definition definitions package packages plugin plugins engine "
    b"patch pattern patterns update to and -> =>".split()
)
WORD = re.compile(
    rb"(?:versions?(?: is| was| of| number)?|release|firmware|netmask|(?:^|[^a-z])(?:ver|build|rev|revision|oid|mask))"
    rb"[\"']?\s?[:=]?\s?[\"']?\Z"
)
# Before what is a version by these words only if it looks like one: of rules there are addresses too.
WEAK = re.compile(
    rb"(?:(?:^|[^a-z])(?:v|rules?|rule ?sets?|signatures?|definitions?|packages?|plugins?|engine|patch|patterns?)"
    rb"(?: update)?|(?:version|release|firmware|build)s? ?[:=]? ?[\"']?\d[\d.]{6,14}[\"']? ?(?:to|and|->|=>))"
    rb"[\"']?\s?[:=]?\s?[\"']?\Z"
)
# Versions begin low; those of addresses whose parts are all alike are known ones (1.1.1.1, 8.8.8.8).
FIRST_OF_VERSIONS = 10
SUSPECT = frozenset(b"/ \t\"':=")
# Firewalls write inside/10.1.2.3(443), Squid HIER_DIRECT/10.1.2.3.
PORT_BEHIND = re.compile(rb"\(\d{1,5}\)")
SQUID = re.compile(rb"(?:DIRECT|PARENT|SIBLING|PINNED|MISS|HIT)/\Z")
PREFIX = re.compile(rb"/(\d{1,3})(?!\w)")
LOOKED_BACK = 48
KEPT = 1 << 16
# Of IPv6: addresses that somebody may have. What is outside of these is mostly none: 1::2 is a slice, 0:1::2 a time.
FIRST_BYTES = ((0x20, 0x3F), (0xFC, 0xFD), (0xFF, 0xFF))


class Found(NamedTuple):
    """An address and where it stands in the block. text: as it stands there."""

    start: int
    end: int
    text: str


class Finder:
    """Finds addresses; each spelling is looked at once, and so many are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def find(self, block: bytes) -> Iterator[Found]:
        """Return every address of a block in its order."""
        six = list(self._six(block)) if SHORTENED in block or WHOLE.search(block) else []
        if not six:
            return self._four(block)
        # 10.1.2.3 within ::ffff:10.1.2.3 is no second one.
        inside = [(one.start, one.end) for one in six]
        return merge(six, (one for one in self._four(block) if not _within(one.start, inside)))

    def _four(self, block: bytes) -> Iterator[Found]:
        for match in V4.finditer(block):
            start, end = match.span()
            text = self._text(match[0])
            if text and not _is_other(block, start, end) and not _is_network(block, end, text):
                yield Found(start, end, text)

    def _six(self, block: bytes) -> Iterator[Found]:
        for match in V6.finditer(block):
            token = match[0]
            if token.count(b":") < 7 and b"::" not in token:
                continue
            # `from fd00::1: refused`
            if token.endswith(b":") and not token.endswith(b"::"):
                token = token[:-1]
            text = self._text(token)
            end = match.start() + len(token)
            if text and not _is_network(block, end, text):
                yield Found(match.start(), end, text)

    def _text(self, token: bytes) -> str:
        """The address as text; "" for what is none."""
        known = self._known.get(token)
        if known is None:
            if len(self._known) > KEPT:
                self._known.clear()
            text = token.decode("ascii")
            known = self._known[token] = text if _is_someones(address16(text), ":" in text) else ""
        return known


def _is_someones(packed: bytes | None, six: bool) -> bool:
    if packed is None or not six:
        return packed is not None
    first = packed[0]
    return (
        any(low <= first <= high for low, high in FIRST_BYTES)
        or (first == 0xFE and packed[1] >= 0x80)
        or packed[:4] == b"\0\x64\xff\x9b"
        or (packed[:12] == b"\0" * 10 + b"\xff\xff")
        or packed == b"\0" * 15 + b"\1"
    )


def _is_other(block: bytes, start: int, end: int) -> bool:
    """Say whether what stands before says that these four numbers are a version or the like."""
    if not start or block[start - 1] not in SUSPECT:
        return False
    before = block[max(0, start - LOOKED_BACK) : start]
    if before.endswith(b"/"):
        product = before[-2:-1].isalnum() or before.endswith(b"_/")
        return product and not (PORT_BEHIND.match(block, end) or SQUID.search(before))
    before = before.lower()
    if not before.rstrip(b" \t\"':=").endswith(WORDS):
        return False
    return WORD.search(before) is not None or (_like_a_version(block[start:end]) and WEAK.search(before) is not None)


def _like_a_version(token: bytes) -> bool:
    parts = token.split(b".")
    return int(parts[0]) < FIRST_OF_VERSIONS and len(set(parts)) > 1


def _is_network(block: bytes, end: int, text: str) -> bool:
    """Say whether a prefix stands behind that makes a range of it: 10.1.2.0/24. 10.1.2.3/24 is an address in one."""
    if block[end : end + 1] != b"/":
        return False
    found = PREFIX.match(block, end)
    packed = address16(text)
    if found is None or packed is None:
        return False
    size = 128 if ":" in text else 32
    length = int(found[1])
    return length < size and not int.from_bytes(packed[-size // 8 :], "big") & ((1 << (size - length)) - 1)


def _within(place: int, spans: list[tuple[int, int]]) -> bool:
    at = bisect_right(spans, (place, 1 << 62)) - 1
    return at >= 0 and spans[at][0] <= place < spans[at][1]

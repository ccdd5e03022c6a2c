"""Checks which modifiers a field may carry together.

What is not listed here is refused, so that nothing is half-honoured.
"""

from __future__ import annotations

from detect.sigma.refusals import Refused

_PLACES = frozenset({"contains", "startswith", "endswith"})
_FLAGS = frozenset({"i", "ignorecase", "m", "multiline", "s", "dotall"})
_SIZES = frozenset({"gt", "gte", "lt", "lte"})
_PARTS = frozenset({"minute", "hour", "day", "week", "month", "year"})
_ENCODED = frozenset({"base64", "base64offset", "windash"})
_ANYWHERE = frozenset({"all", "neq", "expand"})
_UTF16 = frozenset({"wide", "utf16", "utf16le", "utf16be"})

KNOWN = (
    _PLACES | _FLAGS | _SIZES | _PARTS | _ENCODED | _ANYWHERE | _UTF16 | {"re", "cased", "cidr", "exists", "fieldref"}
)
_NEVER = {
    **dict.fromkeys(_UTF16, "flows hold no UTF-16"),
}
_TOGETHER: tuple[tuple[str, frozenset[str]], ...] = (
    ("re", _FLAGS),
    ("cidr", frozenset()),
    ("exists", frozenset()),
    ("fieldref", _PLACES),
)


def check(modifiers: list[str]) -> None:
    """Refuse modifiers that are unknown, said twice, or mean nothing together. Raises: Refused."""
    for one in modifiers:
        if one not in KNOWN:
            raise Refused(f"the modifier '{one}' is not known", f"use one of {', '.join(sorted(KNOWN - _UTF16))}")
        if one in _NEVER:
            raise Refused(f"the modifier '{one}' has nothing to find: {_NEVER[one]}", "leave it out")
    if len(set(modifiers)) < len(modifiers):
        raise Refused("a modifier stands here twice", "leave one")
    rest = [one for one in modifiers if one not in _ANYWHERE]
    _combined(rest, set(rest))


def _combined(rest: list[str], named: set[str]) -> None:
    for leader, allowed in _TOGETHER:
        if leader in named:
            _only(named, {leader} | allowed, leader)
            _once(named & _PLACES)
            return
    if alone := named & _FLAGS:
        raise Refused(f"the modifier '{alone.pop()}' is for regular expressions", "put it behind |re")
    if named & (_SIZES | _PARTS):
        _only(named, set(_SIZES | _PARTS), (named & (_SIZES | _PARTS)).pop())
        _once(named & _SIZES)
        _once(named & _PARTS)
        if named & _SIZES and named & _PARTS and rest[-1] not in _SIZES:
            raise Refused("a part of a time stands behind its comparison", f"write |{rest[1]}|{rest[0]}")
        return
    _once(named & _PLACES)


def _only(named: set[str], allowed: set[str], leader: str) -> None:
    if others := named - allowed:
        other = sorted(others)[0]
        how = "write the anchors into the expression" if leader == "re" else "use one of them"
        raise Refused(f"the modifiers '{leader}' and '{other}' cannot be combined", how)


def _once(named: set[str]) -> None:
    if len(named) > 1:
        first, second, *_ = sorted(named)
        raise Refused(f"the modifiers '{first}' and '{second}' cannot be combined", "use one of them")

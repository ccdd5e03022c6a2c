"""One Sigma value held against one field, as a test in DuckDB's SQL.

Text is compared without regard to case unless the rule says `cased`: both sides in DuckDB's lower(). A comparison with
null is false, so its negation is true. Of a list one element is enough.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from detect.conditions.fields import ADDRESS, FLAG, NUMBER, NUMBERS, RANGED, TEXT, TEXTS, TIME, Field, advice, field
from detect.conditions.sql_literals import bytes_literal, text_literal
from detect.conditions.tree import Atom
from detect.sigma.refusals import Refused
from whowas.addresses import MAPPED, sixteen

_OPERATORS = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
}
_MANY, _ONE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE
_MOST = 2**63 - 1


def test(one: Field, value: Any) -> Atom:
    """Return the test of a field against one value of a rule. Raises: Refused."""
    if isinstance(value, (SigmaNull, SigmaExists)):
        there = isinstance(value, SigmaExists) and value.exists
        return Atom(f"{one.sql} IS {'NOT ' if there else ''}NULL", (one,))
    if isinstance(value, SigmaFieldReference):
        return _reference(one, value)
    if isinstance(value, SigmaCIDRExpression):
        return _range(one, value.network)
    if one.kind in (TEXTS, NUMBERS):
        inner = _element(one, value, "e")
        return Atom(f"coalesce(len(list_filter({one.sql}, lambda e: {inner})) > 0, false)", (one,))
    return Atom(f"coalesce({_element(one, value, one.sql)}, false)", (one,))


def plain(one: Field, value: Any) -> str | None:
    """Return the literal that a field must equal, case aside, if that is all a value asks of one text or number."""
    if (
        one.kind == NUMBER
        and isinstance(value, (SigmaNumber, SigmaString))
        and not isinstance(value, SigmaTimestampPart)
    ):
        return _whole(one, value)
    text = _text(value) if one.kind in (TEXT, ADDRESS) and not isinstance(value, SigmaCasedString) else None
    return None if text is None or text.contains_special() else _lowered(_canonical(one, _joined(text)))


def equals_one_of(one: Field, literals: list[str]) -> Atom:
    """Return the test of a field against literals of `plain`."""
    left = one.sql if one.kind == NUMBER else f"lower({one.sql})"
    right = f"= {literals[0]}" if len(literals) == 1 else f"IN ({', '.join(literals)})"
    return Atom(f"coalesce({left} {right}, false)", (one,))


def _element(one: Field, value: Any, sql: str) -> str:
    """Write the comparison of an element or of the field itself; may be null where that is."""
    if isinstance(value, SigmaTimestampPart):
        return f"{_part(one, value, sql)} = {_number(value)}"
    if isinstance(value, SigmaCompareExpression):
        return _compared(one, value, sql)
    if isinstance(value, SigmaRegularExpression):
        return f"regexp_matches({_as_text(one, sql)}, {pattern(value)})"
    if one.kind == FLAG:
        return f"{sql} = {_flag(one, value)}"
    if one.kind == TIME:
        raise Refused(f"{one.name} is a time", "compare its |hour, |minute, |day, |week, |month or |year")
    if one.kind in (NUMBER, NUMBERS) and (number := _whole(one, value)) is not None:
        return f"{sql} = {number}"
    text = _text(value)
    if text is None:
        raise Refused(f"{one.name} cannot be compared with a {type(value).__name__}", "ask for something else")
    return _matched(one, text, _as_text(one, sql))


def _as_text(one: Field, sql: str) -> str:
    if one.kind in (NUMBER, NUMBERS):
        return f"CAST({sql} AS VARCHAR)"
    if one.kind in (FLAG, TIME):
        raise Refused(f"{one.name} is no text", "compare it with true or false" if one.kind == FLAG else "use |hour")
    return sql


def _text(value: Any) -> SigmaString | None:
    if isinstance(value, SigmaString):
        return value
    if isinstance(value, SigmaBool):
        return SigmaString.from_str(str(value.boolean).lower())
    return SigmaString.from_str(str(value.number)) if isinstance(value, SigmaNumber) else None


def _joined(text: SigmaString) -> str:
    return "".join(str(part) for part in text.s)


def _canonical(one: Field, text: str) -> str:
    """Write an address as the columns have it; and refuse a word that a column never holds."""
    if one.kind == ADDRESS:
        try:
            address = ip_address(text)
        except ValueError:
            raise Refused(f"'{text}' is no address", f"give one, or a range with {one.name}|cidr") from None
        return str(getattr(address, "ipv4_mapped", None) or address)
    if one.words and text.lower() not in (word.lower() for word in one.words):
        raise Refused(f"{one.name} is never '{text}'", f"it is one of {', '.join(one.words)}")
    return text


def _lowered(text: str) -> str:
    """Write a literal in lower case: DuckDB's, which differs from Python's beyond ASCII."""
    return text_literal(text.lower()) if text.isascii() else f"lower({text_literal(text)})"


def _matched(one: Field, text: SigmaString, sql: str) -> str:
    cased = isinstance(text, SigmaCasedString)
    left = sql if cased else f"lower({sql})"
    write = text_literal if cased else _lowered
    parts = text.s
    words = [part for part in parts if isinstance(part, str)]
    if not text.contains_special():
        return f"{left} = {write(_canonical(one, ''.join(words)))}"
    if parts == [_MANY]:
        return f"{sql} IS NOT NULL"
    for shape, call in (([_MANY, str, _MANY], "contains"), ([str, _MANY], "starts_with"), ([_MANY, str], "ends_with")):
        if [str if isinstance(part, str) else part for part in parts] == shape:
            return f"{call}({left}, {write(words[0])})"
    return f"{left} LIKE {write(_like(parts))} ESCAPE '\\'"


def _like(parts: Any) -> str:
    signs = {_MANY: "%", _ONE: "_"}
    return "".join(_escaped(one) if isinstance(one, str) else signs[one] for one in parts)


def _escaped(text: str) -> str:
    return "".join("\\" + one if one in "\\%_" else one for one in text)


def pattern(value: SigmaRegularExpression) -> str:
    """Write an expression as a literal, every flag said, whatever the engine takes for granted."""
    meant = {value.sigma_to_re_flag[one] for one in value.flags}
    on, off = ("".join(one for one in "ims" if (one in meant) is wanted) for wanted in (True, False))
    return text_literal(f"(?{on}{'-' + off if off else ''})" + value.regexp.to_plain())


def _whole(one: Field, value: Any) -> str | None:
    """Return the number that a value stands for; None for a text with wildcards."""
    if isinstance(value, SigmaNumber):
        return _number(value)
    if isinstance(value, SigmaString) and not value.contains_special():
        try:
            return _within(int(_joined(value)))
        except ValueError:
            raise Refused(f"{one.name} is a number and never '{_joined(value)}'", "give a number") from None
    if isinstance(value, SigmaString):
        return None
    raise Refused(f"{one.name} is a number", "give a number")


def _number(value: SigmaNumber) -> str:
    return _within(value.number)


def _within(number: float) -> str:
    if not -_MOST <= number <= _MOST:
        raise Refused(f"{number} is beyond 64 bits", "give a smaller number")
    return str(number)


def _flag(one: Field, value: Any) -> str:
    meant = value.boolean if isinstance(value, SigmaBool) else None
    if isinstance(value, SigmaString):
        meant = {"true": True, "false": False}.get(str(value).lower())
    if meant is None:
        raise Refused(f"{one.name} is true or false", "compare it with true or false")
    return "true" if meant else "false"


def _compared(one: Field, value: SigmaCompareExpression, sql: str) -> str:
    if value.op not in _OPERATORS:
        raise Refused(f"the comparison {value.op.name.lower()} is not known", "use gt, gte, lt or lte")
    if isinstance(value.number, SigmaTimestampPart):
        return f"{_part(one, value.number, sql)} {_OPERATORS[value.op]} {_number(value.number)}"
    if one.kind not in (NUMBER, NUMBERS):
        raise Refused(f"{one.name} is no number", "compare sizes of numbers only")
    return f"{sql} {_OPERATORS[value.op]} {_number(value.number)}"


def _part(one: Field, value: SigmaTimestampPart, sql: str) -> str:
    if one.kind != TIME:
        raise Refused(f"{one.name} is no time", "use it with start_time, end_time or received_time")
    # Without time zones, which take an extension of DuckDB's: the columns are UTC.
    return f"date_part('{value.timestamp_part.name.lower()}', make_timestamp(epoch_us({sql})))"


def _range(one: Field, network: IPv4Network | IPv6Network) -> Atom:
    if one.name not in RANGED:
        raise Refused(f"{one.name} cannot be held against a range", f"use {' or '.join(RANGED)}")
    twin = Field(one.name, RANGED[one.name], ADDRESS)
    first, last = (sixteen(network[place]) for place in (0, -1))
    sql = f"{twin.sql} BETWEEN {bytes_literal(first)} AND {bytes_literal(last)}"
    mapped = [MAPPED + bytes([byte] * 4) for byte in (0, 255)]
    if network.version == 6 and network.prefixlen < 96 and first <= mapped[0] and mapped[1] <= last:
        # IPv4 lies in ::ffff:0:0/96, and is in no range of IPv6
        sql = f"({sql} AND NOT {twin.sql} BETWEEN {bytes_literal(mapped[0])} AND {bytes_literal(mapped[1])})"
    return Atom(f"coalesce({sql} /* {network} */, false)", (twin,))


def _reference(one: Field, value: SigmaFieldReference) -> Atom:
    other = field(value.field)
    if other is None:
        raise Refused(f"'{value.field}' is no field of a flow", advice(value.field))
    for each in (one, other):
        if each.kind in (TEXTS, NUMBERS, TIME):
            raise Refused(f"{each.name} cannot be compared with another field", "compare texts or numbers")
    numbers = one.kind in (NUMBER, FLAG) and other.kind == one.kind
    if numbers and not (value.starts_with or value.ends_with):
        return Atom(f"coalesce({one.sql} = {other.sql}, false)", (one, other))
    left, right = (f"lower({_as_text(each, each.sql)})" for each in (one, other))
    if not (value.starts_with or value.ends_with):
        return Atom(f"coalesce({left} = {right}, false)", (one, other))
    call = "contains" if value.starts_with and value.ends_with else "starts_with" if value.starts_with else "ends_with"
    return Atom(f"coalesce({call}({left}, {right}), false)", (one, other))

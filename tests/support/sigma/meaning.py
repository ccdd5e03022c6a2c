"""What Sigma means, in plain Python over one row: the independent reading that SQL and matcher are held against.

Nothing of pySigma, DuckDB or detect is used. A detection is what its YAML says: mappings, lists, plain values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

ADDRESSES = ("src_ip", "dst_ip")
V4_IN_V6 = IPv6Network("::ffff:0:0/96")


def holds(detection: Mapping[str, Any], condition: Any, row: Mapping[str, Any]) -> bool:
    """Whether a row matches. A condition is a tree: ("and", …), ("or", …), ("not", x), ("of", "1" or "all", prefix)."""
    if isinstance(condition, str):
        return _selection(detection[condition], row)
    word, *parts = condition
    if word == "not":
        return not holds(detection, parts[0], row)
    if word == "of":
        names = [name for name in detection if name.startswith(parts[1])]
        return (any if parts[0] == "1" else all)(holds(detection, name, row) for name in names)
    return (all if word == "and" else any)(holds(detection, one, row) for one in parts)


def condition_text(condition: Any) -> str:
    """The tree of a condition as Sigma writes it."""
    if isinstance(condition, str):
        return condition
    word, *parts = condition
    if word == "not":
        return f"not ({condition_text(parts[0])})"
    if word == "of":
        return f"{parts[0]} of {parts[1]}*"
    return "(" + f" {word} ".join(condition_text(one) for one in parts) + ")"


def _selection(told: Any, row: Mapping[str, Any]) -> bool:
    if isinstance(told, list):
        return any(_selection(one, row) for one in told)
    return all(_item(key, value, row) for key, value in told.items())


def _item(key: str, told: Any, row: Mapping[str, Any]) -> bool:
    name, *modifiers = key.split("|")
    values = told if isinstance(told, list) else [told]
    found = (all if "all" in modifiers else any)(_value(name, set(modifiers), one, row) for one in values)
    return not found if "neq" in modifiers else found


def field(name: str, row: Mapping[str, Any]) -> Any:
    """What a row has under a rule's name for it."""
    for column in ("src_labels", "dst_labels"):
        if name.startswith(column + "."):
            return (row.get(column) or {}).get(name[len(column) + 1 :])
    return row.get(name)


def _value(name: str, modifiers: set[str], told: Any, row: Mapping[str, Any]) -> bool:
    actual = field(name, row)
    if "exists" in modifiers:
        return (actual is not None) == told
    if told is None:
        return actual is None
    if actual is None:
        return False
    if isinstance(actual, list):
        return any(one is not None and _one(name, modifiers, told, one, row) for one in actual)
    return _one(name, modifiers, told, actual, row)


def _one(name: str, modifiers: set[str], told: Any, actual: Any, row: Mapping[str, Any]) -> bool:
    if "fieldref" in modifiers:
        return _reference(modifiers, actual, field(told, row))
    if "cidr" in modifiers:
        return _in_range(actual, told)
    if "re" in modifiers:
        return _expression(modifiers, told, as_text(actual))
    if isinstance(actual, datetime):
        actual = _part(modifiers, actual)
    for word, compare in (("gte", actual.__ge__), ("gt", actual.__gt__), ("lte", actual.__le__), ("lt", actual.__lt__)):
        if word in modifiers:
            return bool(compare(told) if isinstance(told, int) else _sized(word, actual, told))
    return _equal(name, modifiers, told, actual)


def _sized(word: str, actual: float, told: float) -> bool:
    return {"gte": actual >= told, "gt": actual > told, "lte": actual <= told, "lt": actual < told}[word]


def _part(modifiers: set[str], moment: datetime) -> int:
    if "week" in modifiers:
        return moment.isocalendar().week
    return next(getattr(moment, one) for one in ("minute", "hour", "day", "month", "year") if one in modifiers)


def _equal(name: str, modifiers: set[str], told: Any, actual: Any) -> bool:
    if isinstance(actual, int) and not isinstance(actual, bool):
        if not isinstance(told, str):
            return bool(actual == told)
        if not modifiers & {"contains", "startswith", "endswith"} and re.fullmatch("[0-9]+", told):
            return actual == int(told)
    if name in ADDRESSES and _address(told) is not None and not modifiers & {"contains", "startswith", "endswith"}:
        return _address(told) == _address(actual)
    pattern = parts(as_text(told) if not isinstance(told, str) else told)
    if modifiers & {"contains", "endswith"}:
        pattern = [MANY, *pattern]
    if modifiers & {"contains", "startswith"}:
        pattern = [*pattern, MANY]
    return _wild(pattern, as_text(actual), "cased" in modifiers)


MANY, ONE = object(), object()


def parts(text: str) -> list[Any]:
    """A Sigma string as characters and wildcards. A backslash takes the meaning from *, ? and itself, else it stays."""
    found: list[Any] = []
    place = 0
    while place < len(text):
        one, after = text[place], text[place + 1 : place + 2]
        if one == "\\" and after and after in "*?\\":
            found.append(after)
            place += 1
        else:
            found.append({"*": MANY, "?": ONE}.get(one, one))
        place += 1
    return found


def _wild(pattern: list[Any], actual: str, cased: bool) -> bool:
    """Without any regular expression: which prefixes of the pattern can end at each place of the text."""
    text = list(actual if cased else fold(actual))
    at = [True] + [False] * len(text)
    for one in pattern:
        if one is MANY:
            reached, after = False, []
            for place in at:
                reached = reached or place
                after.append(reached)
        else:
            want = one if one is ONE or cased else fold(one)
            after = [False] + [at[place] and (one is ONE or text[place] == want) for place in range(len(text))]
        at = after
    return at[-1]


def fold(text: str) -> str:
    """Each character's simple lower case, as the Unicode tables have it: İ is i, and never more than one."""
    return "".join("i" if one == "İ" else one.lower() for one in text)


def as_text(value: Any) -> str:
    """A value as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _expression(modifiers: set[str], told: str, actual: str) -> bool:
    flags = (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL))
    meant = sum(flag for word, flag in flags if word in modifiers)
    if "m" not in modifiers:  # Python's $ lets a last newline go by
        told = told.replace("$", r"\Z")
    return re.search(told, actual, meant) is not None


def _address(text: Any) -> Any:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def _in_range(actual: str, told: str) -> bool:
    network = ip_network(told)
    if isinstance(network, IPv6Network) and network.subnet_of(V4_IN_V6):
        network = IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    found = _address(actual)
    return found.version == network.version and found in network


def _reference(modifiers: set[str], actual: Any, other: Any) -> bool:
    if other is None:
        return False
    left, right = fold(as_text(actual)), fold(as_text(other))
    if "contains" in modifiers:
        return right in left
    if "startswith" in modifiers:
        return left.startswith(right)
    return left.endswith(right) if "endswith" in modifiers else left == right

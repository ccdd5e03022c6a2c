"""Drafts a Sigma rule from a filter: `whowas rules check` takes it as it is.

A rule asks columns, and weighs by itself how sure a name is. So a name asks for those that held the address, not for
those that may have; what has no column stands as a comment. Values of one word are alternatives, as in a filter.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence

from detect.conditions.fields import FLAG, NUMBER, NUMBERS, RANGED, TEXT, field
from whowas.query.filter_words import KIND_WORDS, Word
from whowas.query.functions import bounds

SIDES = ("src", "dst")
Map = Mapping[str, str | int]
"""Columns, each with its value; all must hold."""
OF_KIND = {"pod": "pod", "service": "service", "node": "node"}
_PORT = re.compile(r"\[?(?P<rest>.*?)\]?(?::(?P<port>\d{1,5}(?:-\d{1,5})?))?", re.DOTALL)


def draft(words: Sequence[Word]) -> str:
    """The rule as YAML."""
    parts: dict[tuple[bool, str], list[Map]] = {}
    by_hand: list[Word] = []
    for one in words:
        found = list(_maps(one))
        if found:
            # What is left out is so for each word by itself.
            parts.setdefault((one.negated, f"{_answers(one)} {one.value if one.negated else ''}"), []).extend(found)
        else:
            by_hand.append(one)
    # Of the same filter always the same rule.
    made = uuid.uuid5(uuid.NAMESPACE_URL, "whowas:draft:" + " ".join(map(repr, words)))
    lines = ["title: Draft of a filter", f"id: {made}", "name: draft_of_a_filter", "status: experimental"]
    lines += ["level: medium"]
    lines += ["taxonomy: whowas", "logsource: {category: network_flow, product: kubernetes}", "detection:"]
    names: list[str] = []
    for number, ((negated, _), maps) in enumerate(parts.items(), 1):
        names.append(f"{'not filter' if negated else 'selection'}_{number}")
        lines += _selection(names[-1].removeprefix("not "), maps)
    if not any(not one.startswith("not ") for one in names):
        names.insert(0, "selection")
        lines += ["  selection: {flow_id: '*'}"]
    lines.append(f"  condition: {' and '.join(names)}")
    lines += [f"# write by hand: {'not ' if one.negated else ''}{f'{one.word}={one.value}'!a}" for one in by_hand]
    return "\n".join([*lines, ""])


def _answers(one: Word) -> str:
    return f"{one.word} {one.value.partition('=')[0]}" if one.word in ("label", "where") else one.word


def _selection(name: str, maps: list[Map]) -> list[str]:
    flat = [f"{{{', '.join(f'{_key(key)}: {_yaml(value)}' for key, value in one.items())}}}" for one in maps]
    return [f"  {name}: {flat[0]}"] if len(flat) == 1 else [f"  {name}:", *(f"    - {one}" for one in flat)]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w./|-]+", name, re.ASCII) else _yaml(name)


def _yaml(value: str | int) -> str:
    if isinstance(value, int):
        return str(value).lower()
    # Sigma reads ? and \ as marks of its own; * is any text there as here.
    text = value.encode(errors="replace").decode().replace("\\", "\\\\").replace("?", "\\?")
    return '"' + "".join(map(_letter, text)) + '"'


def _letter(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"


def _maps(one: Word) -> Iterator[Map]:
    """Alternatives that a word is; none where no column tells it."""
    word, value = one.word, one.value
    if word in SIDES:
        yield from _end(word, value)
    elif word == "end":
        yield from (found for side in SIDES for found in _end(side, value))
    elif word == "ip":
        yield from ({f"{side}_ip{_cidr(value)}": value} for side in SIDES)
    elif word == "port":
        yield from (_ports(side, value) for side in SIDES)
    elif word in ("kind", "confidence", "namespace", "node"):
        yield from ({f"{side}_{word}": value} for side in SIDES)
    elif word in ("protocol", "direction", "cluster"):
        yield {"protocol_number" if value.isdigit() else word: int(value) if value.isdigit() else value}
    else:
        yield from _others(word, value)


def _others(word: str, value: str) -> Iterator[Map]:
    key, _, told = value.partition("=")
    if word == "label":
        yield from ({f"{side}_labels.{key}": told} for side in SIDES)
    elif word == "where":
        yield _column(key, told)
    elif word == "external" and value == "true":
        yield from ({f"{side}_kind": "external"} for side in SIDES)


def _column(name: str, value: str) -> Map:
    """One column with a value of its kind."""
    known = field(name)
    kind = known.kind if known else TEXT
    if kind in (NUMBER, NUMBERS):
        return {name: int(value)}
    if kind == FLAG:
        return {name: value.lower() == "true"}
    return {f"{name}{_cidr(value)}" if name in RANGED else name: value}


def _cidr(value: str) -> str:
    return "|cidr" if "/" in value else ""


def _ports(side: str, value: str) -> Map:
    low, _, high = value.partition("-")
    if not high:
        return {f"{side}_port": int(low)}
    return {f"{side}_port|gte": int(low), f"{side}_port|lte": int(high)}


def _end(side: str, value: str) -> Iterator[Map]:
    """A name or an address, with or without a port."""
    if _is_range(value):
        rest, port = value, None
    else:
        found = _PORT.fullmatch(value)
        rest, port = (found["rest"], found["port"]) if found else (value, None)
    also = _ports(side, port) if port else {}
    if not rest:
        yield also
    elif _is_range(rest):
        yield {f"{side}_ip{_cidr(rest)}": rest, **also}
    else:
        yield from ({**one, **also} for one in _named(side, rest))


def _is_range(text: str) -> bool:
    try:
        return bool(bounds(text))
    except Exception:  # noqa: BLE001 - whatever is said of it, it is a name then
        return False


def _named(side: str, text: str) -> Iterator[Map]:
    parts = text.split("/")
    if len(parts) == 2 and KIND_WORDS.get(parts[0], parts[0]) == "node":
        yield {f"{side}_kind": "node", f"{side}_node": parts[1]}
        return
    kind = KIND_WORDS.get(parts[0].lower(), parts[0].lower()) if len(parts) == 3 else ""
    space: Map = {f"{side}_namespace": parts[-2]} if len(parts) > 1 else {}
    if kind in OF_KIND:
        yield {**space, f"{side}_kind": kind, f"{side}_{OF_KIND[kind]}": parts[-1]}
    elif kind:
        # Sigma compares without looking at large and small letters.
        yield {**space, f"{side}_workload_kind": kind, f"{side}_workload": parts[-1]}
    else:
        yield {**space, f"{side}_workload": parts[-1]}
        yield {**space, f"{side}_pod": parts[-1]}
        yield {**space, f"{side}_kind": "service", f"{side}_service": parts[-1]}

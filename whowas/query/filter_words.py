"""The words of a filter: `src=shop/web`, `dst=data/db:5432`, `label=app=web`. The command line and the page read them.

Values of one word are alternatives; different words must all hold; labels of different keys too. A word that names no
end asks for either end. A name is NAMESPACE/NAME, KIND/NAMESPACE/NAME or NAME, each with * for any text, and stands
for what certainly held the address and for what may have held it (candidates of an ambiguous end). What is left out is
left out for certain only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from detect.conditions.fields import ADDRESS, FLAG, NUMBER, NUMBERS, RANGED, TEXTS, TIME, advice, field
from whowas.errors import ConfigError
from whowas.query.filters import (
    Filter,
    Not,
    Test,
    between,
    candidate,
    certain,
    either,
    equals,
    every,
    like,
    some,
)
from whowas.query.functions import address, bounds
from whowas.schema import CONFIDENCES, KINDS

VALUE_MOST = 1 << 16
STARS_MOST = 16
KIND_WORDS = {
    "deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "cj": "cronjob", "po": "pod", "svc": "service",
    "no": "node", "rs": "replicaset",
}  # fmt: skip
FORMS = "a name is NAMESPACE/NAME, KIND/NAMESPACE/NAME, node/NAME or NAME"
_PORT = re.compile(r"^(?P<rest>.*?):(?P<port>\d{1,5}(?:-\d{1,5})?)$", re.DOTALL)
_BRACKETED = re.compile(r"^\[(?P<rest>[0-9A-Fa-f:.]+)\](?::(?P<port>\d{1,5}(?:-\d{1,5})?))?$")


class Word(NamedTuple):
    """One word of a filter with its value. negated: what has it is left out."""

    word: str
    value: str
    negated: bool = False


def parse(words: Iterable[Word]) -> Filter:
    """Return the filter that all words make together. Raises: ConfigError that quotes the word it is about."""
    wanted: dict[str, list[Filter]] = {}
    refused: list[Filter] = []
    for one in words:
        made = _made(one)
        if one.negated:
            refused.append(Not(certain(made)))
        else:
            wanted.setdefault(_alternative_to(one), []).append(made)
    return every([*(some(parts) for parts in wanted.values()), *refused])


def _alternative_to(one: Word) -> str:
    """Values with the same answer are alternatives to each other."""
    if one.word in ("label", "where"):
        return f"{one.word} {one.value.partition('=')[0]}"
    return one.word


def _made(one: Word) -> Filter:
    make = WORDS.get(one.word)
    if make is None:
        near = difflib.get_close_matches(one.word, WORDS, n=1)
        raise ConfigError(
            f"cannot filter by '{one.word[:60]}': "
            + (f"did you mean {near[0]}?" if near else f"the words are {', '.join(WORDS)}")
        )
    # What the command line could not decode is in no flow.
    value = one.value.encode(errors="replace").decode()
    if not value:
        raise ConfigError(f"cannot filter by an empty {one.word}: give it a value")
    if len(value) > VALUE_MOST or value.count("*") > STARS_MOST:
        raise ConfigError(f"cannot filter by this {one.word}: it is too long, or has more than {STARS_MOST} *")
    return make(value)


def parse_negated(text: str) -> Word:
    """Read `WORD=VALUE`, as --not has it. Raises: ConfigError."""
    word, mark, value = text.partition("=")
    if not mark:
        raise ConfigError(f"cannot leave out '{text[:60]}': write WORD=VALUE, as in dst=kube-system/coredns or port=53")
    return Word(word, value, True)


def _end(side: str, value: str) -> Filter:
    """NAME, an address or a range, with or without :PORT; or :PORT alone."""
    rest, port = _split_port(value)
    parts: list[Filter] = []
    if rest:
        low_high = _range_or_none(rest)
        parts.append(between(f"{side}_ip16", *low_high) if low_high else _named(side, rest))
    if port:
        parts.append(_port(f"{side}_port", port))
    return every(parts)


def _split_port(value: str) -> tuple[str, str]:
    if found := _BRACKETED.match(value):
        return found["rest"], found["port"] or ""
    # fd00::12 is an address, and no port 12.
    if _range_or_none(value):
        return value, ""
    found = _PORT.match(value)
    return (found["rest"], found["port"]) if found else (value, "")


def _range_or_none(text: str) -> tuple[bytes, bytes] | None:
    try:
        return bounds(text)
    except ConfigError:
        if re.fullmatch(r"[0-9.]+(/\d+)?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/\d+", text):
            raise
        return None


def _named(side: str, text: str) -> Filter:
    """What held the address, certainly or possibly."""
    parts = text.split("/")
    if len(parts) > 3 or "" in parts:
        raise ConfigError(
            f"cannot find '{text[:60]}': a name is NAMESPACE/NAME, KIND/NAMESPACE/NAME, node/NAME or NAME"
        )
    kind = KIND_WORDS.get(parts[0].lower(), parts[0].lower()) if len(parts) == 3 else ""
    if len(parts) == 2 and KIND_WORDS.get(parts[0], parts[0]) == "node":
        return _node(side, parts[1])
    namespace, name = (parts[-2] if len(parts) > 1 else ""), parts[-1]
    held = _held(side, kind, name)
    possible = {"namespace": namespace} if namespace else {}
    also = [_possible(side, kind, {**possible, part: name}) for part in _told_of(kind)]
    if namespace:
        held = every([like(f"{side}_namespace", namespace), held])
    elif not kind:
        held = some([held, _node(side, name)])
    return some([held, *also])


def _told_of(kind: str) -> tuple[str, ...]:
    """What of a candidate a name can be. Its workload's kind is not told, so any of that name may be meant."""
    if not kind:
        return ("workload", "name")
    return ("name",) if kind in ("pod", "service", "node") else ("workload",)


def _held(side: str, kind: str, name: str) -> Filter:
    if kind == "pod":
        return like(f"{side}_pod", name)
    if kind == "service":
        return _service(side, name)
    if kind:
        return every([equals(f"lower({side}_workload_kind)", kind), like(f"{side}_workload", name)])
    return some([like(f"{side}_workload", name), like(f"{side}_pod", name), _service(side, name)])


def _service(side: str, name: str) -> Filter:
    """A flow to a Service's own address; pods behind it are named by themselves."""
    return every([equals(f"{side}_kind", "service"), like(f"{side}_service", name)])


def _node(side: str, name: str) -> Filter:
    return every([equals(f"{side}_kind", "node"), like(f"{side}_node", name)])


def _possible(side: str, kind: str, tests: dict[str, str]) -> Filter:
    if kind in ("pod", "service", "node"):
        tests = {**tests, "kind": kind}
    return every([equals(f"{side}_confidence", "ambiguous"), candidate(side, tests)])


def _port(sql: str, text: str) -> Filter:
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not 0 <= low <= high <= 65535:
        raise ConfigError(f"cannot use '{text[:60]}' as a port: write 443, or a range like 8000-8100")
    return between(sql, low, high)


def _ports(text: str) -> Filter:
    return either(lambda side: _port(f"{side}_port", text))


def _addresses(text: str) -> Filter:
    low, high = bounds(text) if "/" in text else (address(text), address(text))
    return either(lambda side: between(f"{side}_ip16", low, high))


def _protocol(text: str) -> Filter:
    if text.isascii() and text.isdigit() and int(text) < 256:
        return equals("protocol_number", int(text))
    return equals("lower(protocol)", text.lower())


def _one_of(column: str, words: tuple[str, ...], text: str) -> Filter:
    if text not in words:
        raise ConfigError(f"cannot filter by the {column} '{text[:60]}': it is one of {', '.join(words)}")
    return either(lambda side: equals(f"{side}_{column}", text))


def _of_either(column: str, text: str) -> Filter:
    """A namespace or node of either end; of a candidate too, where that tells it."""

    def test(side: str) -> Filter:
        sure = like(f"{side}_{column}", text)
        return some([sure, _possible(side, "", {"namespace": text})]) if column == "namespace" else sure

    return either(test)


def _label(text: str) -> Filter:
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise ConfigError(f"cannot filter by the label '{text[:60]}': write KEY=VALUE, as in app=web")

    return either(lambda side: _of_label(f"{side}_labels", key, value))


def _of_label(column: str, key: str, value: str) -> Filter:
    test = like(f"{column}[?]", value)
    return Test(test.sql, (key, *test.parameters))


def _where(text: str) -> Filter:
    """FIELD=VALUE with a field of rules: any column, and src_labels.KEY."""
    name, mark, value = text.partition("=")
    one = field(name)
    if not mark or one is None:
        raise ConfigError(
            f"cannot filter by the field '{name[:60]}': {advice(name)}"
            if mark
            else f"cannot filter by '{text[:60]}': write FIELD=VALUE, as in tls_sni=*.example.com"
        )
    if one.kind == TIME:
        raise ConfigError(f"cannot filter by {name}, which is a time: use since, until or at")
    if one.key is not None:
        return _of_label(one.column, one.key, value)
    if one.words and "*" not in value and value not in one.words:
        raise ConfigError(f"cannot filter by the {name} '{value[:60]}': it is one of {', '.join(one.words)}")
    return _column(name, one.kind, value)


def _column(name: str, kind: str, value: str) -> Filter:
    if kind == ADDRESS and name in RANGED:
        return between(RANGED[name], *bounds(value))
    if kind in (NUMBER, NUMBERS):
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise ConfigError(f"cannot compare {name} with '{value[:60]}': it is a number")
        return equals(name, int(value)) if kind == NUMBER else _in_list(name, int(value))
    if kind == FLAG:
        if value.lower() not in ("true", "false"):
            raise ConfigError(f"cannot compare {name} with '{value[:60]}': it is true or false")
        return equals(name, value.lower() == "true")
    return _in_list(name, value) if kind == TEXTS else like(name, value)


def _in_list(name: str, value: object) -> Test:
    return Test(f"list_contains({name}, ?)", (value,))


def _external(text: str) -> Filter:
    if text not in ("true", "false"):
        raise ConfigError(f"cannot filter by external '{text[:60]}': it is true or false")
    outside = either(lambda side: equals(f"{side}_kind", "external"))
    return outside if text == "true" else Not(outside)


WORDS: dict[str, Callable[[str], Filter]] = {
    "src": partial(_end, "src"),
    "dst": partial(_end, "dst"),
    "end": lambda value: either(lambda side: _end(side, value)),
    "ip": _addresses,
    "port": _ports,
    "protocol": _protocol,
    "kind": partial(_one_of, "kind", KINDS),
    "confidence": partial(_one_of, "confidence", CONFIDENCES),
    "namespace": partial(_of_either, "namespace"),
    "node": partial(_of_either, "node"),
    "label": _label,
    "cluster": lambda value: like("cluster", value),
    "direction": lambda value: _where(f"direction={value}"),
    "external": _external,
    "where": _where,
}

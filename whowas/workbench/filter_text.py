"""The filter as it is typed on the page: the words of `whowas flows`, quoted as in a shell.

src=shop/web dst=data/db:5432 not label=app=web where="tls_sni=*.example.com"
"""

from __future__ import annotations

import difflib
import io
import re
import shlex
from typing import NamedTuple

from whowas.errors import ConfigError
from whowas.query.filter_words import WORDS, Word, parse
from whowas.query.filters import EVERY, All, Filter, Not, Some, Test
from whowas.schema import COLUMNS, PARTITIONS

MOST_WORDS = 64
KNOWN = frozenset([*(one.name for one in COLUMNS), *PARTITIONS])
_NAME = re.compile(r"(?<![\w.])[a-z][a-z_0-9]*")


class FilterError(ConfigError):
    """A filter that is none. at: where in the text, in characters."""

    def __init__(self, told: str, at: int) -> None:
        super().__init__(told)
        self.at = at


class Typed(NamedTuple):
    """A filter and the words it is of."""

    filter: Filter
    words: tuple[Word, ...]


def read(text: str) -> Typed:
    """Read a filter; an empty one holds for all. Raises: FilterError."""
    words: list[Word] = []
    negated = False
    for token, at in _tokens(text):
        if token == "not" and not negated:  # noqa: S105 - a word of the filter
            negated = True
            continue
        word, mark, value = token.partition("=")
        if not mark:
            raise FilterError(_no_word(token), at)
        words.append(Word(word, value, negated))
        negated = False
        _check(words[-1], at)
        if len(words) > MOST_WORDS:
            raise FilterError(f"cannot filter by more than {MOST_WORDS} words; leave some out", at)
    if negated:
        raise FilterError("cannot leave out nothing: write WORD=VALUE behind not", len(text))
    return Typed(parse(words) if words else EVERY, tuple(words))


def _check(word: Word, at: int) -> None:
    try:
        parse([word])
    except ConfigError as error:
        raise FilterError(str(error), at) from error


def _tokens(text: str) -> list[tuple[str, int]]:
    """Words with the place where each begins. Raises: FilterError for a quote that is not closed."""
    source = io.StringIO(text)
    lexer = shlex.shlex(source, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    found: list[tuple[str, int]] = []
    place = 0
    try:
        while (token := lexer.get_token()) is not None:
            behind = source.tell()
            begin = place + len(text[place:behind]) - len(text[place:behind].lstrip())
            found.append((token, begin))
            place = behind
    except ValueError as error:
        raise FilterError(f"cannot read the filter: {str(error).lower()}; quote as in a shell", place) from error
    return found


def _no_word(token: str) -> str:
    near = difflib.get_close_matches(token, WORDS, n=1)
    return f"cannot filter by '{token[:60]}': write WORD=VALUE, as in {near[0] if near else 'src'}=shop/web"


def written(words: tuple[Word, ...]) -> str:
    """Write words as text that reads as the same."""
    return " ".join(("not " if one.negated else "") + shlex.quote(f"{one.word}={one.value}") for one in words)


def columns_of(one: Filter) -> frozenset[str]:
    """The columns of flows that a filter reads."""
    if isinstance(one, Test):
        return frozenset(_NAME.findall(one.sql)) & KNOWN
    parts = (one.part,) if isinstance(one, Not) else one.parts
    return frozenset().union(*map(columns_of, parts))


def complete(text: str) -> list[str]:
    """Words that may stand at the end of what was typed."""
    last = re.split(r"\s+", text)[-1]
    word, mark, value = last.partition("=")
    if not mark:
        return [f"{one}=" for one in WORDS if one.startswith(word)]
    return [f"{word}={one}" for one in _values(word) if one.startswith(value)]


def _values(word: str) -> tuple[str, ...]:
    from detect.conditions.fields import fields
    from whowas.schema import CONFIDENCES, KINDS

    if word == "where":
        return tuple(f"{one}=" for one in fields())
    lists = {"confidence": CONFIDENCES, "kind": KINDS, "direction": fields()["direction"].words}
    lists |= {"external": ("true", "false"), "protocol": ("tcp", "udp", "icmp", "sctp")}
    return lists.get(word, ())


__all__ = ["All", "FilterError", "Some", "Typed", "columns_of", "complete", "read", "written"]

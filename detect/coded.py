"""Values of a flow as a view writes them: JSON's own kinds, of bounded length, and nothing that is not known."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

# Kubernetes allows 63 characters for most names and 253 for the longest; a label's key has 317. What is longer comes
# from a record or a history that somebody forged.
LONGEST = 512
MOST_LABELS = 100
LABELS_LENGTH = 16_384
MOST_IMAGES = 20
MOST_CANDIDATES = 20

<<<<<<<< HEAD:detect/values.py
_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
========
from detect.fields import TEXTS, Field

Codes = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]
Masks = npt.NDArray[np.uint64]

MOST_VALUES = 200_000
"""So many values of a field are remembered; then all are forgotten and met anew."""

_SELDOM_TWICE = ("flow_id", "community_id")
>>>>>>>> sigma:detect/coded.py


def text(value: Any) -> str | None:
    """Return a value as text, cut where nobody would read on; None stays None."""
    if value is None:
        return None
    told = str(value)
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"


def filled(**fields: Any) -> dict[str, Any]:
    """Return the fields that are known: neither None nor empty."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def filled_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As `filled`, for names that are no Python words."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def labels(given: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return labels in the order of their keys: at most MOST_LABELS of them, and about LABELS_LENGTH characters."""
    found: dict[str, str] = {}
    length = 0
    for key, value in islice(sorted(dict(given).items()), MOST_LABELS):
        name, word = str(text(key)), text(value) or ""
        length += len(name) + len(word)
        if length > LABELS_LENGTH:
            break
        found[name] = word
    return found


<<<<<<<< HEAD:detect/values.py
def images(given: Iterable[Any]) -> list[str]:
    """Return the images of a pod, each once."""
    return list(islice(dict.fromkeys(str(text(one)) for one in given), MOST_IMAGES))


def candidates(given: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return who may have held an address, best first, at most so many."""
    return [{name: str(text(value)) for name, value in one.items() if value is not None}
            for one in islice(given, MOST_CANDIDATES)]  # fmt: skip


def stamp(value: Any) -> str | None:
    """Return a moment as RFC 3339 in UTC."""
    if not isinstance(value, datetime):
        return text(value)
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """Return any value of a row as JSON has it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in islice(value, MOST_LABELS)]
    if isinstance(value, Mapping):
        return {str(text(key)): plain(one) for key, one in islice(value.items(), MOST_LABELS)}
    return stamp(value)


def address(value: Any) -> str | None:
    """Return an IP address, None for anything else; one with a zone (fe80::1%x) is none: a zone may be any text."""
    try:
        return value if isinstance(value, str) and "%" not in value and ipaddress.ip_address(value) else None
    except ValueError:
        return None


def ethernet(value: Any) -> str | None:
    """Return an Ethernet address, None for anything else."""
    return value if isinstance(value, str) and _MAC.fullmatch(value) else None


def is_label(key: Any) -> bool:
    """Say whether Kubernetes takes it for a label's key."""
    return isinstance(key, str) and _LABEL.fullmatch(key) is not None
========
class Known:
    """What rules say of the values of one field.

    Args: field: which. tests: SQL over the field's column. rules: (rule, place of its test): what a value must pass for
    the rule, if the rule has such a test at all. words: how many 64 rules there are.
    """

    def __init__(self, database: Any, field: Field, tests: Sequence[str], rules: dict[int, int], words: int) -> None:
        self._database, self._field = database, field
        names = ", ".join(f"({test}) AS t{place}" for place, test in enumerate(tests))
        self._sql = f"SELECT {names} FROM flows"  # noqa: S608 - the rules' own SQL
        self._tests = len(tests)
        self._rules, self._places = np.array(list(rules), int), np.array(list(rules.values()), int)
        self._words = words
        self.words = np.unique(self._rules // 64)  # those that have any rule which asks for this field
        self._forget(0)

    def _forget(self, room: int) -> None:
        self._all = np.zeros(0, np.int64)
        self._numbers: dict[Hashable, int] = {}
        self._facts = np.zeros((self._tests, room), bool)
        self._masks = np.zeros((self._words, room), np.uint64)

    def numbers(self, values: Sequence[Hashable]) -> Codes:
        """Return the number of each value, new ones met and tested."""
        if any(values is one for one in SMALL.values()):
            if not len(self._all) or len(self._numbers) != len(values):
                self._forget(0)
                self._meet(values)
                self._all = np.arange(len(values))
            return self._all
        if len(self._numbers) > MOST_VALUES:
            self._forget(0)
        found = list(map(self._numbers.get, values))
        if None in found:
            self._meet([one for one in dict.fromkeys(values) if one not in self._numbers])
            found = list(map(self._numbers.get, values))
        return np.array(found, np.int64)

    def masks(self, word: int, numbers: Codes) -> Masks:
        """Return, by value, a bit for each of 64 rules: whether the value is one the rule can match."""
        found: Masks = self._masks[word] if numbers is self._all else self._masks[word][numbers]
        return found

    def fact(self, test: int, numbers: Codes) -> Bits:
        """Return whether each value passes a test."""
        found: Bits = self._facts[test][numbers]
        return found

    def _meet(self, fresh: Sequence[Hashable]) -> None:
        first = len(self._numbers)
        if first + len(fresh) > self._facts.shape[1]:
            self._grow(max(2 * first, first + len(fresh), 64))
        told = self._told(fresh)
        self._facts[:, first : first + len(fresh)] = told
        bits = np.ones((len(fresh), self._words * 64), bool)
        bits[:, self._rules] = told[self._places].T
        self._masks[:, first : first + len(fresh)] = np.packbits(bits, axis=1, bitorder="little").view("<u8").T
        self._numbers |= {one: first + place for place, one in enumerate(fresh)}

    def _grow(self, room: int) -> None:
        more = room - self._facts.shape[1]
        self._facts = np.pad(self._facts, ((0, 0), (0, more)))
        self._masks = np.pad(self._masks, ((0, 0), (0, more)))

    def _told(self, fresh: Sequence[Hashable]) -> Bits:
        self._database.register("flows", pa.table({self._field.column: _column(self._field, fresh)}))
        told = self._database.execute(self._sql).fetchnumpy()
        return np.array([told[f"t{place}"] for place in range(self._tests)], bool).reshape(self._tests, len(fresh))


def _column(field: Field, values: Sequence[Hashable]) -> Any:
    """Return values as the column that SQL looks for them in."""
    if field.key is not None:
        pairs = [[] if one is None else [(field.key, one)] for one in values]
        return pa.array(pairs, pa.map_(pa.string(), pa.string()))
    listed: list[Any] = [list(one) if isinstance(one, tuple) else one for one in values]
    return pa.array(listed, pa.list_(pa.string()) if field.kind == TEXTS else None)
>>>>>>>> sigma:detect/coded.py

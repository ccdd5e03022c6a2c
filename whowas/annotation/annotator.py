"""Names the addresses of a batch of records, and counts what could not be named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from enrich.naming.name_columns import Answer
from whowas.annotation.addresses import ABSENT, LIST_MOST, UNREADABLE, Addresses, listed
from whowas.annotation.known_logs import Span
from whowas.annotation.namer import Answers, BatchNamer
from whowas.annotation.times import OK, REASONS, Clock, Codes, Moments
from whowas.annotation.when import Column, Get, When, when
from whowas.errors import ConfigError
from whowas.schema import CONFIDENCES

Indices = npt.NDArray[np.int64]
T = TypeVar("T")
# Answers whose texts are kept.
TEXTS_KEPT = 1 << 17

# What can stand beside an address: names of whowas.schema without src_ and dst_, in the order in which they are shown.
COLUMNS = (
    "confidence", "reason", "kind", "namespace", "pod", "pod_uid", "workload", "workload_kind", "service", "node",
    "zone", "labels", "service_account", "images", "candidates", "cluster",
)  # fmt: skip
USUAL = (
    "confidence", "reason", "kind", "namespace", "pod", "workload", "workload_kind", "service", "node", "labels",
    "candidates",
)  # fmt: skip
SUFFIX = "_whowas"


@dataclass(frozen=True)
class Choice:
    """What a user said. addresses, time: names of fields; empty = known ones are looked for. at_us: a time for all."""

    addresses: tuple[str, ...] = ()
    time: str = ""
    at_us: int | None = None
    columns: tuple[str, ...] = USUAL
    suffix: str = SUFFIX

    def __post_init__(self) -> None:
        # Told twice is told once.
        object.__setattr__(self, "addresses", tuple(dict.fromkeys(self.addresses)))
        object.__setattr__(self, "columns", tuple(dict.fromkeys(self.columns)))
        for name in self.columns:
            if name not in COLUMNS:
                raise ConfigError(f"cannot add column '{name}': there is none; say some of {','.join(COLUMNS)}")
        if self.time and self.at_us is not None:
            raise ConfigError("cannot use a field's time and one time for all: they exclude each other; say one")
        if not self.suffix or not self.columns:
            raise ConfigError("cannot add names: no suffix or no column is left to tell them by; name one")


@dataclass
class Tally:
    """What was done. lines = named + without + unread lines; addresses by confidence."""

    lines: int = 0
    named: int = 0
    without: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    unread_addresses: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count lines that came out as they were because they could not be read."""
        if count:
            self.unread[reason] += count


@dataclass
class Named:
    """Answers of a batch. own: for each field the place in `answers.keys` of each row's answer, -1 = none.

    answers: None where nothing was asked. several: for each field, rows that hold a list: a place for each member.
    """

    answers: Answers | None
    own: list[Indices]
    several: list[dict[int, list[int]]]


class Texts(Generic[T]):
    """Answers as a format writes them, each made once. write: makes the text of one answer."""

    def __init__(self, write: Callable[[Answer], T]) -> None:
        self._write = write
        self._known: dict[Any, T] = {}
        self._age = 0

    def of(self, answers: Answers) -> list[T]:
        """Return the text of each of the keys."""
        if answers.age != self._age or len(self._known) > TEXTS_KEPT:
            self._known, self._age = {}, answers.age
        fresh = [key for key in answers.keys if key not in self._known]
        for key, answer in zip(fresh, answers.words(fresh), strict=True):
            self._known[key] = self._write(answer)
        return [self._known[key] for key in answers.keys]


class Annotator:
    """Names the addresses of a batch of records and counts what could not be.

    texts: whether one text may be a list of addresses.
    """

    def __init__(self, asker: BatchNamer, clock: Clock, tally: Tally, *, texts: bool = True) -> None:
        self.clock, self.tally, self._split = clock, tally, texts
        self._asker = asker
        self._addresses = Addresses()

    def when(self, spans: Sequence[Span], get: Get, size: int) -> When:
        """Return when each record was: of the first span that it has and that can be read."""
        return when(self.clock, spans, get, size)

    def name(self, values: Sequence[Column], moments: When) -> Named:
        """Name every address of records whose time is known. values: for each field, one value a record."""
        codes = moments.codes
        self._addresses.new_batch()
        own, several = [], []
        for column in values:
            rows, lists = self._rows(column)
            own.append(rows)
            several.append(lists)
        self._count(own, several, codes)
        queries, times = self._queries(own, several, codes)
        if not len(queries):
            return Named(None, [np.full(len(codes), -1, dtype=np.int64) for _ in own], [{} for _ in own])
        table = self._addresses.table()
        answers = self._asker.ask(np.ascontiguousarray(table[queries]), moments.windows(times))
        self.tally.answers.update(dict(zip(CONFIDENCES, answers.counts, strict=True)))
        asked = np.zeros(len(codes), dtype=bool)
        asked[times] = True
        self.tally.named += int(asked.sum())
        return Named(answers, *_handed_out(own, several, codes, answers.own))

    def name_each(self, addresses: Sequence[str], records: Indices, moments: When) -> tuple[Answers | None, Indices]:
        """Name addresses that were found in text. records: (n,) which of `moments` each belongs to, ascending.

        Returns: the answers, None where nothing was asked; (n,) the place in their keys, -1 = none.
        """
        self._addresses.new_batch()
        rows = self._addresses.rows(addresses)
        there = np.zeros(len(moments.codes), dtype=bool)
        there[records] = True
        self.tally.without += int((~there).sum())
        for code, reason in REASONS.items():
            self.tally.refuse(reason, int((there & (moments.codes == code)).sum()))
        self.tally.named += int((there & (moments.codes == OK)).sum())
        asked = np.flatnonzero(moments.codes[records] == OK)
        own = np.full(len(records), -1, dtype=np.int64)
        if not len(asked):
            return None, own
        answers = self._asker.ask(self._addresses.table()[rows[asked]], moments.windows(records[asked]))
        self.tally.answers.update(dict(zip(CONFIDENCES, answers.counts, strict=True)))
        own[asked] = answers.own
        return answers, own

    def _rows(self, column: Column) -> tuple[Indices, dict[int, list[int]]]:
        """Rows in the table of addresses; a record with a list has them apart."""
        if isinstance(column, Moments):
            return np.where(column.there, UNREADABLE, ABSENT), {}
        try:
            rows = self._addresses.rows(column)
            return rows, self._in_texts(column, rows)
        except TypeError:
            pass
        odd = {row: value for row, value in enumerate(column) if isinstance(value, (list, dict))}
        texts = [None if row in odd else value for row, value in enumerate(column)]
        rows = self._addresses.rows(texts)
        lists = self._in_texts(texts, rows)
        for row, value in odd.items():
            if isinstance(value, list) and len(value) <= LIST_MOST:
                lists[row] = self._addresses.rows([one if isinstance(one, str) else 0 for one in value]).tolist()
            elif isinstance(value, list):
                rows[row] = UNREADABLE
        return rows, lists

    def _in_texts(self, column: Sequence[Any], rows: Indices) -> dict[int, list[int]]:
        """Lists of addresses in one text; their rows become ABSENT."""
        lists: dict[int, list[int]] = {}
        for row in np.flatnonzero(rows == UNREADABLE).tolist() if self._split else ():
            members = listed(column[row])
            if members:
                lists[row] = self._addresses.rows(members).tolist()
                rows[row] = ABSENT
        return lists

    def _count(self, own: list[Indices], several: list[dict[int, list[int]]], codes: Codes) -> None:
        there = np.zeros(len(codes), dtype=bool)
        bad = np.zeros(len(codes), dtype=bool)
        for rows, lists in zip(own, several, strict=True):
            there |= rows >= 0
            bad |= rows == UNREADABLE
            self.tally.unread_addresses += int((rows == UNREADABLE).sum())
            for row, members in lists.items():
                there[row] |= any(one >= 0 for one in members)
                wrong = sum(one == UNREADABLE for one in members)
                bad[row] |= bool(wrong)
                self.tally.unread_addresses += wrong
        self.tally.refuse("address not readable", int((bad & ~there).sum()))
        self.tally.without += int((~bad & ~there).sum())
        for code, reason in REASONS.items():
            self.tally.refuse(reason, int((there & (codes == code)).sum()))

    def _queries(
        self, own: list[Indices], several: list[dict[int, list[int]]], codes: Codes
    ) -> tuple[Indices, Indices]:
        """Addresses to be asked for, field by field, lists behind; and the record of each."""
        queries, records = [], []
        for rows, lists in zip(own, several, strict=True):
            asked = np.flatnonzero((rows >= 0) & (codes == OK))
            queries.append(rows[asked])
            records.append(asked)
            for row, members in lists.items():
                known = [one for one in members if one >= 0 and codes[row] == OK]
                queries.append(np.array(known, dtype=np.int64))
                records.append(np.full(len(known), row, dtype=np.int64))
        return np.concatenate(queries or [np.empty(0, np.int64)]), np.concatenate(records or [np.empty(0, np.int64)])


def _handed_out(
    own: list[Indices], several: list[dict[int, list[int]]], codes: Codes, answers: npt.NDArray[np.int32]
) -> tuple[list[Indices], list[dict[int, list[int]]]]:
    """Give each field its answers back, in the order in which they were asked."""
    at = 0
    found, found_lists = [], []
    for rows, lists in zip(own, several, strict=True):
        told = np.full(len(rows), -1, dtype=np.int64)
        asked = np.flatnonzero((rows >= 0) & (codes == OK))
        told[asked] = answers[at : at + len(asked)]
        at += len(asked)
        found.append(told)
        mine: dict[int, list[int]] = {}
        for row, members in lists.items():
            if codes[row] != OK:
                continue
            mine[row] = []
            for one in members:
                mine[row].append(int(answers[at]) if one >= 0 else -1)
                at += one >= 0
        found_lists.append(mine)
    return found, found_lists


__all__ = ["ABSENT", "COLUMNS", "CONFIDENCES", "SUFFIX", "USUAL", "Annotator", "Choice", "Named", "Tally"]

"""Correlates flows of one group within a timespan.

Exact, whatever way flows are cut into batches and in whatever order they come, as long as they come within the
lateness: a window is looked at again whenever an event comes to lie in it. Conditions that more events cannot make
untrue are found at once, the others (lt, lte, eq, neq) when no event can come any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from detect.judge import event_columns
from detect.judge.evidence import EvidenceRows
from detect.judge.flow_batch import FlowBatch
from detect.judge.limits import Limits
from detect.judge.open_finding import Texts
from detect.judge.timeline import LEAST, Timeline
from detect.model import Correlation
from whowas.arrays import Words
from whowas.errors import ConfigError

MOST_RULES = 62
NONE = np.zeros((0, event_columns.WIDTH), np.int64)


@dataclass(frozen=True)
class Part:
    """A rule that a correlation looks at. place: its number in the rule set. columns: what makes its group."""

    place: int
    columns: tuple[str, ...]


class Correlator:
    """One correlation over all batches.

    Args: places: the number of each flow rule by its name. Raises: ConfigError for what it cannot do.
    """

    def __init__(self, rule: Correlation, places: Mapping[str, int], limits: Limits, rows: EvidenceRows) -> None:
        self.rule = rule
        self._parts = [Part(_place(rule, one, places), _columns(rule, one)) for one in rule.rules]
        if len(self._parts) > MOST_RULES:
            raise ConfigError(f"cannot use rule '{rule.info.name}': it has over {MOST_RULES} rules; divide it")
        self._rows = rows
        self._timeline = Timeline(rule, limits.groups_correlated, limits.events)
        self._new: list[Words] = []

    def __len__(self) -> int:
        return len(self._timeline)

    def judge(
        self, look: FlowBatch, matched: Mapping[int, Words], first: int, horizon_us: int, counts: Counter[str]
    ) -> Words:
        """Take the matches of a batch. first: reference of its first row. Returns: events that count from now on."""
        rows, keys, bits = self._matches(look, matched)
        late = look.starts[rows] < horizon_us
        if late.any():
            counts["late_for_correlation"] += int(late.sum())
            rows, keys, bits = rows[~late], keys[~late], bits[~late]
        if not len(rows):
            return NONE
        order, groups, begins = self._timeline.place(keys)
        self._count_refused(counts)
        if not len(order):
            return NONE
        new = self._events(look, rows[order], keys[order], bits[order], first)
        self._timeline.add(new, groups, begins)
        self._new.append(new)
        times, timespan = new[:, event_columns.TIME], self.rule.timespan_us
        self._rows.want(first, rows[order], int(times.max()) + timespan)
        if self._timeline.final:
            return NONE
        return self._timeline.look(groups, times[begins[:-1]] - timespan, times[begins[1:] - 1])

    def _matches(self, look: FlowBatch, matched: Mapping[int, Words]) -> tuple[Words, Words, Words]:
        """Rows by (time, id), keys of their groups, bits: one entry a flow and group, however many rules it matches."""
        parts = [self._of_part(look, number, part, matched) for number, part in enumerate(self._parts)]
        rows, keys, bits = (np.concatenate([one[column] for one in parts]) for column in range(3))
        if len(parts) > 1 and len(rows):
            rows, keys, bits = _united(rows, keys, bits)
            order = np.argsort(look.ranks[rows], kind="stable")
            return rows[order], keys[order], bits[order]
        return rows, keys, bits

    def _events(self, look: FlowBatch, rows: Words, keys: Words, bits: Words, first: int) -> Words:
        """(n, 8) events."""
        made = np.zeros((len(rows), event_columns.WIDTH), np.int64)
        made[:, event_columns.TIME], made[:, event_columns.BITS], made[:, event_columns.KEY] = (
            look.starts[rows],
            bits,
            keys,
        )
        made[:, event_columns.HIGH], made[:, event_columns.LOW] = look.ids_of(rows)
        made[:, event_columns.REF] = first + rows
        if self.rule.type == "value_count":
            made[:, event_columns.VALUE] = look.keys(self.rule.fields, rows).view(np.int64)
        return made

    def _of_part(
        self, look: FlowBatch, number: int, part: Part, matched: Mapping[int, Words]
    ) -> tuple[Words, Words, Words]:
        rows = matched.get(part.place)
        if rows is None or not len(rows):
            return NONE[:, 0], NONE[:, 0], NONE[:, 0]
        rows = look.in_order(np.asarray(rows, np.int64))
        if self.rule.type == "value_count":
            for one in self.rule.fields:
                rows = rows[~look.missing(one, rows)]
        return rows, look.keys(part.columns, rows).view(np.int64), np.full(len(rows), 1 << number, np.int64)

    def _count_refused(self, counts: Counter[str]) -> None:
        counts["correlated_groups_full"] += self._timeline.groups_refused
        counts["events_full"] += self._timeline.events_refused
        self._timeline.groups_refused = self._timeline.events_refused = 0

    def advance(self, before_us: int, horizon_us: int) -> Words:
        """No flow that starts before `horizon_us` comes any more. Returns: events that count from now on."""
        found = self._final(before_us, horizon_us) if self._timeline.final else NONE
        self._timeline.cut(horizon_us - self.rule.timespan_us)
        return found

    def _final(self, before_us: int, horizon_us: int) -> Words:
        groups = self._timeline.all_groups()
        froms = np.full(len(groups), before_us - self.rule.timespan_us)
        return self._timeline.look(groups, froms, np.full(len(groups), horizon_us - self.rule.timespan_us - 1))

    def texts(self, event: Words) -> Texts:
        """Return the group of an event, as people read it."""
        lowest = int(event[event_columns.BITS]) & -int(event[event_columns.BITS])
        columns = self._parts[lowest.bit_length() - 1].columns
        texts = self._rows.texts(int(event[event_columns.REF]), columns)
        return tuple(zip(self.rule.group_by, texts, strict=True))

    # Remembering.

    def unwritten(self) -> Words | None:
        """Return the events that are not durable."""
        return np.concatenate(self._new) if self._new else None

    def written(self) -> None:
        """They are durable now."""
        self._new.clear()

    def restore(self, parts: Iterable[Words], horizon_us: int) -> None:
        """Take the events that were kept, and mark again what was counted before."""
        for events in parts:
            # A commit kept several batches together, each in an order of its own.
            events = events[
                np.lexsort((events[:, event_columns.LOW], events[:, event_columns.HIGH], events[:, event_columns.TIME]))
            ]
            order, groups, begins = self._timeline.place(events[:, event_columns.KEY])
            self._timeline.add(events[order], groups, begins)
        groups = self._timeline.all_groups()
        if self._timeline.final:
            self._final(LEAST, horizon_us)
        else:
            self._timeline.look(groups, np.full(len(groups), LEAST), np.full(len(groups), 2**61))


def _united(rows: Words, keys: Words, bits: Words) -> tuple[Words, Words, Words]:
    """One entry for each (row, key), with all its bits."""
    order = np.lexsort((keys, rows))
    rows, keys, bits = rows[order], keys[order], bits[order]
    begins = np.flatnonzero(np.concatenate(([True], (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1]))))
    return rows[begins], keys[begins], np.bitwise_or.reduceat(bits, begins)


def _place(rule: Correlation, name: str, places: Mapping[str, int]) -> int:
    if name not in places:
        raise ConfigError(
            f"cannot use rule '{rule.info.name}': the rule '{name}' that it looks at is not there; load that one too"
        )
    return places[name]


def _columns(rule: Correlation, name: str) -> tuple[str, ...]:
    return tuple(rule.aliases[one][name] if one in rule.aliases else one for one in rule.group_by)

"""Groups a rule's matches, with the earliest flows of each part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detect.judge import event_columns
from detect.judge.open_finding import Entry
from detect.model import EVIDENCE_FLOWS
from whowas.arrays import Hashed, Words


class Matches(NamedTuple):
    """What counts to findings of one rule, so ordered that each finding's part lies together, by (time, id).

    groups: hash of the group. values: hash of what is counted distinct, or None.
    """

    groups: Hashed
    times: Words
    high: Words
    low: Words
    references: Words
    values: Words | None = None


def earliest_flows(found: Matches, begins: Words, ends: Words) -> list[list[Entry]]:
    """The earliest flows of each part, as many as a finding shows."""
    lengths = np.minimum(ends - begins, EVIDENCE_FLOWS)
    before = np.cumsum(lengths) - lengths
    picks = np.arange(int(lengths.sum())) + np.repeat(begins - before, lengths)
    columns = (found.times, found.high, found.low, found.references)
    entries: list[Entry] = list(zip(*(one[picks].tolist() for one in columns), strict=True))
    return [entries[at : at + length] for at, length in zip(before.tolist(), lengths.tolist(), strict=True)]


def judged(events: Words) -> Matches:
    """Return events as findings take them."""
    return Matches(
        events[:, event_columns.KEY].astype(np.uint64),
        events[:, event_columns.TIME],
        events[:, event_columns.HIGH],
        events[:, event_columns.LOW],
        events[:, event_columns.REF],
        events[:, event_columns.VALUE],
    )

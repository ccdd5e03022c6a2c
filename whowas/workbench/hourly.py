"""Roll-ups of whole hours as arrays: what most questions add up."""

from __future__ import annotations

from typing import Any

import numpy as np

from whowas.arrays import Indices, Words
from whowas.workbench.numbering import NONE
from whowas.workbench.rollup_sql import MEASURES


class Numbers:
    """What links and pairs belong to. now: the pair of each link, the key of each pair; replaced as they grow."""

    def __init__(self) -> None:
        self.now: tuple[Indices, Indices] = (np.zeros(0, np.int32), np.zeros(0, np.int32))

    def learn(self, links: Any, pairs: Any, keys: Any) -> None:
        """Know new links, and what they belong to."""
        told = []
        for known, at, values in zip(self.now, (links, pairs), (pairs, keys), strict=True):
            more = np.zeros(max(len(known), int(at.max()) + 1), np.int32)
            more[: len(known)] = known
            more[at] = values
            told.append(more)
        self.now = (told[0], told[1])


class Hourly:
    """Links of one hour and their MEASURES, as arrays: to add them up so takes a tenth of what a statement takes.

    first: numbering.NONE where nothing tells a start.
    """

    def __init__(self, numbers: Numbers, link: Indices, counted: list[Words]) -> None:
        self.numbers, self.link, self.counted = numbers, link, counted


def arrays(link: Any, numbers: Numbers, of: str) -> Hourly:
    """Rows of link and MEASURES as arrays. of: what stands in FROM."""
    told = link.execute(
        f"SELECT link, flows, bytes, packets, coalesce(first, {NONE}) AS first, coalesce(last, -{NONE}) AS last "
        f"FROM {of}"
    ).fetchnumpy()
    return Hourly(numbers, told["link"].astype(np.int32), [told[one].astype(np.int64) for one in MEASURES])

"""Indexes holds by time in five bytes a hold.

A search reads this most: a million holds then lie in the processor's own memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from enrich.history.lookup import LASTS, OTHER
from enrich.holds.pod_tables import POD
from whowas.arrays import Indices, Words
from whowas.timestamps import BEFORE_ALL

BITS = 31


class Index(NamedTuple):
    """coarse: (holds,) start_min in steps of 2**shift us. scale: (3,) least, most, shift. marks: OTHER and LASTS.

    A hold that begins earlier than another never has the larger step; of the same step nothing can be said.
    """

    coarse: Indices
    scale: Words
    marks: npt.NDArray[np.uint8]


def index_of(starts: Words, reach: Words, kinds: Indices, first: Words) -> Index:
    """Return the index of holds that lie address by address, oldest first. first: where each address begins."""
    known = starts[starts > BEFORE_ALL]
    least, most = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    shift = max(0, (most - least).bit_length() - BITS)
    coarse = ((np.clip(starts, least, most) - least) >> shift).astype(np.int32)
    marks = np.where(kinds == POD, 0, OTHER).astype(np.uint8)
    lasting = np.zeros(len(starts), dtype=bool)
    lasting[1:] = reach[:-1] > starts[1:]
    lasting[first[:-1]] = False
    marks[lasting] |= LASTS
    return Index(coarse, np.array([least, most, shift], dtype=np.int64), marks)

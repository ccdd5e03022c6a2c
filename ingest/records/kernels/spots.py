"""A spot: where a value lies in a block of records, and of what kind it is."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes
from ingest.records.kernels.json import ABSENT, KIND_BITS, LENGTH_BITS
from whowas.kernels import lean_kernel

GOOD, NOTHING, BAD, LOCAL = 0, 1, 2, 3


LENGTH = (1 << LENGTH_BITS) - 1


KIND = (1 << KIND_BITS) - 1


@lean_kernel
def spot_start(spot: int) -> int:
    return spot >> (LENGTH_BITS + KIND_BITS)


@lean_kernel
def spot_size(spot: int) -> int:
    return (spot >> KIND_BITS) & LENGTH


@lean_kernel
def is_unset(data: Bytes, spot: int) -> bool:
    """Empty, or a hyphen: how texts say that there is nothing."""
    size = spot_size(spot)
    return spot & KIND == ABSENT or size == 0 or (size == 1 and data[spot_start(spot)] == 45)

"""Numbers out of bytes. All give int64, so that no small numpy type overflows when run uncompiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whowas.kernels import lean_kernel

Bytes = npt.NDArray[np.uint8]


@lean_kernel
def u8(data: Bytes, at: int) -> int:
    return np.int64(data[at])  # type: ignore[return-value]


@lean_kernel
def u16(data: Bytes, at: int) -> int:
    return (np.int64(data[at]) << 8) | np.int64(data[at + 1])  # type: ignore[return-value]


@lean_kernel
def u24(data: Bytes, at: int) -> int:
    return (np.int64(data[at]) << 16) | (np.int64(data[at + 1]) << 8) | np.int64(data[at + 2])  # type: ignore[return-value]


@lean_kernel
def u32(data: Bytes, at: int) -> int:
    return (u16(data, at) << 16) | u16(data, at + 2)


@lean_kernel
def u48(data: Bytes, at: int) -> int:
    return (u24(data, at) << 24) | u24(data, at + 3)


@lean_kernel
def bits64(data: Bytes, at: int) -> int:
    """Eight bytes as the int64 of the same bits: the top bit makes it negative."""
    return (u32(data, at) << 32) | u32(data, at + 4)


@lean_kernel
def word(data: Bytes, at: int, big: int) -> int:
    """32 bits in the byte order of a capture file."""
    if big:
        return u32(data, at)
    low = np.int64(data[at]) | (np.int64(data[at + 1]) << 8)
    return low | (np.int64(data[at + 2]) << 16) | (np.int64(data[at + 3]) << 24)  # type: ignore[return-value]


@lean_kernel
def half(data: Bytes, at: int, big: int) -> int:
    """16 bits in the byte order of a capture file."""
    if big:
        return u16(data, at)
    return np.int64(data[at]) | (np.int64(data[at + 1]) << 8)  # type: ignore[return-value]

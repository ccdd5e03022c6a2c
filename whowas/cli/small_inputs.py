"""Says whether there is so little in some inputs that plain Python has read it before compiled code is loaded.

Loading the compiler's runtime and the kernels takes half a second; a first run compiles for many seconds more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

# About two thousand packets, or some hundred records of a log. Measured: half of what loading takes.
CAPTURE_BYTES, LOG_BYTES = 192 << 10, 32 << 10
# Who held what takes no kernel but for neighbours on an address. What is compressed may be twenty times as long.
HISTORY_BYTES, PACKED_BYTES = 1 << 20, 64 << 10
CAPTURES = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
TEXTS = (b"{", b"[", b"\n", b" ", b"#")


def are_small(inputs: Iterable[str], history: Iterable[str]) -> bool:
    """Say whether kernels are not worth loading. What is no plain file, or compressed, may be of any size."""
    try:
        return sum(map(_weight, inputs)) <= 1 and sum(map(_history_weight, history)) <= 1
    except OSError:
        return False


def _weight(path: str) -> float:
    """The part of what is still small that a file makes up."""
    size, head = _look(path)
    if head in CAPTURES:
        return size / CAPTURE_BYTES
    return size / LOG_BYTES if head[:1] in TEXTS else 2.0


def _history_weight(path: str) -> float:
    size, head = _look(path)
    return size / (HISTORY_BYTES if head[:1] in TEXTS or head == b"SQLi" else PACKED_BYTES)


def _look(path: str) -> tuple[int, bytes]:
    """Return a file's size and its first four bytes. Raises: OSError, also for what can be read once only."""
    if not os.path.isfile(path):
        raise FileNotFoundError(path)
    with open(path, "rb") as file:
        return os.fstat(file.fileno()).st_size, file.read(4)

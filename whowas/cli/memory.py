"""Memory that is ours stays ours, in commands that make one batch of flows after the other."""

from __future__ import annotations

import contextlib

# Names of glibc's mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def keep_memory() -> None:
    """Let freed memory be used again: to give pages back and fault them in again costs more than the work on them.

    Arrow's own allocator gives back what lay idle for a moment: a tenth of what it takes to sort and encode a row.
    """
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(OSError, AttributeError):  # glibc has it, others may not
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, 32 << 20)
        mallopt(TRIM_THRESHOLD, 512 << 20)

"""Units and limits of the times that bound a hold, in microseconds."""

from __future__ import annotations

SECOND = 1_000_000


# By so much any node's clock may be off unseen; a synchronised one is off by some hundredths of a second.
UNSEEN = SECOND // 2


# A node's stamp is cut to the second, so that what it dates came before this much later.
STAMPED = SECOND + UNSEEN

# A watch has a bookmark about every minute. After a longer silence nobody knows when what comes then was written.
SILENT_MOST = 75 * SECOND


def long_silence(before: int, received: int) -> tuple[int, int] | None:
    """Return the span between two receipts of a watch when it is too long to date what came last by it."""
    return (before, received) if received - before > SILENT_MOST else None

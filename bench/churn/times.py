"""Times of the simulated world: microseconds since 1970, UTC, and how Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
START = 1_767_261_600 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(us: int) -> str:
    """metav1.Time: whole seconds, the rest cut off."""
    return (EPOCH + timedelta(seconds=us // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(us: int) -> str:
    """A time with all its microseconds, as recorders and Leases write it."""
    return (EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read(text: str) -> int:
    """The reverse of both."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)

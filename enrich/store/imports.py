"""Kinds of rows that an import leaves in a store."""

from __future__ import annotations

# When an object left by its own events, NULL where the last of them shows it standing.
LAST = (
    "FROM event WHERE event.object = object.id AND verb < 5 "
    "ORDER BY coalesce(received_us, not_before_us) DESC, id DESC LIMIT 1"
)


LEFT = f"(SELECT CASE WHEN verb IN (2, 4) THEN coalesce(received_us, not_before_us) END {LAST})"

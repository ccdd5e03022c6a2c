"""The columns of an array of events."""

from __future__ import annotations

# Columns of an event: start time, hash of what is counted, one bit a rule that it matches, whether it was counted,
# the flow's id in two, where its row is, the key of its group.
TIME, VALUE, BITS, MARK, HIGH, LOW, REF, KEY = 0, 1, 2, 3, 4, 5, 6, 7


WIDTH = 8

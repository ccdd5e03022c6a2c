"""Computes when audit logs were complete.

Each apiserver logs its own writes only, and files are cut at different times.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

# Files that follow each other more closely than this are one log, rotated.
JOINED_US = 90_000_000
Span = tuple[int, int]


@dataclass
class LogCoverage:
    """First and last event of each file, of whatever kind. Files that share events are one log, copied."""

    files: dict[str, int] = field(default_factory=dict)
    spans: list[list[int]] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)

    def saw(self, path: str, at_us: int) -> int:
        """Note an event of a file, return the file's number."""
        number = self.files.get(path)
        if number is None:
            number = self.files[path] = len(self.spans)
            self.spans.append([at_us, at_us])
            self.owner.append(number)
        span = self.spans[number]
        span[0], span[1] = min(span[0], at_us), max(span[1], at_us)
        return number

    def same(self, one: int, other: int) -> None:
        """Note that two files hold the same event."""
        one, other = self._log(one), self._log(other)
        if one != other:
            self.owner[max(one, other)] = min(one, other)

    def _log(self, number: int) -> int:
        while self.owner[number] != number:
            number = self.owner[number]
        return number

    def watched(self) -> list[Span]:
        """Return when no write can be missing: while as many logs run beside each other as run at most.

        Three apiservers write three logs at a time: where only two are there, what the third did is not known. A log
        that is missing altogether nobody can see.
        """
        logs: dict[int, list[Span]] = {}
        for number, (first, last) in enumerate(self.spans):
            logs.setdefault(self._log(number), []).append((first, last))
        joined = [span for spans in logs.values() for span in _joined(spans, 0)]
        starts, ends = sorted(one for one, _ in joined), sorted(one for _, one in joined)
        edges = sorted({*starts, *ends})
        depths = [bisect_right(starts, left) - bisect_right(ends, left) for left in edges[:-1]]
        most = max(depths, default=0)
        found = [(left, right) for left, right, depth in zip(edges, edges[1:], depths, strict=False) if depth == most]
        return _joined(found or joined, JOINED_US)


def _joined(spans: list[Span], slack: int) -> list[Span]:
    found: list[Span] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1] + slack:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found

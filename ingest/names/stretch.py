"""The first bytes of one direction, put together from segments in whatever order they come."""

from __future__ import annotations

MOST = 1 << 14
SEGMENTS_MOST = 32
SPAN = 1 << 32


class Stretch:
    """Bytes from the first one on. `begins`: whether the SYN told which is the first; else it is the lowest seen."""

    __slots__ = ("base", "begins", "joined", "waiting")

    def __init__(self, start: int) -> None:
        """Args: start: sequence number of the first byte, -1 = not known."""
        self.base, self.begins = start, start >= 0
        self.joined = b""
        self.waiting: dict[int, bytes] = {}

    def held(self) -> int:
        """Bytes that are kept."""
        return len(self.joined) + sum(map(len, self.waiting.values()))

    def add(self, sequence: int, payload: bytes) -> None:
        """Take a segment. What is beyond MOST bytes is left away; of two for one place the first is believed."""
        if self.base < 0:
            self.base = sequence
        away = (sequence - self.base) % SPAN
        if away >= SPAN // 2:
            away -= SPAN
            if self.begins or away < -MOST:
                return
            # An earlier one: what was taken for the beginning waits behind it.
            self._move(-away, sequence)
            away = 0
        if away < MOST and len(self.waiting) < SEGMENTS_MOST:
            self.waiting.setdefault(away, payload[: MOST - away])
            self._join()

    def _move(self, by: int, base: int) -> None:
        moved = {at + by: part for at, part in self.waiting.items() if at + by < MOST}
        if self.joined:
            moved[by] = self.joined[: MOST - by]
        self.base, self.joined, self.waiting = base, b"", moved

    def _join(self) -> None:
        """Move what waited and now follows to what is whole."""
        while True:
            fits = [at for at in self.waiting if at <= len(self.joined)]
            if not fits:
                return
            for at in sorted(fits):
                part = self.waiting.pop(at)
                self.joined += part[len(self.joined) - at :] if len(self.joined) - at < len(part) else b""

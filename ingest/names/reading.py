"""A cursor over bytes of strangers: whatever is not there raises Short, and nothing else."""

from __future__ import annotations


class Short(Exception):
    """Bytes end before what they announce."""


class Refused(Exception):
    """Bytes are not what they were taken for."""


class Bytes:
    """Reads numbers and stretches of bytes, from the front."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def left(self) -> int:
        return self.end - self.at

    def number(self, size: int) -> int:
        """Big-endian number of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """The next bytes. Raises: Short."""
        at = self.at
        if size > self.end - at:
            raise Short
        self.at = at + size
        return self.data[at : self.at]

    def part(self, size: int) -> Bytes:
        """A cursor over as many bytes as the number of `size` bytes that comes next says. Raises: Short."""
        return Bytes(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(self.left())


def printable(octets: bytes, most: int = 255) -> str:
    """Text of bytes that should be ASCII: what is not printable is written as \\xNN, what is too long is cut."""
    return "".join(chr(one) if 0x21 <= one <= 0x7E and one != 0x5C else f"\\x{one:02x}" for one in octets[:most])

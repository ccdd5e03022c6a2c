"""The newer capture file: blocks in sections. Source: draft-ietf-opsawg-pcapng.

Packet blocks are listed by a kernel; section headers and interface descriptions, rare, by Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ingest.columns.byte_reads import Bytes, half, word
from ingest.packets.pcap import ABSURD, FULL, MORE, PACKET_MOST
from whowas.arrays import Words
from whowas.kernels import lean_kernel

MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION = 0x0A0D0D0A
INTERFACE = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6
INTERFACES_MOST = 1 << 16
NAME_MOST = 64

# Why the kernel stopped, beyond pcap's reasons.
OTHER = 3  # a block for Python: section header, interface description
SKIP = 4  # a large block that nobody here needs
BAD_LENGTH = 5
BAD_TRAILER = 6
BAD_INTERFACE = 7
FAULTS = {
    ABSURD: "a block claims {need} bytes",
    BAD_LENGTH: "a block's length of {need} is too small for it or no multiple of 4",
    BAD_TRAILER: "a block's second length differs from its first",
    BAD_INTERFACE: "a packet names interface {need}, which was not described",
}

# Columns of the interface table.
LINK, SNAP, PER_SECOND, SHIFT, OFFSET, OBSERVER = 0, 1, 2, 3, 4, 5
LAST_SECOND = 253402300799  # end of the year 9999
FRACTION_FITS = 10**12


@lean_kernel
def moment(high: int, low: int, interface: Words) -> int:
    """Turn a 64-bit time stamp into us since 1970 UTC, kept within 1970 .. 9999 whatever the file says."""
    if high >> 31:
        return LAST_SECOND * 1_000_000
    per_second = interface[PER_SECOND]
    seconds = interface[OFFSET]
    micros = np.int64(0)
    if per_second > 0:
        ticks = ((high << 32) | low) >> interface[SHIFT]
        seconds += min(ticks // per_second, 2 * LAST_SECOND)
        rest = ticks % per_second
        if per_second <= FRACTION_FITS:
            micros = rest * 1_000_000 // per_second
        else:
            micros = rest // (per_second // 1_000_000)
    time: int = min(max(seconds, 0), LAST_SECOND) * 1_000_000 + micros
    return time


@lean_kernel
def index_pcapng(
    data: Bytes, at: int, stop: int, big: int, interfaces: Words, known: int, packets: Words
) -> tuple[int, int, int, int]:
    """List the packets that lie whole in data[at:stop], up to a block that Python must read.

    Args: interfaces (m, 6): of the section, `known` rows valid.
    Fills: packets (n, 5): offset, captured, original, us since 1970 UTC (-1: has none), interface row.
    Returns: (number, where it stopped, why, bytes needed there or the offending value).
    """
    number = 0
    while number < len(packets):
        if at + 12 > stop:
            return number, at, MORE, 12
        kind = word(data, at, big)
        length = word(data, at + 4, big)
        if kind == SECTION:
            return number, at, OTHER, length
        if length < 12 or length & 3:
            return number, at, BAD_LENGTH, length
        packet = kind == ENHANCED_PACKET or kind == SIMPLE_PACKET or kind == OBSOLETE_PACKET
        if at + length > stop:
            if not packet and kind != INTERFACE:
                return number, at, SKIP, length
            if length > PACKET_MOST:
                return number, at, ABSURD, length
            return number, at, MORE, length
        if word(data, at + length - 4, big) != length:
            return number, at, BAD_TRAILER, length
        if kind == INTERFACE:
            return number, at, OTHER, length
        if packet:
            why, value = _packet(data, at, kind, length, big, interfaces, known, packets[number])
            if why:
                return number, at, why, value
            number += 1
        at += length
    return number, at, FULL, 0


@lean_kernel
def _packet(
    data: Bytes, at: int, kind: int, length: int, big: int, interfaces: Words, known: int, packet: Words
) -> tuple[int, int]:
    """Fill one row from a packet block that lies whole in the bytes; (0, 0), or why not."""
    if kind == SIMPLE_PACKET:
        if length < 16:
            return BAD_LENGTH, length
        if known == 0:
            return BAD_INTERFACE, 0
        original = word(data, at + 8, big)
        captured = min(original, length - 16)
        if interfaces[0, SNAP] > 0:
            captured = min(captured, interfaces[0, SNAP])
        packet[0] = at + 12
        packet[1] = captured
        packet[2] = original
        packet[3] = -1
        packet[4] = 0
        return 0, 0
    if length < 32:
        return BAD_LENGTH, length
    interface = word(data, at + 8, big) if kind == ENHANCED_PACKET else half(data, at + 8, big)
    if interface >= known:
        return BAD_INTERFACE, interface
    captured = word(data, at + 20, big)
    if captured > length - 32:
        return BAD_LENGTH, length
    packet[0] = at + 28
    packet[1] = captured
    packet[2] = word(data, at + 24, big)
    packet[3] = moment(word(data, at + 12, big), word(data, at + 16, big), interfaces[interface])
    packet[4] = interface
    return 0, 0


@dataclass
class Section:
    """A section of the file: its byte order and the interfaces described so far.

    A file may describe an interface before each packet: nothing here is copied for each of them.
    """

    big: bool = False
    known: int = 0
    interfaces: Words = field(default_factory=lambda: np.zeros((8, 6), dtype=np.int64))
    _places: Words = field(default_factory=lambda: np.zeros((8, 3), dtype=np.int64))

    @property
    def places(self) -> Words:
        """As capture.Block.interfaces (n, 3) of each interface, one row at least; good until the section ends."""
        return self._places[: max(self.known, 1)]

    def begin(self, big: bool) -> None:
        """Begin with another section. What was yielded of the last one keeps its places."""
        self.big, self.known = big, 0
        self._places = np.zeros((8, 3), dtype=np.int64)

    def add(self, block: bytes, observer: Callable[[str], tuple[int, int]]) -> None:
        """Add the interface that a block describes.

        Args: block: the body between the two lengths. observer: gives the numbers of a name, "" where there is none.
        Raises: ValueError when it cannot be read.
        """
        order = "big" if self.big else "little"
        if len(block) < 8:
            raise ValueError("an interface description is too short")
        if self.known == INTERFACES_MOST:
            raise ValueError(f"more than {INTERFACES_MOST} interfaces in a section")
        if self.known == len(self.interfaces):
            self.interfaces = _doubled(self.interfaces)
        if self.known == len(self._places):
            self._places = _doubled(self._places)
        row = self.interfaces[self.known]
        row[LINK] = int.from_bytes(block[:2], order)  # type: ignore[arg-type]
        row[SNAP] = int.from_bytes(block[4:8], order)  # type: ignore[arg-type]
        row[PER_SECOND], row[SHIFT], row[OFFSET] = 1_000_000, 0, 0
        numbers = observer(self._options(block, row))
        row[OBSERVER] = numbers[0]
        self._places[self.known] = row[LINK], *numbers
        self.known += 1

    def _options(self, block: bytes, row: Words) -> str:
        """Read if_name (2), if_tsresol (9), if_tsoffset (14); others are skipped."""
        order, at, name = "big" if self.big else "little", 8, ""
        while at + 4 <= len(block):
            code = int.from_bytes(block[at : at + 2], order)  # type: ignore[arg-type]
            size = int.from_bytes(block[at + 2 : at + 4], order)  # type: ignore[arg-type]
            value = block[at + 4 : at + 4 + size]
            at += 4 + size + (-size & 3)
            if code == 0 or len(value) < size:
                break
            if code == 2:
                name = value.rstrip(b"\0").decode("utf-8", "replace")[:NAME_MOST]
            elif code == 9 and size == 1:
                row[PER_SECOND], row[SHIFT] = resolution(value[0])
            elif code == 14 and size == 8:
                offset = int.from_bytes(value, order, signed=True)  # type: ignore[arg-type]
                row[OFFSET] = min(max(offset, -LAST_SECOND), LAST_SECOND)
        return name


def _doubled(rows: Words) -> Words:
    return np.concatenate([rows, np.zeros_like(rows)])


def resolution(value: int) -> tuple[int, int]:
    """Return (ticks a second after the shift, bits to shift off) of an if_tsresol; 0 ticks: finer than any time.

    A negative power of 10, or of 2 when the top bit is set.
    """
    power = value & 0x7F
    if not value & 0x80:
        return (10**power, 0) if power <= 18 else (0, 0)
    # Time stamps have 63 bits here: of finer clocks only what is finer than 2^-40 s is shifted off.
    shift = max(power - 40, 0)
    return (1 << min(power, 40), shift) if shift <= 62 else (0, 0)

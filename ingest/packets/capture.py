"""Captures as blocks of packets, read through one buffer that is used again: memory stays flat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ingest.columns.byte_reads import Bytes
from ingest.files import Input
from ingest.packets import pcap, pcapng, snoop
from ingest.packets.layout import BY_LINK
from ingest.packets.resync import DAMAGES_MOST, FOUND, LATER, Look, block_finder, may_be_whole, record_finder
from ingest.packets.window import Window
from whowas.arrays import Words
from whowas.errors import BrokenInput
from whowas.stages import Unreadable

BLOCK_PACKETS = 1 << 13
# Interface names come from the file: beyond this many the file's name must do.
OBSERVERS_MOST = 1 << 12
LOOKED_AT = 1 << 12
# What an object of Kubernetes, an event of a watch or an audit event has near its beginning.
EVIDENCE = re.compile(rb'"(apiVersion|resourceVersion|whowas)"\s*:|"type"\s*:\s*"(ADDED|MODIFIED|DELETED|GAP)"')

FOREIGN = (
    (b"snoop\x00", "a Solaris snoop capture of a variant that is not read; convert it with editcap"),
    (b"btsnoop\x00", "a Bluetooth btsnoop capture"),
    (b"XCP\x00", "a NetXRay capture; convert it with editcap"),
    (b"GMBU", "a Network Monitor capture; convert it with editcap"),
    (b"RTSS", "a Network Monitor capture; convert it with editcap"),
    (b"\xd4\xc3\xb2\xcd", "a Navtel pcap variant; convert it with editcap"),
    (b"\xcd\xb2\xc3\xd4", "a Navtel pcap variant; convert it with editcap"),
    (b"\xa1\xe2\xcb\x12", "a pcap variant that is not read; convert it with editcap"),
    (b"\xac\x01\x00\x1c", "an IXIA capture; convert it with editcap"),
    (b"\x1c\x00\x01\xac", "an IXIA capture; convert it with editcap"),
    (b"PAR1", "a Parquet file, not a capture"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"BZh", "compressed with bzip2, which is not read; unpack it"),
)


@dataclass
class Block:
    """Packets in a stretch of bytes. `packets` (n, 5) int64: offset in `data`, captured and original length,
    us since 1970 UTC (-1: the file tells none), row of `interfaces`; these (m, 3): link type, observer number,
    number of the interface's name (0: it has none).
    """

    data: Bytes
    packets: Words
    interfaces: Words


class Capture:
    """One capture file. `unreadable` is filled while `blocks` runs."""

    def __init__(
        self, source: Input, window: Window, observers: list[str], name: str, names: dict[str, int] | None = None
    ) -> None:
        """Args: observers: list of places of observation, appended to. name: the file's base name.
        names: numbers of interfaces by name, of the run, added to.
        """
        self.format = ""
        self.unreadable: list[Unreadable] = []
        self._window = window
        self._observers = observers
        self._numbers: dict[str, tuple[int, int]] = {}
        self._names = {} if names is None else names
        self._name = name
        self._packets: Words = np.zeros((BLOCK_PACKETS, 5), dtype=np.int64)
        window.read_from(source)

    def blocks(self) -> Iterator[Block]:
        """Yield what is readable, front to back. A block's arrays are used again for the next one."""
        try:
            yield from self._recognise()
        except BrokenInput as broken:
            self._stop(broken.reason, broken.offset)

    def _stop(self, reason: str, offset: int | None = None) -> None:
        self.unreadable.append(Unreadable(self._window.offset() if offset is None else offset, reason))

    def _recognise(self) -> Iterator[Block]:
        window = self._window
        window.more(pcap.HEADER)
        head = window.peek(pcap.HEADER)
        if head[:4] in pcap.MAGICS and len(head) == pcap.HEADER:
            return self._pcap(head)
        if head[:4] == pcapng.MAGIC:
            return self._pcapng()
        if head[:12] == snoop.MAGIC:
            return self._snoop(int.from_bytes(head[12:16], "big"))
        self._stop(_foreign(window.peek(LOOKED_AT)))
        return iter(())

    def _observer(self, interface: str = "") -> tuple[int, int]:
        """Number of a place of observation, and of its interface's name; the same text gets the same numbers."""
        text = f"{self._name}:{interface}" if interface else self._name
        if text not in self._numbers:
            if len(self._numbers) >= OBSERVERS_MOST:
                text, interface = self._name, ""
            self._numbers[text] = len(self._observers), self._named(interface)
            self._observers.append(text)
        return self._numbers[text]

    def _named(self, interface: str) -> int:
        """An interface has one number in all files of a run: a rotated capture goes on in the next."""
        return self._names.setdefault(interface, len(self._names) + 1) if interface else 0

    def _pcap(self, head: bytes) -> Iterator[Block]:
        self.format = "pcap"
        big, nanos, record, swapped, link = pcap.facts_of(head)
        interfaces = np.array([[link, *self._observer()]], dtype=np.int64)
        window, last = self._window, 0
        window.start += pcap.HEADER
        while True:
            number, window.start, why, need = pcap.index_pcap(
                window.data, window.start, window.stop, big, nanos, record, swapped, self._packets
            )
            if number:
                last = int(self._packets[number - 1, 3]) // 1_000_000
                yield Block(window.data, self._packets[:number], interfaces)
            fault = f"a packet claims {need} bytes" if why == pcap.ABSURD else ""
            if why == pcap.MORE and not window.more(need):
                if may_be_whole(window.peek(record), big):
                    return self._end("a packet")
                fault = "cut short in the middle of a packet"
            if fault and not self._read_on(fault, record_finder(big, nanos, record, last)):
                return None

    def _snoop(self, link: int) -> Iterator[Block]:
        self.format = "snoop"
        if link not in snoop.LINKS:
            return self._stop(f"a snoop capture of link type {link}, which is not read; convert it with editcap")
        interfaces = np.array([[snoop.LINKS[link], *self._observer()]], dtype=np.int64)
        window = self._window
        window.start += snoop.HEADER
        while True:
            number, window.start, why, need = snoop.index_snoop(window.data, window.start, window.stop, self._packets)
            if number:
                yield Block(window.data, self._packets[:number], interfaces)
            if why == pcap.ABSURD:
                return self._stop(f"a packet claims {need} bytes")
            if why == pcap.MORE and not window.more(need):
                return self._end("a packet")

    def _end(self, what: str) -> None:
        """The input has ended: well, when nothing is left over."""
        if len(self._window):
            self._stop(f"cut short in the middle of {what}")

    def _read_on(self, fault: str, look: Look) -> bool:
        """Go to the next plausible record behind damage, and tell what is lost; False when there is none."""
        window, ended = self._window, False
        began, found = window.offset(), False
        window.start += min(1, len(window))
        while len(self.unreadable) < DAMAGES_MOST:
            what, window.start, need = look(window.data, window.start, window.stop, ended)
            found = what == FOUND
            if found or ended:
                break
            ended = not window.more(need if what == LATER else len(window) + 1)
        lost = f"; {window.offset() - began:,} bytes are lost, read on behind them" if found else ""
        self._stop(fault + lost, began)
        return found

    def _pcapng(self) -> Iterator[Block]:
        self.format = "pcapng"
        section = pcapng.Section()
        window = self._window
        while True:
            number, window.start, why, need = pcapng.index_pcapng(
                window.data, window.start, window.stop, int(section.big), section.interfaces, section.known,
                self._packets,
            )  # fmt: skip
            if number:
                yield Block(window.data, self._packets[:number], section.places)
            fault = pcapng.FAULTS[why].format(need=need) if why in pcapng.FAULTS else ""
            if why == pcap.MORE and not window.more(need):
                return self._end("a block")
            if why == pcapng.SKIP and window.skip(need) < need:
                return self._stop("cut short in the middle of a block")
            if why == pcapng.OTHER:
                fault = self._described(section)
            if fault and not self._read_on(fault, block_finder(int(section.big), section.known)):
                return None

    def _described(self, section: pcapng.Section) -> str:
        """Read the section header or interface description at hand; return what is wrong with it, or ""."""
        window = self._window
        if window.peek(4) == pcapng.MAGIC:
            if len(window) < 28 and not window.more(28):
                return "cut short in the middle of a section header"
            order = window.peek(12)[8:]
            if order not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                return "a section's byte order cannot be told"
            section.begin(big=order == b"\x1a\x2b\x3c\x4d")
            length = self._length(section)
            if length < 28 or length & 3:
                return f"a section header of {length} bytes"
            return "" if window.skip(length) == length else "cut short in the middle of a section header"
        length = self._length(section)
        try:
            section.add(window.peek(length - 4)[8:], self._observer)
        except ValueError as error:
            return str(error)
        window.start += length
        return ""

    def _length(self, section: pcapng.Section) -> int:
        return int.from_bytes(self._window.peek(8)[4:], "big" if section.big else "little")


def is_capture(head: bytes) -> bool:
    """Say whether first bytes are those of a capture that is read here."""
    return head[:4] in pcap.MAGICS or head[:4] == pcapng.MAGIC or head[:12] == snoop.MAGIC


def _foreign(head: bytes) -> str:
    """Say what a file is that is no capture."""
    if not head:
        return "the file is empty"
    for magic, what in FOREIGN:
        if head.startswith(magic):
            return f"this is {what}" if what[0] != "c" else what
    if head.lstrip()[:1] in (b"{", b"["):
        if EVIDENCE.search(head):
            return "this is JSON that a cluster said, no traffic; cluster history goes to --history"
        return "this is JSON, and no flow log that is known; docs/formats.md tells which are"
    if head[:4] in pcap.MAGICS:
        return "cut short in the middle of the file's header"
    return f"this is no capture, and no flow log that is known: it begins with {head[:8].hex(' ')}"


def unsupported_links(block: Block, tables: Bytes) -> dict[int, int]:
    """Count a block's packets whose link type is not read, by type."""
    links = block.interfaces[block.packets[:, 4], 0]
    foreign = links[tables[BY_LINK + links] >= 128]
    return {int(link): int(count) for link, count in zip(*np.unique(foreign, return_counts=True), strict=True)}

"""One file of a folder as pieces: a log as it grows, a compressed log or a capture once it is whole."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.decompression import MAGICS
from ingest.files import open_input
from ingest.folder.ledger import FileEntry
from ingest.packets import CaptureSource, PacketOptions
from ingest.packets.pcap import MAGICS as PCAP
from ingest.packets.pcapng import MAGIC as PCAPNG
from whowas.errors import BrokenInput
from whowas.kafka import Partition, Piece

LOG, PACKED, CAPTURE = "log", "packed", "capture"
BLOCK = 1 << 20
# A line that is longer is no record: its beginning is handed on to be refused, the rest is passed over.
LINE_MOST = 16 << 20
SAMPLE = 1 << 16


@dataclass
class RotatedFile:
    """A file that is being read. key: device and inode. form: format of its lines. sent: offset of the last record
    that was handed on.

    An offset is the place of a line's first byte, decompressed; of a capture the number of a batch of conversations.
    """

    place: FileEntry
    partition: Partition
    path: str
    key: tuple[int, int]
    kind: str
    form: str | None
    size: int
    changed: float
    sent: int = -1
    at: int = 0
    finished: bool = False
    broken: str = ""
    _handle: Any = None
    _pieces: Iterator[Piece] | None = None
    _passing: bool = False
    _heading: bool = field(default=False)

    def open(self) -> bool:
        """Open a log and go to where it was left. Returns: whether there is more of it."""
        if self.kind != LOG:
            return True
        self._handle = open(self.path, "rb", buffering=0)  # noqa: SIM115 - close() does
        self.at = self._behind(self.place.next)
        self._heading = self.at > 0
        return self.at < self.size

    def close(self) -> None:
        """Give the file back."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    @property
    def begun(self) -> bool:
        """Whether a file that is read as a whole holds its decompressor and its open conversations."""
        return self._pieces is not None

    def gone(self) -> bool:
        """Say whether a log was removed, and read to what was written to it before."""
        if os.path.exists(self.path):
            return False
        self.size = os.fstat(self._handle.fileno()).st_size
        return self.at >= self.size

    def read(self, settled: bool) -> Piece | None:
        """Return what comes next; None where there is nothing (yet). settled: nobody writes to it any more."""
        if self.kind == LOG:
            piece = self._lines(settled)
        else:
            if self._pieces is None:
                self._pieces = self._batches() if self.kind == CAPTURE else self._unpacked()
            piece = next(self._pieces, None)
            self.finished = piece is None
        if piece is not None:
            self.sent = max(self.sent, piece.offsets[-1])
        return piece

    def _behind(self, following: int) -> int:
        """Where the line begins that comes after everything before `following`."""
        at = max(following - 1, 0)
        while following > 0 and (block := os.pread(self._handle.fileno(), BLOCK, at)):
            end = block.find(b"\n")
            if end >= 0:
                return at + end + 1
            at += len(block)
        return at

    def _lines(self, settled: bool) -> Piece | None:
        """The whole lines behind what was read; of a settled file also a last one without an end."""
        if self._heading:
            self._heading = False
            piece = self._piece(heading(os.pread(self._handle.fileno(), SAMPLE, 0)), 0)
            if piece is not None:
                return piece
        block = self._block()
        end = block.rfind(b"\n") + 1
        if not end and (len(block) >= LINE_MOST or settled):
            end = len(block)
        begin, self.at = self.at, self.at + end
        block = block[:end]
        if self._passing:
            cut = block.find(b"\n") + 1
            self._passing = not cut
            begin, block = begin + cut, block[cut:] if cut else b""
        self._passing |= len(block) >= LINE_MOST and not block.endswith(b"\n")
        return self._piece(block, begin)

    def _block(self) -> bytes:
        """Some bytes behind what was read, more where there is no line's end among them."""
        block = os.pread(self._handle.fileno(), BLOCK, self.at)
        while block and b"\n" not in block and len(block) < LINE_MOST:
            more = os.pread(self._handle.fileno(), BLOCK, self.at + len(block))
            if not more:
                break
            block += more
        return block

    def _unpacked(self) -> Iterator[Piece]:
        """A compressed log: how it begins, for its reader, and what is not delivered yet."""
        at, left, first = 0, b"", self.place.next
        with open_input(self.path) as source:
            while True:
                try:
                    block = source.read(BLOCK)
                except BrokenInput as error:
                    self.broken, block = str(error), b""
                last = not block
                if self._passing:
                    cut = block.find(b"\n") + 1
                    self._passing = not cut
                    at, block = at + (cut or len(block)), block[cut:] if cut else b""
                block = left + block
                end = len(block) if last else block.rfind(b"\n") + 1
                if not end and len(block) >= LINE_MOST:
                    end, self._passing = len(block), True
                left, block = block[end:], block[:end]
                if at == 0 and first > 0 and block and (piece := self._piece(heading(block), 0)):
                    yield piece
                if at + end > first and (piece := self._piece(block, at, first)):
                    yield piece
                at += end
                if last:
                    return

    def _piece(self, block: bytes, begin: int, first: int = 0) -> Piece | None:
        """The lines of a block that begins at byte `begin`, those from byte `first` on, empty ones left out."""
        values, offsets, at = [], [], begin
        for line in block.split(b"\n"):
            if at >= first and (value := line.rstrip(b"\r")):
                values.append(value)
                offsets.append(at)
            at += len(line) + 1
        if not values:
            return None
        return Piece(self.partition, values, offsets, [], None, self.place.origin, self.form)

    def _batches(self) -> Iterator[Piece]:
        source = CaptureSource([self.path], PacketOptions())
        for number, (flows, _) in enumerate(source.batches()):
            yield Piece(self.partition, [], [number], [], flows)
        for bad in source.report.files[0].unreadable:
            self.broken = f"at byte {bad.offset}: {bad.reason}"


def kind_of(head: bytes, packed: bool) -> str:
    """Return what a file is. head: its first bytes, decompressed."""
    if head[:4] in PCAP or head[:4] == PCAPNG:
        return CAPTURE
    return PACKED if packed else LOG


def is_packed(head: bytes) -> bool:
    """Say whether a file is compressed by its first bytes."""
    return head.startswith(tuple(magic for magic, _ in MAGICS))


def settled(path: str, changed: float, seconds: float) -> bool:
    """Say whether a file is whole: not written to for so long, and, where the kernel tells, by nobody held open.

    Source: fcntl(2): a read lease is refused while a file is open for writing.
    """
    if time.time() - changed < seconds:
        return False
    try:
        with open(path, "rb") as handle:
            # Who opens the file to write while we hold the lease has a signal sent to us: SIGIO would end us.
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    except OSError:
        # Not our file, or a file system without leases: time alone has to tell.
        return True
    return True


def heading(head: bytes) -> bytes:
    """Return the lines that say how to read the others: comments, or a first line that is no JSON."""
    lines = head.splitlines(keepends=True)
    count = next((place for place, one in enumerate(lines) if not one.startswith(b"#")), len(lines))
    if not count and lines and not lines[0].lstrip().startswith(b"{"):
        count = 1
    return b"".join(lines[:count])


def sample(head: bytes) -> list[bytes]:
    """Return the whole lines of a beginning; where there is none, what there is."""
    lines = head.split(b"\n")
    return [one.rstrip(b"\r") for one in (lines[:-1] if len(lines) > 1 else lines) if one]

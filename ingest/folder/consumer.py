"""A folder into which a sensor rotates captures and flow logs, read as a topic whose partitions are its files.

A log is read as it grows. A capture, and whatever is compressed, waits until it is whole. Up to where each file was
delivered stands in a ledger (ingest/folder/ledger.py); which files are not read, and why, in `unknown`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.files import open_input
from ingest.folder.ledger import HEAD, FileEntry, Ledger, telling
from ingest.folder.rotated_file import CAPTURE, LOG, SAMPLE, RotatedFile, is_packed, kind_of, sample, settled
from ingest.records import RecordOptions, reader_for
from whowas.errors import BrokenInput, InputError
from whowas.kafka import BrokerError, Partition, Piece

LOOK_EVERY_SECONDS = 1.0
# Open at once; the others wait their turn.
OPEN_MOST = 128
UNKNOWN_MOST = 1000
# Of captures and compressed files so many: each has a decompressor and open conversations in memory.
WHOLE_AT_ONCE = 2
# A log is over, and its last line whole though it has no end, after so many times the time to settle.
OVER = 6
UNFINISHED = (".tmp", ".part", ".partial", ".swp", ".writing", "~")
Told = tuple[str, int, float]


@dataclass(frozen=True)
class FolderOptions:
    """settled_seconds: how long a file must not have been written to until it counts as whole.

    latest: what stands there when the folder is read for the first time is not read.
    """

    path: str
    format: str | None = None
    settled_seconds: float = 10.0
    latest: bool = False
    records: RecordOptions = field(default_factory=RecordOptions)


class FolderConsumer:
    """Reads a folder as ingest.kafka.consumer.Consumer reads topics. unknown: files that are not read, and why."""

    def __init__(
        self,
        options: FolderOptions,
        places: Ledger,
        gained: Callable[[list[Partition]], None],
        lost: Callable[[list[Partition]], None],
    ) -> None:
        self.unknown: dict[str, str] = {}
        self._options, self._places, self._gained, self._lost = options, places, gained, lost
        name = Path(os.path.abspath(options.path)).name
        self._topic = "".join(one if one.isascii() and one.isalnum() else "_" for one in name) or "files"
        self._latest = options.latest and places.empty
        self._files: dict[Partition, RotatedFile] = {}
        self._done: dict[tuple[int, int], Told] = {}
        self._paused: set[Partition] = set()
        self._looked = 0.0
        self._turn = 0

    def poll(self, seconds: float, most: int) -> list[Piece]:
        """Return what has come; wait for it no longer than so. Raises: BrokerError."""
        if time.monotonic() - self._looked > LOOK_EVERY_SECONDS:
            self._look()
            self._looked = time.monotonic()
        found: list[Piece] = []
        files = [one for one in self._at_work() if one.partition not in self._paused]
        self._turn += 1
        for place in range(len(files)):
            piece = self._read(files[(place + self._turn) % len(files)])
            if piece is not None:
                found.append(piece)
            if sum(len(one.offsets) if one.flows is None else one.flows.num_rows for one in found) >= most:
                break
        if not found:
            time.sleep(seconds)
        return found

    def _at_work(self) -> list[RotatedFile]:
        """The files that are read now: every log, and few of those that are read as a whole."""
        files = [one for one in self._files.values() if not one.finished]
        whole = sorted((one for one in files if one.kind != LOG), key=lambda one: not one.begun)
        return [one for one in files if one.kind == LOG] + whole[:WHOLE_AT_ONCE]

    def _read(self, one: RotatedFile) -> Piece | None:
        """Read on; a file that cannot be read to its end is told of, and what came before that is kept."""
        try:
            piece = one.read(one.kind == LOG and settled(one.path, one.changed, OVER * self._options.settled_seconds))
        except (OSError, InputError, BrokenInput) as error:
            one.broken, one.finished, piece = str(error), True, None
        except Exception as error:  # noqa: BLE001 - a fault of a reader's own must not stop the other files
            one.broken, one.finished, piece = f"reading it failed: {error!r}"[:300], True, None
        if one.broken:
            self._tell(one.path, one.broken)
        return piece

    def _tell(self, path: str, why: str) -> None:
        if path in self.unknown or len(self.unknown) < UNKNOWN_MOST:
            self.unknown[path] = why

    # Files come and go.

    def _look(self) -> None:
        if not os.path.isdir(self._options.path):
            raise BrokerError(f"cannot read '{self._options.path}': no such folder; it is looked for again")
        seen = set()
        for path in self._paths():
            try:
                stat = os.stat(path)
                seen.add((stat.st_dev, stat.st_ino))
                self._meet(path, stat)
            except (OSError, InputError, BrokenInput) as error:
                self._tell(path, str(error))
            except Exception as error:  # noqa: BLE001 - a fault of a reader's own must not hide the other files
                self._tell(path, f"looking at it failed: {error!r}"[:300])
        self._latest = False
        self._done = {key: told for key, told in self._done.items() if key in seen}
        for one in list(self._files.values()):
            self._release(one)

    def _paths(self) -> list[str]:
        found = []
        for top, folders, names in os.walk(self._options.path):
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            found += [os.path.join(top, one) for one in names if not one.startswith(".")]
        return sorted(one for one in found if not one.endswith(UNFINISHED))

    def _meet(self, path: str, stat: os.stat_result) -> None:
        """Take notice of one file as it stands now."""
        key, told = (stat.st_dev, stat.st_ino), (path, stat.st_size, stat.st_mtime)
        known = next((one for one in self._files.values() if one.key == key), None)
        if known is not None and (known.kind != LOG or stat.st_size >= known.at):
            if known.path != path:
                self._places.move(known.place, path)
            known.path, known.size, known.changed = told
        elif known is not None:
            # It was cut, and what stands there now is another story.
            self._drop(known)
        elif self._done.get(key) != told and stat.st_size and len(self._files) < OPEN_MOST:
            self._open(path, stat)

    def _open(self, path: str, stat: os.stat_result) -> None:
        """Begin with a file, or go on with it, if it can be told what it is. Raises: OSError, InputError."""
        key, told = (stat.st_dev, stat.st_ino), (path, stat.st_size, stat.st_mtime)
        whole = settled(path, stat.st_mtime, self._options.settled_seconds)
        with open(path, "rb") as handle:
            head = handle.read(SAMPLE)
        packed = is_packed(head)
        if packed and whole:
            with open_input(path) as source:
                head = source.read(SAMPLE)
        kind = kind_of(head, packed)
        if not whole and (kind != LOG or not telling(head)):
            return
        self._done[key] = told
        form = None if kind == CAPTURE else self._format(head)
        place = self._place(path, stat, head, kind)
        if place is None or self._over(place, path, kind, stat.st_size):
            return
        partition = Partition(self._topic, place.number)
        one = RotatedFile(place, partition, path, key, kind, form, stat.st_size, stat.st_mtime)
        if not one.open():
            one.close()
            return
        del self._done[key]
        self._files[one.partition] = one
        self.unknown.pop(path, None)
        self._gained([one.partition])

    def _format(self, head: bytes) -> str:
        return reader_for(self._options.format, sample(head), self._options.records).format

    def _over(self, place: FileEntry, path: str, kind: str, size: int) -> bool:
        """Whether it was read before as a whole. One that has grown since was not whole: that is told."""
        if not place.ended or kind == LOG:
            return False
        if place.size != size and place.path == path:
            self._tell(path, "it was written to after it was read, and is not read again; raise settled_seconds")
        return True

    def _place(self, path: str, stat: os.stat_result, head: bytes, kind: str) -> FileEntry | None:
        """Return the file's place; None for a second copy of a file that stands elsewhere still."""
        size = stat.st_size if kind == LOG else None
        place = self._places.find(stat, head[:HEAD], size)
        if place is None:
            place = self._places.add(path, stat, head[:HEAD], stat.st_size if self._latest and kind == LOG else 0)
            if self._latest and kind != LOG:
                self._places.end(place.number, stat.st_size)
                place.ended = True
            return place
        active = any(one.place.number == place.number for one in self._files.values())
        key = (stat.st_dev, stat.st_ino)
        if place.path != path and (active or (place.key != key and _stands(place))):
            self._tell(path, f"it begins as '{place.path}' does: a copy of it")
            return None
        self._places.meet(place, path, stat, head[:HEAD])
        return place

    def _release(self, one: RotatedFile) -> None:
        """Let go of a file that is read, delivered, and not written to any more."""
        if one.kind == LOG:
            idle = time.time() - one.changed > OVER * self._options.settled_seconds
            one.finished = (one.at >= one.size and idle) or one.gone()
        if one.finished and (one.sent < 0 or self._places.next(one.place.number) > one.sent):
            if one.kind != LOG:
                self._places.end(one.place.number, one.size)
            self._done[one.key] = (one.path, one.size, one.changed)
            self._drop(one)

    def _drop(self, one: RotatedFile) -> None:
        one.close()
        self._files.pop(one.partition, None)
        self._paused.discard(one.partition)
        self._lost([one.partition])

    # The rest of what a consumer does.

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Let files wait."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undo pause."""
        self._paused.difference_update(partitions)

    def commit(self, offsets: dict[Partition, int]) -> bool:
        """Keep up to where files are delivered. Returns: True, for then it is kept. Raises: OutputError."""
        for partition, following in offsets.items():
            self._places.keep(partition.number, following)
        return True

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return up to where files are delivered."""
        return {one: self._places.next(one.number) for one in partitions}

    def begin_at(self, offsets: dict[Partition, int]) -> dict[Partition, int]:
        """The ledger says where each file is read on."""
        return offsets

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """A file begins at 0; where it ends nobody knows before it is read."""
        return dict.fromkeys(partitions, (0, 1 << 62))

    def partitions(self, topic: str) -> list[Partition]:
        """Return the files that are being read."""
        return [one for one in self._files if one.topic == topic]

    def membership(self) -> None:
        """There is no group."""

    def close(self) -> None:
        """Let go of all files."""
        for one in self._files.values():
            one.close()
        self._files.clear()
        self._places.close()


def _stands(place: FileEntry) -> bool:
    """Whether a known file stands still where it stood."""
    try:
        stat = os.stat(place.path)
    except OSError:
        return False
    return (stat.st_dev, stat.st_ino) == place.key

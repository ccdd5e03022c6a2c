"""Named flows of Kafka partitions as Parquet files, each record once, whatever is killed when.

A partition's flows are written in ranges of offsets that follow one another. What of it is done stands in one small
file, the mark: it names the last range, its files and the offset that comes next. Replacing the mark is the one step
that counts:

1. write the range's files under temporary names, and sync them;
2. replace the mark (temporary name, sync, rename, sync): from here on the range is written;
3. rename the files into place, and sync their folders.

Killed before 2, the temporary files belong to nobody, and the range is made again, with these bounds or others.
Killed between 2 and 3, whoever claims the partition next renames the rest. A worker claims a partition by a lock on
its mark, which the kernel takes away when the worker dies: one that lost its partition without knowing it keeps the
lock, and the next one waits, so that two never write the same range. All workers of a group must therefore share the
folder, on a file system whose locks hold between their hosts.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sinks.files.durable import durable, lock_folder, put_in_place, refusal
from sinks.files.run_journal import finish_killed
from sinks.flows.parquet import encode, split
from sinks.flows.sorting import in_order
from whowas.errors import ConfigError, OutputError
from whowas.flow_folders import HourPartition, hour_folder
from whowas.kafka import Partition
from whowas.lock_file import LockTaken, take_lock
from whowas.schema import check, named_schema

HOME = ".whowas-stream"


@dataclass(frozen=True)
class Range:
    """Offsets of a partition, both ends counted, and the named flows of them."""

    partition: Partition
    first: int
    last: int
    batches: Sequence[Any]


@dataclass
class Mark:
    """What of a partition is written: everything before `next`. files: of the last range, temporary -> final name.

    topic_id: of which topic of its name; "" where nobody knew.
    """

    next: int
    first: int = -1
    files: dict[str, str] = field(default_factory=dict)
    topic_id: str = ""


class RangeFiles:
    """The Parquet folder of a consumer group. `check` first, then `claim` a partition before writing it."""

    def __init__(self, out: str | Path, group: str) -> None:
        self.out = Path(out)
        self.group = group
        self.home = self.out / HOME / quote(group, safe="")
        self._locks: dict[Partition, int] = {}
        self._marks: dict[Partition, Mark | None] = {}
        self._ids: dict[Partition, str] = {}
        self._shared: int | None = None
        self.files_written = 0
        self.bytes_written = 0

    def check(self) -> None:
        """Refuse what could not be written later. Raises: OutputError."""
        if self.out.exists() and not self.out.is_dir():
            raise OutputError(f"cannot write into '{self.out}': it is a file; name a folder")
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._share()
            with durable(self.home / f"probe-{os.getpid()}") as handle:
                handle.write(b"whowas")
            (self.home / f"probe-{os.getpid()}").unlink()
        except OSError as error:
            raise refusal(self.out, error) from error
        others = sorted(one.name for one in self.home.parent.iterdir() if one.is_dir() and one != self.home)
        if others:
            self.close()
            raise OutputError(
                f"cannot write into '{self.out}': group '{others[0]}' writes there; one group has one folder"
            )

    def _share(self) -> None:
        """Hold the folder together with other workers; a replay into it takes it alone."""
        if self._shared is None:
            self._finish_killed()
            self._shared = lock_folder(self.out, "a replay", shared=True)

    def _finish_killed(self) -> None:
        finish_killed(self.out)

    def claim(self, partition: Partition) -> bool:
        """Take a partition; finish what a killed worker began. Returns: False while another worker has it.

        Raises: OutputError, also when the mark cannot be read.
        """
        if partition in self._locks:
            return True
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            handle = take_lock(self._path(partition, "lock"))
        except LockTaken:
            return False
        except OSError as error:
            raise refusal(self._path(partition, "lock"), error) from error
        try:
            mark = self._read(partition)
            if mark is not None:
                self._into_place(partition, mark)
            shutil.rmtree(self._making(partition), ignore_errors=True)
        except BaseException:
            os.close(handle)
            raise
        self._locks[partition], self._marks[partition] = handle, mark
        return True

    def identify(self, partition: Partition, topic_id: str) -> None:
        """Say which topic of its name a claimed partition is of; "" where nobody knows.

        Raises: ConfigError where another is written here: its offsets say nothing about this one's.
        """
        mark = self._marks[partition]
        before = mark.topic_id if mark is not None else ""
        if before and topic_id and before != topic_id:
            raise ConfigError(
                f"cannot go on with {partition}: its files are of the topic of that name that there was before; it was "
                "recreated; start in a new folder with a new group"
            )
        self._ids[partition] = topic_id or before

    def release(self, partition: Partition) -> None:
        """Give a partition back."""
        self._marks.pop(partition, None)
        self._ids.pop(partition, None)
        if (handle := self._locks.pop(partition, None)) is not None:
            os.close(handle)

    def close(self) -> None:
        """Give everything back."""
        for partition in list(self._locks):
            self.release(partition)
        if self._shared is not None:
            os.close(self._shared)
            self._shared = None

    def next(self, partition: Partition) -> int | None:
        """Return the offset behind what is written of a claimed partition; None where nothing is."""
        mark = self._marks[partition]
        return None if mark is None else mark.next

    def write(self, one: Range) -> None:
        """Write a range; on return it is on disk, once. Raises: OutputError; the same range may then be tried again.

        A range that the mark covers already is not written again.
        """
        mark = self._marks[one.partition]
        if mark is not None and mark.next > one.last:
            # Written, or the disk refused after the mark was replaced.
            self._into_place(one.partition, mark)
            return
        if mark is not None and mark.next > one.first:
            raise ValueError(f"offsets {one.first} to {one.last} of {one.partition}: all before {mark.next} is written")
        shutil.rmtree(self._making(one.partition), ignore_errors=True)
        made = Mark(one.last + 1, one.first, self._make(one), self._ids.get(one.partition, ""))
        with durable(self._path(one.partition, "json")) as handle:
            handle.write(_encoded(one.partition, made))
        self._marks[one.partition] = made
        self._into_place(one.partition, made)

    def _make(self, one: Range) -> dict[str, str]:
        """Write the files of a range where no reader looks. Returns: their names, now and in the end."""
        places: dict[HourPartition, list[Any]] = {}
        for batch in one.batches:
            check(batch, named_schema())
            for place, rows in split(batch) if batch.num_rows else ():
                places.setdefault(place, []).append(rows)
        names: dict[str, str] = {}
        making = self._making(one.partition)
        for number, (place, rows) in enumerate(sorted(places.items(), key=lambda item: item[0])):
            table = in_order(rows)
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **_told(one)})
            path = making / f"{one.first}-{one.last}-{number}"
            with durable(path) as handle:
                encode(handle, table)
            self.bytes_written += path.stat().st_size
            names[str(path.relative_to(self.out))] = str(hour_folder(place) / _file_name(one))
        self.files_written += len(names)
        return names

    def _into_place(self, _partition: Partition, mark: Mark) -> None:
        """Rename what the mark names and is not renamed yet. May be repeated at any time."""
        put_in_place(self.out, mark.files)

    def _read(self, partition: Partition) -> Mark | None:
        path = self._path(partition, "json")
        try:
            told = json.loads(path.read_bytes())
            return Mark(int(told["next"]), int(told["first"]), dict(told["files"]), str(told.get("topic_id", "")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"cannot read '{path}': {error.strerror}; check its rights") from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"cannot read '{path}': {error!r}; it says what of {partition} is written: restore it, "
                "or begin in a new folder"
            ) from error

    def _path(self, partition: Partition, end: str) -> Path:
        return self.home / f"{partition.topic}-{partition.number}.{end}"

    def _making(self, partition: Partition) -> Path:
        return self.home / f"{partition.topic}-{partition.number}.making"


def _encoded(partition: Partition, mark: Mark) -> bytes:
    told: Mapping[str, Any] = {
        "topic": partition.topic,
        "partition": partition.number,
        "first": mark.first,
        "next": mark.next,
        "files": mark.files,
        "topic_id": mark.topic_id,
    }
    return json.dumps(told, indent=1).encode() + b"\n"


def _file_name(one: Range) -> str:
    return f"{one.partition.topic}-{one.partition.number}-{one.first:019d}-{one.last:019d}.parquet"


def _told(one: Range) -> dict[str, str]:
    """Where the rows came from, for whoever has the file alone."""
    return {
        "whowas.topic": one.partition.topic,
        "whowas.partition": str(one.partition.number),
        "whowas.first_offset": str(one.first),
        "whowas.last_offset": str(one.last),
    }

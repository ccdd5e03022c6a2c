"""Compacts small Parquet files into large ones, hour by hour.

A folder of one cluster and hour is replaced as a whole, in one step of the kernel: whoever lists it sees the old files
or the new ones, never both, never neither. A reader that holds names of files that were replaced is told "no such
file" when it opens them, and reads again; it is never given a wrong number of rows.

1. `<out>/../.<name>.compacting/`, outside of what readers look through, gets a folder with the merged files, synced,
   and, while no writer may put a file into its place, hard links to the files that stay;
2. it and the hour's folder change places (renameat2, RENAME_EXCHANGE);
3. what stands in the old folder and is neither merged nor in the new one is moved over;
4. the old folder is removed.

Killed before 2, the hour is as it was. Killed after it, the next compaction does 3 and 4: which of the old files were
merged stands beside them.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.files.durable import LOCK, TEMPORARY, durable, refusal, renaming, sync_folder
from sinks.files.run_journal import DELTA_LOG, finish_killed
from sinks.flows.parquet import encode
from whowas.errors import OutputError
from whowas.flow_folders import HOURS
from whowas.lock_file import LockTaken, take_lock
from whowas.schema import table_schema

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
MERGED, STORY = "whowas-merged", "merged.json"
ORDER = [("start_time", "ascending"), ("flow_id", "ascending")]


@dataclass(frozen=True)
class CompactionOptions:
    """What is merged.

    settled_seconds: an hour in which a file is younger is left for the next time. small_bytes: larger files stay as
    they are. rows: what one merged file holds at most, which bounds the memory.
    """

    settled_seconds: float = 300.0
    small_bytes: int = 64 << 20
    rows: int = 500_000


@dataclass
class Compacted:
    """What was done. left: files that were not merged, by reason."""

    folders: int = 0
    files_before: int = 0
    files_after: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, reason: str, files: int = 1) -> None:
        """Count files that stay as they are."""
        self.left[reason] = self.left.get(reason, 0) + files


class Compaction:
    """Merges below one folder of named flows; a context manager that holds its locks.

    doing: what is said of it where it is refused. Raises: OutputError: no such folder, a replay writes there, another
    compaction runs, the disk refuses.
    """

    def __init__(self, out: str | Path, options: CompactionOptions | None = None, doing: str = "compact") -> None:
        self.out = Path(os.path.abspath(out))
        self.done = Compacted()
        self._options = options or CompactionOptions()
        self.home = self.out.parent / f".{self.out.name}.compacting"
        self._doing = doing
        self._locks: list[int] = []

    def __enter__(self) -> Compaction:
        if not self.out.is_dir():
            raise OutputError(
                f"cannot {self._doing} '{self.out}': no such folder; name the folder of a stream or replay"
            )
        if os.path.isdir(self.out / DELTA_LOG):
            raise OutputError(
                f"cannot compact '{self.out}': it is a Delta table; "
                "deltalake.DeltaTable(…).optimize.compact() merges its files"
            )
        try:
            finish_killed(self.out)
            self._lock(self.out / LOCK, "a replay is writing there", shared=True)
            self.home.mkdir(exist_ok=True)
            self._lock(self.home / "lock", "another compaction is at work")
            self.recover()
        except OSError as error:
            self._unlock()
            raise refusal(self.home, error) from error
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self._unlock()

    def _lock(self, path: Path, else_say: str, *, shared: bool = False) -> None:
        try:
            self._locks.append(take_lock(path, shared=shared))
        except LockTaken:
            raise OutputError(f"cannot {self._doing} '{self.out}': {else_say}; try again later") from None

    def _unlock(self) -> None:
        for handle in self._locks:
            os.close(handle)
        self._locks.clear()

    def folders(self) -> list[Path]:
        """Return every folder of one cluster and hour that holds more than one file."""
        found = sorted({path.parent for hours in HOURS for path in self.out.glob(f"{hours}/*.parquet")})
        return [folder for folder in found if len(_files(folder)) > 1]

    def run(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Compacted:
        """Merge what is small. progress: called with folders done and folders in all. Raises: OutputError."""
        todo = self.folders()
        for number, folder in enumerate(todo):
            progress(number, len(todo))
            try:
                self._compact(folder)
            except OSError as error:
                raise refusal(folder, error) from error
        progress(len(todo), len(todo))
        return self.done

    def _compact(self, folder: Path) -> None:
        groups = list(self._groups(folder))
        if not groups:
            return
        work = self.home / "work"
        shutil.rmtree(work, ignore_errors=True)
        new = work / "folder"
        new.mkdir(parents=True)
        merged = [path for group in groups for path in group]
        made = [self._merge(group, new) for group in groups]
        with durable(work / STORY) as handle:
            story = {"folder": str(folder.relative_to(self.out)), "merged": [path.name for path in merged]}
            handle.write(json.dumps(story).encode())
        self._count(merged, made)
        _like(folder, new)
        with renaming(self.out, alone=True):
            for path in set(folder.iterdir()) - set(merged):
                _link(path, new)
            sync_folder(new)
            _exchange(new, folder)
            self._finish(work)

    def _groups(self, folder: Path) -> Iterator[list[Path]]:
        """Yield the files that go into one each: small, settled, flows, and of no more rows than are allowed."""
        files = _files(folder)
        if any(path.name.endswith(TEMPORARY) for path in folder.iterdir()):
            self.done.leave("being written", len(files))
            return
        newest = max(path.stat().st_mtime for path in files)
        if time.time() - newest < self._options.settled_seconds:
            self.done.leave("too fresh", len(files))
            return
        group: list[Path] = []
        rows = 0
        for path in files:
            count = self._rows(path)
            if count is None:
                continue
            if group and rows + count > self._options.rows:
                if len(group) > 1:
                    yield group
                group, rows = [], 0
            group.append(path)
            rows += count
        if len(group) > 1:
            yield group

    def _rows(self, path: Path) -> int | None:
        """Return how many rows a file has; None, and why is counted, where it is not to be merged."""
        if path.stat().st_size > self._options.small_bytes:
            self.done.leave("large enough")
            return None
        try:
            with pq.ParquetFile(path) as file:
                known = table_schema()
                if all(name in known.names for name in file.schema_arrow.names):
                    return int(file.metadata.num_rows)
        except (pa.ArrowException, OSError):
            self.done.leave("cannot be read")
            return None
        self.done.leave("not named flows")
        return None

    def _merge(self, group: Sequence[Path], new: Path) -> Path:
        tables = [pq.ParquetFile(path).read().replace_schema_metadata(None) for path in group]
        table = pa.concat_tables(tables, promote_options="default")
        wanted = [one for one in table_schema() if one.name in table.column_names]
        table = table.select([one.name for one in wanted]).cast(pa.schema(wanted)).unify_dictionaries()
        columns = [column.combine_chunks() for column in table.columns]
        order = pc.sort_indices(table, sort_keys=ORDER)
        table = pa.table([column.take(order) for column in columns], schema=table.schema)
        path = new / f"{MERGED}-{time.time_ns():019d}.parquet"
        with durable(path) as handle:
            encode(handle, table)
        with pq.ParquetFile(path) as written:
            if written.metadata.num_rows != sum(one.num_rows for one in tables):
                raise OutputError(f"cannot compact '{group[0].parent}': what was written is not what was read")
        self.done.rows += table.num_rows
        return path

    def _count(self, merged: Sequence[Path], made: Sequence[Path]) -> None:
        done = self.done
        done.folders += 1
        done.files_before += len(merged)
        done.files_after += len(made)
        done.bytes_before += sum(path.stat().st_size for path in merged)
        done.bytes_after += sum(path.stat().st_size for path in made)

    def recover(self) -> None:
        """Finish or take back what was begun by one that was killed: only the old folder has what was merged.

        For who holds the folder, or its own lock.
        """
        work = self.home / "work"
        if (work / STORY).exists():
            merged = json.loads((work / STORY).read_bytes())["merged"]
            if any(path.name in merged for path in _files(work / "folder")):
                self._finish(work)
        shutil.rmtree(work, ignore_errors=True)

    def _finish(self, work: Path) -> None:
        """Steps 3 and 4."""
        story = json.loads((work / STORY).read_bytes())
        folder, old = self.out / story["folder"], work / "folder"
        for path in old.iterdir():
            if path.name not in story["merged"] and not (folder / path.name).exists():
                os.replace(path, folder / path.name)
        sync_folder(folder)
        sync_folder(folder.parent)
        shutil.rmtree(work)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def _like(old: Path, new: Path) -> None:
    """Give a folder the rights of the one whose place it takes."""
    told = old.stat()
    new.chmod(told.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(new, told.st_uid, told.st_gid)


def _link(path: Path, folder: Path) -> None:
    if path.is_file():
        os.link(path, folder / path.name)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places in one step. Source: renameat2(2), since Linux 3.15."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS):
        raise OutputError(f"cannot compact '{other}': this file system cannot exchange two folders; use a local one")
    if code == errno.EXDEV:
        raise OutputError(f"cannot compact '{other}': its parent is another file system; name a folder below the mount")
    raise OSError(code, os.strerror(code), str(other))

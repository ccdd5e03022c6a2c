"""A file of lines that only grows: several processes may write to it, it may be rotated, and no line is ever torn."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sinks.files.durable import refusal, sync_folder
from whowas.errors import OutputError

BLOCK = 1 << 16


class AppendedLines:
    """JSON lines behind what is there. What a killed process left of a line is cut off before the next one is written.

    That is no loss: a line counts only when `sync` has returned, and what did not count is written again.
    torn: bytes that were cut off so.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.torn = 0
        self._handle: int | None = None

    def check(self) -> None:
        """Open, and mend the end. Raises: OutputError."""
        with self._locked():
            pass

    def write(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Append one line each, all or none. Raises: OutputError."""
        data = b"".join(line(one) for one in objects)
        with self._locked() as handle:
            end = os.fstat(handle).st_size
            try:
                _write_all(handle, data)
            except OSError:
                os.ftruncate(handle, end)
                raise

    def sync(self) -> None:
        """Return only when everything written is on disk. Raises: OutputError."""
        if self._handle is None:
            return
        try:
            os.fsync(self._handle)
        except OSError as error:
            # What the kernel could not write it may have dropped: a second fsync that succeeds would mean nothing.
            self.close()
            raise refusal(self.path, error) from error

    def close(self) -> None:
        """Give the file back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file of this name, with nobody else writing and a whole line at its end."""
        try:
            handle = self._open()
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                self._mend(handle)
                yield handle
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)
        except OSError as error:
            raise refusal(self.path, error) from error

    def _open(self) -> int:
        if self._handle is not None and not _is(self.path, self._handle):
            os.fsync(self._handle)
            self.close()
        if self._handle is None:
            if self.path.is_dir():
                raise OutputError(f"cannot write '{self.path}': it is a folder; name a file")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            sync_folder(self.path.parent)
        return self._handle

    def _mend(self, handle: int) -> None:
        size = os.fstat(handle).st_size
        whole = _end_of_last_line(handle, size)
        if whole < size:
            os.ftruncate(handle, whole)
            self.torn += size - whole


def line(told: Mapping[str, Any]) -> bytes:
    """One object as one line."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def _is(path: Path, handle: int) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _end_of_last_line(handle: int, size: int) -> int:
    """Return the offset behind the last newline; 0 where there is none."""
    end = size
    while end > 0:
        begin = max(0, end - BLOCK)
        found = os.pread(handle, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0

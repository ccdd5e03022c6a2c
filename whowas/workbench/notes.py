"""States and notes of findings: lines appended to a file beside them, never written over.

Two people may write at once: whoever has not seen the newest revision is refused, and told what it is. The file is
locked while it is read and written, so that another server on the same file counts too.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sinks.files.append_only import AppendedLines
from sinks.files.durable import refusal
from whowas.errors import OutputError
from whowas.workbench.api.findings import Note, NoteAsk, Noted
from whowas.workbench.problems import OldRevisionError

STATES = ("open", "closed", "false_positive")
NAME = "whowas-notes.jsonl"
MOST_BYTES = 1 << 28


class Notes:
    """Args: path: of the file; it appears with the first note. refused: lines in it that are none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refused = 0
        self._known: dict[str, list[Note]] = {}
        self._read_to: tuple[int, int, int] = (0, 0, 0)
        self._lock = threading.RLock()

    def of(self, uid: str) -> Noted:
        """What is written about a finding."""
        with self._lock:
            self._read()
            return self._noted(uid)

    def _noted(self, uid: str) -> Noted:
        notes = list(self._known.get(uid, ()))
        return Noted(uid, len(notes), notes[-1].state if notes else "open", notes)

    def write(self, asked: NoteAsk) -> Noted:
        """Append, on top of what was seen. Raises: OldRevisionError, OutputError."""
        lines = AppendedLines(self.path)
        with self._lock, self._alone():
            self._read()
            now = self._noted(asked.uid)
            if now.revision != asked.revision:
                raise OldRevisionError(now)
            told = {
                "uid": asked.uid, "revision": asked.revision + 1, "time": time.time_ns() // 1000,
                "author": asked.author, "state": asked.state, "text": asked.text,
            }  # fmt: skip
            try:
                lines.write([told])
                lines.sync()
            finally:
                lines.close()
            self._read()
            return self._noted(asked.uid)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other servers out from looking to having written. A lock of its own: AppendedLines locks the file."""
        place = self.path.with_name(f".{self.path.name}.lock")
        try:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        except OSError as error:
            raise refusal(self.path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _read(self) -> None:
        """Read what was appended since; all of it where the file is another one."""
        try:
            with open(self.path, "rb") as handle:
                about = os.fstat(handle.fileno())
                device, inode, at = self._read_to
                if (device, inode) != (about.st_dev, about.st_ino) or about.st_size < at:
                    self._known, at, self.refused = {}, 0, 0
                if about.st_size > MOST_BYTES:
                    raise OutputError(f"cannot use the notes '{self.path}': they are larger than {MOST_BYTES >> 20} MB")
                handle.seek(at)
                data = handle.read()
        except FileNotFoundError:
            self._known, self._read_to = {}, (0, 0, 0)
            return
        except OSError as error:
            raise OutputError(f"cannot read the notes '{self.path}': {error.strerror}; give them back") from error
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            self._take(line)
        self._read_to = (about.st_dev, about.st_ino, at + whole)

    def _take(self, line: bytes) -> None:
        try:
            told: Any = json.loads(line)
            note = Note(
                int(told["revision"]), int(told["time"]), str(told["author"]),
                told["state"] if told["state"] in STATES else "open", str(told["text"]),
            )  # fmt: skip
            uid = str(told["uid"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self.refused += 1
            return
        self._known.setdefault(uid, []).append(note)


def beside(findings: Path) -> Path:
    """Where the notes of findings lie."""
    return findings / NAME if findings.is_dir() else findings.with_name(f"{findings.name}.notes.jsonl")

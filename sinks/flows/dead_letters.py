"""Keeps records that could not be read, with reason and place."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from sinks.files.durable import durable
from whowas.errors import OutputError
from whowas.kafka import Partition

MOST = 1 << 20


class Letter(NamedTuple):
    """A record that gave no flow, as it came."""

    partition: Partition
    offset: int
    reason: str
    value: bytes

    def place(self) -> dict[str, str | int]:
        """Where it was and why it was refused, for JSON."""
        return {
            "topic": self.partition.topic,
            "partition": self.partition.number,
            "offset": self.offset,
            "reason": self.reason,
        }


class DeadLetterFiles:
    """A folder of `topic-partition-first-last.jsonl`. After a crash letters may stand in two files, never in none."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def check(self) -> None:
        """Refuse what could not be written later. Raises: OutputError."""
        probe = self._folder / "probe"
        with durable(probe):
            pass
        probe.unlink()

    def write(self, letters: Sequence[Letter]) -> None:
        """Write letters of one partition as one file; durable on return. Raises: OutputError."""
        (topic, number), first, last = letters[0].partition, letters[0].offset, letters[-1].offset
        with durable(self._folder / f"{topic}-{number}-{first:019d}-{last:019d}.jsonl") as handle:
            for one in letters:
                told = {**one.place(), "value_base64": base64.b64encode(one.value).decode()}
                handle.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")


class DeadLetterFile:
    """One file of {file, number, reason, record} a line; record_base64 where it is no text, cut beyond a megabyte."""

    def __init__(self, path: str) -> None:
        """Raises: OutputError where the file could not be written. It is made when there is a record to keep."""
        self.path = path
        self._file: BinaryIO | None = None
        there = os.path.exists(path)
        self._open("ab").close()
        if not there:
            os.unlink(os.path.realpath(path))

    def _open(self, mode: str) -> BinaryIO:
        try:
            return cast(BinaryIO, open(self.path, mode))
        except OSError as error:
            raise OutputError(
                f"cannot keep refused records in '{self.path}': {error.strerror}; check the path and its rights"
            ) from error

    def write(self, file: str, number: int, reason: str, record: bytes) -> None:
        """Keep one record. Args: number: of the record in its file, from 1; of a line, its line."""
        if self._file is None:
            self._file = self._open("wb")
        told: dict[str, Any] = {"file": file, "number": number, "reason": reason}
        if len(record) > MOST:
            told["cut_from_bytes"] = len(record)
        kept = record[:MOST]
        try:
            told["record"] = kept.decode()
        except UnicodeDecodeError:
            told["record_base64"] = base64.b64encode(kept).decode()
        try:
            self._file.write(msgspec.json.encode(told) + b"\n")
        except OSError as error:
            raise OutputError(f"cannot keep refused records in '{self.path}': {error.strerror}; make room") from error

    def close(self) -> None:
        """Return when all is durable. Raises: OutputError."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            # Closing writes once more what could not be written, and fails once more.
            with file:
                file.flush()
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot keep refused records in '{self.path}': {error.strerror}; make room") from error

"""Refused records, kept aside in a file: a JSON object a line, with the place and the reason of each."""

from __future__ import annotations

import base64
import os
import stat
from typing import Any, BinaryIO, cast

import msgspec

from whowas.errors import OutputError

MOST = 1 << 20


class DeadLetters:
    """Writes {file, number, reason, record}; record_base64 where it is no text, cut beyond a megabyte."""

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
        """Return when all is durable."""
        if self._file is None:
            return
        try:
            self._file.flush()
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f"cannot keep refused records in '{self.path}': {error.strerror}; make room") from error
        finally:
            self._file.close()
            self._file = None

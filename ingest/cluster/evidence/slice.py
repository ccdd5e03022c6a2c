"""The slice of a history that travels beside a capture: evidence lines, compressed, with a beginning and an end.

The first line says what it is, the last how many lines came before it and their SHA-256, so that a file that was
cut or changed is told from a whole one. Any tool that reads zstd and JSON lines can read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, BinaryIO

import msgspec
import zstandard

from whowas.errors import InputError
from whowas.observation import EPOCH, Observation

FORMAT = 1
BEGIN, END = b'{"type":"SLICE"', b'{"type":"END"'


def write_slice(out: BinaryIO, told: dict[str, Any], observations: Iterable[Observation]) -> int:
    """Write observations as a slice. told: what its first line says beside type and format. Returns: lines."""
    check, count = hashlib.sha256(), 0
    packer = zstandard.ZstdCompressor(level=9, write_checksum=True)
    with packer.stream_writer(out, closefd=False) as stream:

        def put(value: dict[str, Any]) -> None:
            line = msgspec.json.encode(value) + b"\n"
            check.update(line)
            stream.write(line)

        put({"type": "SLICE", "format": FORMAT, **told})
        for one in observations:
            put(as_line(one))
            count += 1
        stream.write(msgspec.json.encode({"type": "END", "lines": count, "sha256": check.hexdigest()}) + b"\n")
    return count


def as_line(one: Observation) -> dict[str, Any]:
    """Return an observation as a line of evidence."""
    line: dict[str, Any] = {"type": one.verb}
    if one.received_us is not None:
        line["received"] = _spelled(one.received_us)
    if one.cluster is not None:
        line["cluster"] = one.cluster
    if one.verb == "OFFSET" and one.span is not None:
        return line | {"ahead": one.span[0], "behind": one.span[1], "service": one.service, "object": one.object}
    if one.span is not None:
        line |= {"from": _spelled(one.span[0]), "to": _spelled(one.span[1]), "kind": one.object.kind}
        return line
    if one.service:
        line["service"] = one.service
    if one.service or one.not_before_us != one.received_us:
        line["since"] = _spelled(one.not_before_us)
    line["object"] = one.object
    return line


def _spelled(us: int) -> str:
    """RFC 3339, in years before 1000 too."""
    return f"{(EPOCH + timedelta(microseconds=us)).isoformat(timespec='microseconds')[:-6]}Z"


class _End(msgspec.Struct):
    lines: int = -1
    sha256: str = ""


class _Begin(msgspec.Struct):
    format: int = 0


class Seal:
    """Finds a slice's borders while a file is read, and says whether what lies between them is what was written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._check = hashlib.sha256()
        self._lines = 0
        self.open = False

    def take(self, raw: bytes) -> str | None:
        """Take in one line. Returns: None for a line of evidence, else what is wrong at this border, "" = nothing.

        Raises: InputError for a slice of a format that a newer whowas wrote.
        """
        if raw.startswith(BEGIN):
            return self._begin(raw)
        if not self.open:
            return None
        if raw.startswith(END):
            return self._end(raw)
        self._check.update(raw + b"\n")
        self._lines += 1
        return None

    def _begin(self, raw: bytes) -> str:
        odd = ""
        try:
            told = msgspec.json.decode(raw, type=_Begin).format
        except (msgspec.DecodeError, UnicodeDecodeError):
            # What follows is a slice still: its times of receipt do not say that somebody was looking.
            told, odd = 0, "the beginning of the slice cannot be read"
        if told > FORMAT:
            raise InputError(
                f"cannot read '{self._path}': it has slice format {told}, this whowas knows up to {FORMAT}; "
                "update whowas"
            )
        self._check, self._lines, self.open = hashlib.sha256(raw + b"\n"), 0, True
        return odd

    def _end(self, raw: bytes) -> str:
        self.open = False
        try:
            told = msgspec.json.decode(raw, type=_End)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "the end of the slice cannot be read"
        if (told.lines, told.sha256) != (self._lines, self._check.hexdigest()):
            return f"the slice was changed: {self._lines:,} lines, whose checksum is not what its end says"
        return ""

"""What a report was made of: each file with its size and SHA-256, as far as the bounds go."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import NamedTuple

MOST_FILES = 200
MOST_BYTES = 4 << 30
PIECE = 1 << 20


class Input(NamedTuple):
    """kind: flows, history, findings. name: as it was given, flows below their folder. sha256: "" = why not."""

    kind: str
    name: str
    size: int
    sha256: str
    why: str = ""


class Inputs(NamedTuple):
    """listed: with hashes. more, more_bytes: files that are not listed."""

    listed: list[Input]
    more: int
    more_bytes: int


def look(files: Iterable[tuple[str, str, str]]) -> Inputs:
    """Hash files: (kind, name, path), the first ones first."""
    listed: list[Input] = []
    more = more_bytes = read = 0
    for kind, name, path in files:
        try:
            size = os.stat(path).st_size
        except OSError as error:
            listed.append(Input(kind, name, 0, "", error.strerror or "gone"))
            continue
        if len(listed) >= MOST_FILES or read + size > MOST_BYTES:
            more, more_bytes = more + 1, more_bytes + size
            continue
        read += size
        listed.append(_hashed(kind, name, path))
    return Inputs(listed, more, more_bytes)


def _hashed(kind: str, name: str, path: str) -> Input:
    made, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as handle:
            while piece := handle.read(PIECE):
                made.update(piece)
                size += len(piece)
    except OSError as error:
        return Input(kind, name, size, "", error.strerror or "unreadable")
    return Input(kind, name, size, made.hexdigest())

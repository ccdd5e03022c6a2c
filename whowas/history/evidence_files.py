"""The evidence files that a user names: paths, folders, globs, and `FILE@TIME` for a list that was taken at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ingest.files import find_inputs
from whowas.errors import ConfigError
from whowas.timestamps import moment_us

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
SECOND_US = 1_000_000


class EvidenceFiles(NamedTuple):
    """Files in the order in which they are read; of lists that were told a time, when they were taken, us."""

    paths: list[str]
    taken: dict[str, int]


def listed(paths: Paths) -> list[str]:
    """Return one path or several as a list."""
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def find_evidence(history: Paths, *, ordered: bool = True) -> EvidenceFiles:
    """Find what a user named. Raises: InputError for a word that names nothing, ConfigError for a time that is none.

    `kubectl get … -o json` writes no time, and a file's own time is that of its last copy: who knows when the list
    was taken says it, as `now.json@2026-11-20T10:15:02Z`.
    """
    paths: list[str] = []
    taken: dict[str, int] = {}
    for word in listed(history):
        name, at_us = _told_time(word)
        found = find_inputs([name])
        paths += found
        if at_us is not None:
            taken |= dict.fromkeys(found, at_us)
    paths = list(dict.fromkeys(paths))
    if ordered:
        from ingest.cluster import in_order

        paths = in_order(paths, taken)
    return EvidenceFiles(paths, taken)


def _told_time(word: str) -> tuple[str, int | None]:
    """Split `FILE@TIME`. A file whose own name has an @ is meant as it is."""
    name, at, time = word.rpartition("@")
    if not at or not name or os.path.exists(word) or not time[:1].isdigit():
        return word, None
    try:
        at_us = moment_us(time)
    except ConfigError as error:
        raise ConfigError(f"cannot use '{word}' as a list and when it was taken: {error}") from error
    # A whole second is said of all that was so until it was over.
    return name, at_us + SECOND_US - 1 if at_us % SECOND_US == 0 else at_us

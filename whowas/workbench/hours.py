"""The hours of a folder of named flows: which files each has, when it is, and by what it is known that it changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from whowas.flow_folders import told_cluster
from whowas.query import parquet_files
from whowas.query.parquet_files import Files
from whowas.timestamps import AFTER_ALL, BEFORE_ALL, moment_us

HOUR_US = 3_600_000_000
_PLACE = re.compile(r"event_day=(\d{8})/event_hour=(\d{1,2})$")


class Hour(NamedTuple):
    """One folder of files. id: what the page calls it. keys: that its path tells. timed: does its name tell the hour?

    since, until: us, of starts in it; all times if not timed. key: changes with names, sizes and times of its files.
    """

    id: str
    cluster: str
    since: int
    until: int
    files: tuple[str, ...]
    key: str
    keys: tuple[str, ...]
    timed: bool

    def as_files(self) -> Files:
        """Return its files as whowas.query reads them."""
        return Files({self.keys: list(self.files)}, [])


class Found(NamedTuple):
    """Hours, newest first, and what was left out: (path, reason)."""

    hours: tuple[Hour, ...]
    unreadable: tuple[tuple[str, str], ...]


def find(folder: str) -> Found:
    """Look at every file below a folder. Raises: InputError when there is none."""
    root = os.path.realpath(folder)
    found = parquet_files.find(root)
    folders: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for keys, paths in found.groups.items():
        for path in paths:
            folders.setdefault((os.path.dirname(path), keys), []).append(path)
    hours = [_hour(root, place, keys, sorted(paths)) for (place, keys), paths in folders.items()]
    kept = sorted((one for one in hours if one.files), key=lambda one: (-one.since, one.cluster))
    return Found(tuple(kept), tuple(found.unreadable))


def _hour(root: str, place: str, keys: tuple[str, ...], paths: list[str]) -> Hour:
    beneath = os.path.relpath(place, root)
    files, told = [], []
    for path in paths:
        try:
            about = os.stat(path)
        except FileNotFoundError:
            continue  # Compacted meanwhile: the next look finds what took its place.
        files.append(path)
        told.append(f"{os.path.basename(path)}\0{about.st_size}\0{about.st_mtime_ns}")
    since, until = _bounds(place)
    name = told_cluster(place) or ""
    return Hour(_short(beneath), name, since, until, tuple(files), _short("\n".join(told)), keys, since != BEFORE_ALL)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _bounds(place: str) -> tuple[int, int]:
    """The hour that a folder's name tells. The first of 1970 also holds what tells no start."""
    found = _PLACE.search(place)
    if found is None:
        return BEFORE_ALL, AFTER_ALL
    try:
        begin = datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC) + timedelta(hours=int(found[2]))
    except (ValueError, OverflowError):
        return BEFORE_ALL, AFTER_ALL
    low = moment_us(begin)
    return low, low + HOUR_US


def touched(hours: Iterable[Hour], since: int, until: int) -> list[Hour]:
    """Return the hours in which something may start from `since` until before `until`, us."""
    return [one for one in hours if one.since < until and one.until > since]

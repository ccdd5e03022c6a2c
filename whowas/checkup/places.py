"""Folders that will be written to: whether they can be, and how much room they have. Nothing is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from whowas.checkup.finding import FAIL, OK, WARN, Finding
from whowas.safe_text import size
from whowas.settings import StreamConfig

SCARCE, LAST = 1_000_000_000, 100_000_000
SHARE = 0.03


def places(config: StreamConfig) -> Iterator[Finding]:
    """Look at each place that a stream writes to."""
    for what, path, is_folder in _written(config):
        yield _place(what, path, is_folder)


def _written(config: StreamConfig) -> Iterator[tuple[str, str, bool]]:
    if config.parquet is not None:
        yield "parquet", config.parquet.folder, True
    if config.dead_letters.folder:
        yield "dead letters", config.dead_letters.folder, True
    if config.rules is not None:
        yield "rules' state", config.rules.state, False
    if config.alerts is not None and config.alerts.file:
        yield "alerts", config.alerts.file, False
    if config.history.topic is not None:
        yield "replica", config.history.path, False


def _place(what: str, path: str, is_folder: bool) -> Finding:
    full = os.path.abspath(path)
    folder = full if is_folder else os.path.dirname(full)
    # What is not there yet is made below the first folder that is.
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return Finding("places", what, FAIL, f"'{path}': '{folder}' is no folder", "name another place")
    if not is_folder and os.path.isdir(full):
        return Finding("places", what, FAIL, f"'{path}' is a folder", "name a file")
    target = full if os.path.exists(full) else folder
    if not os.access(target, os.W_OK) or not os.access(folder, os.X_OK):
        return Finding("places", what, FAIL, f"'{target}' cannot be written to", "give this user the right to write")
    return _room(what, path, folder)


def _room(what: str, path: str, folder: str) -> Finding:
    room = shutil.disk_usage(folder)
    told = f"'{path}' can be written; {size(room.free)} of {size(room.total)} are free"
    if room.free < LAST:
        return Finding("places", what, FAIL, told, "make room")
    scarce = room.free < SCARCE or room.free < SHARE * room.total
    return Finding("places", what, WARN if scarce else OK, told, "make room soon" if scarce else "")

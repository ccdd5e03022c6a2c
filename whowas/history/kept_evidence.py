"""What was derived of large files of evidence, kept for the next question: who asks a file asks it often."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from enrich.store.kept_beside import place_of
from ingest.cluster import EvidenceReport
from whowas.history.evidence_files import EvidenceFiles

if TYPE_CHECKING:
    from enrich.history.history import History

# What is read in no time is not worth a file.
BYTES_LEAST = 16 << 20
# What is written in the same tick of the file system's clock does not show in a file's time.
TICK_NS = 2_000_000_000


def derived(files: EvidenceFiles, cluster: str | None, told: EvidenceReport, derive: Callable[[], History]) -> History:
    """Return what files say: mapped where that was kept, else derived, and kept where the files stayed as they were.

    Args: told: filled as reading would fill it; where something is in it already nothing is kept. derive: reads, and
        fills told.
    """
    before = None if told.files else _facts(files)
    place = None if before is None else place_of(*files.paths)
    if place is None:
        return derive()
    from enrich.history.sealed import keep, mapped, rules

    key = hashlib.sha256(rules() + _reading() + repr((before, cluster, sorted(files.taken.items()))).encode()).digest()
    if place.exists():
        found = mapped(place, key)
        if found is not None:
            _fill(told, found.beside)
            return found.history
    history = derive()
    newest = max(max(one[-2:]) for one in before or ())
    if _facts(files) == before and newest < time.time_ns() - TICK_NS:
        # A name that nobody could read is in no cache.
        with contextlib.suppress(UnicodeError, msgspec.MsgspecError):
            keep(place, key, history, told.observations, msgspec.msgpack.encode(told))
    return history


def _facts(files: EvidenceFiles) -> list[tuple[str, int, int, int, int, int]] | None:
    """Return what tells each file's content: name, device, number, size, times. None: too small, or read once only."""
    found, size = [], 0
    try:
        for path in files.paths:
            one = os.stat(path)
            if not stat.S_ISREG(one.st_mode):
                return None
            found.append((path, one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns))
            size += one.st_size
    except OSError:
        return None
    return found if size >= BYTES_LEAST else None


def _reading() -> bytes:
    """Return what reads evidence: its sources."""
    seen = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    for one in sorted(
        [*root.glob("ingest/*.py"), *root.glob("ingest/cluster/**/*.py"), *root.glob("ingest/wrappings/*.py")]
    ):
        seen.update(one.name.encode() + one.read_bytes())
    return seen.digest()


def _fill(told: EvidenceReport, blob: bytes) -> None:
    kept = msgspec.msgpack.decode(blob, type=EvidenceReport, dec_hook=_counter)
    told.observations.update(kept.observations)
    told.refused.update(kept.refused)
    told.files += kept.files


def _counter(_: type, value: dict[str, int]) -> Counter[str]:
    return Counter(value)

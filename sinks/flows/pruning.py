"""Forgets named flows of long ago, by whole hours.

A plain folder loses an hour's folder in one step: it is renamed to where no reader looks, and removed there. A reader
that holds the name of a file in it is told "no such file". A stream may go on: what comes later for such an hour is
kept until the next time. A Delta table loses the hours by one commit; its older versions keep them until a VACUUM.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sinks.files.durable import lock_folder, refusal, renaming
from sinks.files.run_journal import DELTA_LOG
from sinks.flows.compaction import Compaction
from whowas.errors import OutputError
from whowas.flow_folders import HOURS

# Where flows without a time lie: nobody knows how old they are.
UNTIMED = datetime(1970, 1, 1, tzinfo=UTC)


class Hour(NamedTuple):
    """Files of one cluster and hour. start: None where the folder tells no hour that a calendar has."""

    start: datetime | None
    folder: Path
    files: list[Path]


@dataclass
class Pruned:
    """What was deleted, or would be. kept: hours that are younger. untimed: hours that tell not how old they are."""

    hours: int = 0
    files: int = 0
    bytes: int = 0
    kept: int = 0
    untimed: int = 0
    first: datetime | None = None
    last: datetime | None = None


def prune(out: str | Path, before: datetime, dry: bool = False) -> Pruned:
    """Delete the hours that were over before a time; `dry`: say which, and change nothing. Raises: OutputError."""
    folder = Path(os.path.abspath(out))
    if not folder.is_dir():
        raise OutputError(f"cannot prune '{folder}': no such folder; name the folder of a stream or replay")
    if os.path.isdir(folder / DELTA_LOG):
        return _prune_table(folder, before, dry)
    done = Pruned()
    if dry:
        for hour in _old(_hours(folder), before, done):
            _count(hour, done)
        return done
    with Compaction(folder, doing="prune") as held:
        for hour in _old(_hours(folder), before, done):
            _count(hour, done)
            try:
                _remove(hour.folder, held)
            except OSError as error:
                raise refusal(hour.folder, error) from error
    return done


def _hours(out: Path) -> list[Hour]:
    folders = sorted({one for hours in HOURS for one in out.glob(hours) if one.is_dir()})
    return [Hour(_start(one), one, [path for path in one.iterdir() if path.is_file()]) for one in folders]


def _start(folder: Path) -> datetime | None:
    """The beginning of a folder's hour, in UTC."""
    day, hour = (part.partition("=")[2] for part in folder.parts[-2:])
    try:
        start = datetime.strptime(f"{int(day):08d}", "%Y%m%d").replace(tzinfo=UTC) + timedelta(hours=int(hour))
    except (ValueError, OverflowError):
        return None
    return None if start == UNTIMED else start


def _old(hours: list[Hour], before: datetime, done: Pruned) -> Iterator[Hour]:
    for one in hours:
        if one.start is None:
            done.untimed += 1
        elif one.start + timedelta(hours=1) > before:
            done.kept += 1
        else:
            yield one


def _count(hour: Hour, done: Pruned) -> None:
    start = hour.start
    assert start is not None
    done.hours += 1
    done.files += sum(path.suffix == ".parquet" for path in hour.files)
    done.first, done.last = min(start, done.first or start), max(start, done.last or start)
    with suppress(FileNotFoundError):
        done.bytes += sum(path.stat().st_size for path in hour.files)


def _remove(folder: Path, held: Compaction) -> None:
    """Take an hour's folder away in one step, and those above it that are empty then."""
    gone = held.home / "pruned"
    shutil.rmtree(gone, ignore_errors=True)
    with renaming(held.out, alone=True):
        os.rename(folder, gone)
        for above in (folder.parent, folder.parent.parent):
            with suppress(OSError):
                above.rmdir()
    shutil.rmtree(gone)


def _prune_table(folder: Path, before: datetime, dry: bool) -> Pruned:
    from sinks.flows.delta_log import Commit, DeltaLog

    lock = None if dry else lock_folder(folder, "another run", shared=True)
    try:
        log, done, leaving = DeltaLog(folder), Pruned(), list[str]()
        by_folder: dict[Path, list[Path]] = {}
        for name in log.files():
            by_folder.setdefault((folder / name).parent, []).append(folder / name)
        hours = [Hour(_start(one), one, files) for one, files in sorted(by_folder.items())]
        for hour in _old(hours, before, done):
            _count(hour, done)
            leaving += [str(path.relative_to(folder)) for path in hour.files]
        if leaving and not dry:
            log.commit(Commit([], leaving, "whowas-prune", log.version() + 1))
    finally:
        if lock is not None:
            os.close(lock)
    return done

"""Files that are either whole or not there: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from whowas.errors import OutputError
from whowas.lock_file import LockTaken, NoLockFile, take_lock

TEMPORARY = ".whowas-tmp"
LOCK = ".whowas.lock"


def refusal(what: Path, error: OSError) -> OutputError:
    """Put a failed write in words."""
    if isinstance(error, NoLockFile):
        return OutputError(f"cannot write '{what}': {error.strerror}")
    return OutputError(f"cannot write '{what}': {error.strerror or error}; free space or choose another folder")


def sync_folder(folder: Path) -> None:
    """Make names in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def durable(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it appears under `path`, whole and on disk, when the block ends well.

    The temporary name starts with a dot and does not end like a data file, so no reader's glob meets it.
    Raises: OutputError when the disk refuses.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(temporary) as handle:
            made = True
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        if made:
            temporary.unlink(missing_ok=True)


def new_file(path: Path) -> BinaryIO:
    """Open a file that is made here and now: what stood under its name, a link of somebody's too, is not written to.

    Raises: OSError.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "wb")


@contextmanager
def renaming(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Put files into their places below a folder while nobody exchanges its folders; `alone`: exchange them."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def put_in_place(top: Path, names: Mapping[str, str]) -> None:
    """Rename files below `top` that are whole and synced. names: now -> then. What is in place already is left there.

    May be repeated at any time. Raises: OutputError.
    """
    folders = set()
    try:
        with renaming(top):
            for made, final in names.items():
                source, target = top / made, top / final
                if source.exists():
                    folders |= _make_folders(target.parent, top)
                    os.replace(source, target)
                    folders.add(target.parent)
            for folder in sorted(folders):
                sync_folder(folder)
    except OSError as error:
        raise refusal(top, error) from error


def _make_folders(folder: Path, top: Path) -> set[Path]:
    """Make a folder below `top`. Returns: the folders in which a new one stands, to be synced."""
    new = [one for one in (folder, *folder.parents) if one.is_relative_to(top) and not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return {one.parent for one in new}


def lock_folder(folder: Path, busy: str, *, shared: bool = False) -> int:
    """Take the lock of an output folder, which is made. busy: what is said where another has it, before its advice.

    shared: together with others that say so. Returns: a handle to close. Raises: OutputError.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError(f"cannot write into '{folder}': it is a file; name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return take_lock(folder / LOCK, shared=shared)
    except LockTaken:
        raise OutputError(f"cannot write into '{folder}': {busy} is writing there; wait for it") from None
    except OSError as error:
        raise refusal(folder, error) from error

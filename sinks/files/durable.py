"""Files that are either whole or not there: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from whowas.errors import OutputError

TEMPORARY = ".whowas-tmp"
LOCK = ".whowas.lock"


def refusal(what: Path, error: OSError) -> OutputError:
    """Put a failed write in words."""
    advice = "free space or choose another folder"
    if error.errno == errno.ENAMETOOLONG:
        # Folders are named by the cluster: another name in its place would be a wrong answer to whoever reads them.
        advice = "a folder has the cluster's name, of 255 bytes at most: tell a shorter one, or a shorter path"
    return OutputError(f"cannot write '{what}': {error.strerror or error}; {advice}")


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        # Where even its name is refused there is nothing to remove.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def renaming(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Put files into their places below a folder while nobody exchanges its folders; `alone`: exchange them."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


class Folder:
    """An output folder held by one run at a time.

    Args: path: created when missing. pattern: glob of the data files a sink writes below it.
        run: names this run's files (whowas-RUN-…). existing: `refuse`, `append` or `replace` what an
        earlier run left.
    """

    def __init__(self, path: Path, pattern: str, run: str, existing: str) -> None:
        self.path = path
        self._pattern = pattern
        self._run = run
        self._existing = existing
        self._lock: int | None = None
        self._ours = False

    def claim(self) -> None:
        """Lock the folder and settle with what is in it. Raises: OutputError."""
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise OutputError(f"cannot write into '{self.path}': it is a file; name a folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._ours = True
        except BlockingIOError as error:
            self.release()
            raise OutputError(f"cannot write into '{self.path}': another run is writing there; wait for it") from error
        except OSError as error:
            self.release()
            raise refusal(self.path, error) from error
        self._settle()

    def _settle(self) -> None:
        """Only under the lock: temporary files found now belong to a run that was killed."""
        for left in self.path.rglob(f".*{TEMPORARY}"):
            left.unlink(missing_ok=True)
        found = sorted(self.path.rglob(self._pattern))
        if found and self._existing == "refuse":
            self.release()
            raise OutputError(
                f"cannot write into '{self.path}': it already holds {len(found)} file(s) of another run; "
                "choose a new folder, or say --existing append or --existing replace"
            )
        if self._existing == "replace":
            for old in found:
                old.unlink()
        elif any(path.name.startswith(f"whowas-{self._run}-") for path in found):
            self.release()
            raise OutputError(
                f"cannot append to '{self.path}': it already holds the flows of this very input; "
                "say --existing replace or choose a new folder"
            )

    def release(self) -> None:
        """Give the lock back. May be called again: what a signal cut short is then finished."""
        if self._lock is None:
            return
        # Removed while it is held: once it is given back the name may be another run's.
        if self._ours:
            (self.path / LOCK).unlink(missing_ok=True)
            self._ours = False
        handle, self._lock = self._lock, None
        os.close(handle)

"""Lock files: the right of one process, or of several together, to a file or folder; gone when the process ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

# What stands in one of ours: the number of the process that holds it.
WORDS_MOST = 20


class LockTaken(Exception):
    """Another process has the lock; its text is the number of that process, or "unknown"."""


class NoLockFile(OSError):
    """What stands under the name of a lock is none of ours, and is left as it is."""


def take_lock(path: str | os.PathLike[str], *, shared: bool = False) -> int:
    """Lock a file that is made for it; the lock is lost when the process ends, however it ends.

    shared: together with others that say so. Returns: a handle; closing it lets go. The file stays: one that removed it
    could take it from under another who has just opened it.
    Raises: LockTaken; NoLockFile; OSError where the file cannot be made.
    """
    while True:
        handle = _open(path)
        try:
            _lock(handle, shared)
            if _stands(path, handle):
                break
        except BaseException:
            os.close(handle)
            raise
        # Somebody put another file there meanwhile: this one is nobody's lock any more.
        os.close(handle)
    if not shared:
        # On a full disk the lock is held without a name.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _open(path: str | os.PathLike[str]) -> int:
    """Open a lock file, and nothing that merely stands there: what it holds would be overwritten."""
    # Without waiting: a named pipe would keep us for ever.
    how = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, how, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refusal(path, "a link") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _refusal(path, "no file")
        words = os.pread(handle, WORDS_MOST + 1, 0)
        if words and not (len(words) <= WORDS_MOST and words.isdigit()):
            raise _refusal(path, "a file of something else")
    except BaseException:
        os.close(handle)
        raise
    return handle


def _refusal(path: str | os.PathLike[str], what: str) -> NoLockFile:
    return NoLockFile(errno.EINVAL, f"its lock '{os.fspath(path)}' is {what}, and is not written to; move that away")


def _lock(handle: int, shared: bool) -> None:
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockTaken(os.pread(handle, WORDS_MOST, 0).decode("ascii", "replace").strip() or "unknown") from None


def _stands(path: str | os.PathLike[str], handle: int) -> bool:
    """Say whether the file that was locked is still the one of that name."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False

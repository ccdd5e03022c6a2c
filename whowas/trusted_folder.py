"""Folders that nobody else can put anything into: what is in them may be run as code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

WRITES = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(Exception):
    """Somebody else could put something into a folder; its text says where and why."""


def trusted_folder(path: Path) -> Path:
    """Make a folder, for its owner alone, and see that nobody else can write to it or exchange it, up to the root.

    Returns: its name without links. It is the one that was looked at for as long as nobody but us or root changes it.
    Raises: UntrustedError; OSError where it cannot be made.
    """
    for one in (*reversed(path.absolute().parents), path):
        if not one.exists():
            one.mkdir(0o700, exist_ok=True)
    real = Path(os.path.realpath(path))
    handle = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check(handle, Path("/"), last=False)
        for place in (*reversed(real.parents[:-1]), real):
            # A link here was put in place since the name was resolved.
            inner = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            os.close(handle)
            handle = inner
            _check(handle, place, last=place == real)
    finally:
        os.close(handle)
    return real


def _check(handle: int, path: Path, last: bool) -> None:
    told = os.fstat(handle)
    if told.st_uid not in ((os.geteuid(),) if last else (0, os.geteuid())):
        raise UntrustedError(f"'{path}' belongs to somebody else (user {told.st_uid})")
    # In a sticky folder everybody may make something, and nobody exchange what is another's.
    shared = bool(told.st_mode & WRITES) and (last or not told.st_mode & stat.S_ISVTX)
    if shared and (told.st_mode & stat.S_IWOTH or not _is_own_group(told.st_gid)):
        raise UntrustedError(f"'{path}' can be written to by others (mode {stat.S_IMODE(told.st_mode):o})")


def _is_own_group(number: int) -> bool:
    """Say whether a group is the private one of this user, as distributions make it: of that name, nobody else in it.

    What such a user makes is writable by the group (umask 002), which is the user alone.
    """
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return user.pw_gid == number and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}

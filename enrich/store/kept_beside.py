"""Where what was derived of a store is kept for the next time: a folder of this user's own, not beside the store.

Whoever could write there could put names into anybody's mouth.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from whowas.trusted_folder import UntrustedError, trusted_folder

# What is derived in no time is not worth a file. No hold takes less than so many bytes, however well it is packed.
HOLDS_LEAST, BYTES_LEAST = 20_000, 200
# Of stores that nobody asked lately nothing is kept: so many files, for so long.
FILES_MOST = 8
SECONDS_MOST = 30 * 86_400


def place_of(*paths: str) -> Path | None:
    """Return where what is derived of a store, or of some files, is kept.

    None where others could write there, or we cannot.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):
        # Somebody without a home: no folder of theirs is known.
        return None
    try:
        folder = trusted_folder(Path(base) / "whowas" / "histories")
    except (UntrustedError, OSError):
        return None
    named = b"\0".join(os.fsencode(os.path.realpath(path)) for path in paths)
    return folder / hashlib.sha256(named).hexdigest()[:32]


def is_large(path: str) -> bool:
    """Say whether a store may hold so much that what is derived of it is worth a file."""
    try:
        return os.path.getsize(path) >= HOLDS_LEAST * BYTES_LEAST
    except OSError:
        return False


def drop(path: str) -> None:
    """Keep nothing of a store any more: what it forgot is not to stand elsewhere."""
    place = place_of(path)
    if place is not None:
        with contextlib.suppress(OSError):
            place.unlink()


def make_room(place: Path) -> None:
    """Remove what was not asked for long, and what somebody began and never ended. Raises: OSError."""
    others = [(one.stat().st_mtime, one) for one in place.parent.iterdir() if one != place and one.is_file()]
    for number, (when, one) in enumerate(sorted(others, reverse=True), 2):
        if number > FILES_MOST or when < time.time() - SECONDS_MOST:
            one.unlink(missing_ok=True)

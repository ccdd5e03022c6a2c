"""Compiled kernels: one decorator, one cache, one word to the user the first time.

Kernels are plain Python functions compiled by numba with bounds checks on, so that no packet, however
it was made, can read outside its buffer. Compiled code is cached in the user's cache folder under a
name that changes with any kernel's source: numba itself only looks at the file of the kernel it loads
and would keep a stale copy of what that kernel calls.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from whowas.trusted_folder import UntrustedError, trusted_folder

P = ParamSpec("P")
R = TypeVar("R")

# Every file that holds a kernel or a number that kernels are compiled with; a test compares with what is there.
SOURCES = (
    "whowas/kernels.py",
    "ingest/columns/*.py",
    "ingest/cluster/evidence/list_kernel.py",
    "ingest/names/greetings.py",
    "ingest/packets/*.py",
    "ingest/records/kernels/*.py",
    "enrich/history/lookup.py",
    "enrich/holds/exclusion.py",
    "enrich/naming/interning.py",
    "detect/judge/first_seen_kernel.py",
    "detect/judge/event_columns.py",
    "detect/judge/group_kernels.py",
    "detect/judge/window_kernels.py",
    "whowas/workbench/summing_kernels.py",
    "whowas/arrays.py",
    "whowas/timestamps.py",
)


def _fingerprint() -> str:
    """Hash what compiled code depends on: the sources (name, size, time) and the compiler's versions."""
    import llvmlite
    import numba
    import numpy as np

    root = Path(__file__).resolve().parent.parent
    versions = (sys.version, np.__version__, numba.__version__, llvmlite.__version__)
    seen = hashlib.sha256(repr(versions).encode())
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            facts = path.stat()
            seen.update(f"{path}:{facts.st_size}:{facts.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]


def _cache_folder() -> tuple[Path | None, str]:
    """Return a folder to keep compiled code in, or None and why there is none (kernels then live for one run).

    Compiled code is loaded from there: a folder that somebody else could fill or exchange is not used.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return _first_trusted(Path(os.environ["NUMBA_CACHE_DIR"]))
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    temporary = Path(tempfile.gettempdir()) / f"whowas-kernels-{os.geteuid()}"
    return _first_trusted(*(base / _fingerprint() for base in (Path(home) / "whowas" / "kernels", temporary)))


def _first_trusted(*folders: Path) -> tuple[Path | None, str]:
    """Return the first of some folders that only we can write to; None, and what is wrong with one that is there."""
    why = ""
    for folder in folders:
        try:
            found = trusted_folder(folder)
        except UntrustedError as error:
            why = why or str(error)
        except OSError:
            continue
        else:
            if os.access(found, os.W_OK):
                return found, ""
    return None, why or "no cache folder can be written"


@lru_cache(maxsize=1)
def _prepare() -> tuple[bool, bool, str]:
    """Point numba at the cache; return (cached at all, cache was already filled, why it is not cached)."""
    import numba

    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return False, True, ""
    folder, why = _cache_folder()
    if folder is None:
        return False, False, why
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return True, any(folder.rglob("*.nbi")), ""


_plain = [False]


def do_without() -> None:
    """Let kernels that are not imported yet run as the plain Python they are: for a handful of rows.

    One question to an indexed history needs no compiler, and importing it takes longer than the answer. Where it is
    imported already nothing changes.
    """
    _plain[0] = _plain[0] or "numba" not in sys.modules


def runs_plain() -> bool:
    """Say whether kernels are run as plain Python (do_without): what a library does better is left to it then."""
    return _plain[0]


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with bounds checks on, cached between runs where a folder can be written."""
    if _plain[0]:
        return function
    import numba

    compiled: Callable[P, R] = numba.njit(cache=_prepare()[0], boundscheck=True, nogil=True)(function)
    return compiled


def lean_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """As `kernel`, for small steps of a hot loop: put into its caller's code, and without reference counts.

    It must allocate nothing. Measured on packets: five times as fast as `kernel` for steps of some dozen
    instructions, where calls and counting cost more than the work.
    """
    return _without_counting(function, inline=True)


def rare_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """As `lean_kernel`, but called, not put into the loop: for what few packets need."""
    return _without_counting(function, inline=False)


def _without_counting(function: Callable[P, R], inline: bool) -> Callable[P, R]:
    if _plain[0]:
        return function
    import numba

    # `_nrt` is numba's own switch for "no memory management in here"; its type stubs leave it out.
    options: dict[str, Any] = {"_nrt": False, "forceinline": inline}
    compiled: Callable[P, R] = numba.njit(cache=_prepare()[0], boundscheck=True, nogil=True, **options)(function)
    return compiled


def why_not_cached() -> str:
    """Say why compiled kernels do not outlive the process; "" where they do."""
    return _prepare()[2]


def needs_compiling() -> bool:
    """Say whether the first use of the kernels will compile them (some seconds), so that it can be told."""
    return not _plain[0] and not _prepare()[1]

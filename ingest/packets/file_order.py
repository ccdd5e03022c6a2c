"""The order in which files are read that are pieces of one capture, or captures of one time."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.files import open_input
from ingest.packets.capture import Capture
from ingest.packets.window import Window
from whowas.errors import InputError

# A time from which everything is long ago, us.
NEVER = 1 << 61


def in_time_order(paths: Sequence[str]) -> list[tuple[str, int]]:
    """Sort files by their first packets: a ring's names begin anew, and 10 sorts before 9.

    What tells no time keeps its place behind the file before it. Standard input is read once: then nothing is sorted.
    Returns: with each file, when the next one begins, us: NEVER behind the last, 0 where it is not known.
    """
    if "-" in paths or len(paths) < 2:
        return [(path, 0) for path in paths]
    window, last, times = Window(), 0, []
    for path in paths:
        last = _first_time(path, window, last)
        times.append(last)
    ordered = sorted(zip(times, range(len(paths)), paths, strict=True))
    following = [*(begin for begin, _, _ in ordered[1:]), NEVER]
    return [(path, begin) for (_, _, path), begin in zip(ordered, following, strict=True)]


def _first_time(path: str, window: Window, unknown: int) -> int:
    """Time of a file's first packet, us; `unknown` where it tells none."""
    try:
        with open_input(path) as source:
            for block in Capture(source, window, [], path).blocks():
                when = int(block.packets[0, 3])
                return when if when >= 0 else unknown
    except InputError:
        pass
    return unknown

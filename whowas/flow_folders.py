"""What the folders of named flows are called: Hive partitions whose values every reader takes for what they are.

`cluster_key=prod/event_day=20261120/event_hour=7`. Days and hours are numbers without zeros before them. The cluster's
name is a column of the files. Its folder has it so that no reader takes it for a number (007), a time or a truth value,
and that none has to escape anything or to take escapes back (arn:aws:eks:…). Version 1 had `cluster=`, the name itself
escaped as Hive does it, in place of the column.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np

NO_CLUSTER = "__HIVE_DEFAULT_PARTITION__"
CLUSTER_KEY, OLD_CLUSTER_KEY = "cluster_key", "cluster"
HOURS = f"{CLUSTER_KEY}=*/event_day=*/event_hour=*", f"{OLD_CLUSTER_KEY}=*/event_day=*/event_hour=*"
"""Globs of the folders that hold files, of this version and of the one before."""

HourPartition = tuple[str, int]
"""Cluster as its folder's value, and hours since 1970: what a file's rows have in common."""

# What readers take for a value of another type: DuckDB, Arrow, Polars, ClickHouse, Spark.
_VALUES = frozenset(
    [
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "null",
        "none",
        "nil",
        "na",
        "nan",
        "inf",
        "infinity",
        "epoch",
        "now",
        "today",
        "tomorrow",
        "yesterday",
    ]
)
_PLAIN = re.compile(r"[A-Za-z0-9._-]")
# Of characters that no reader escapes, in an order that names hardly have (docs/decisions/0035).
_ESCAPE = "_-"
_ESCAPED = re.compile(_ESCAPE + "([0-9A-F]{2})")
_LETTER = re.compile(r"[A-Za-z]")
# Hostile clocks reach beyond the years that fit: those days share a folder, which tells no hour.
_BEFORE, _BEHIND = 0, (1 << 31) - 1


def cluster_key(cluster: str) -> str:
    """Return a cluster's name as its folder has it: `_-3A` for `:` and the like; no name leads out of the folder."""
    if not cluster:
        return NO_CLUSTER
    first = not _LETTER.match(cluster) or cluster.lower() in _VALUES
    return "".join(
        _spelt(one, (first and not place) or cluster.startswith(_ESCAPE, place)) for place, one in enumerate(cluster)
    )


def _spelt(character: str, always: bool) -> str:
    if _PLAIN.match(character) and not always:
        return character
    return "".join(f"{_ESCAPE}{octet:02X}" for octet in character.encode(errors="surrogateescape"))


def cluster_of(key: str) -> str:
    """Return the name that `cluster_key` was given."""
    octets = _ESCAPED.sub(lambda one: chr(int(one[1], 16)), key.encode().decode("latin-1")).encode("latin-1")
    return "" if key == NO_CLUSTER else octets.decode(errors="surrogateescape")


def told_cluster(folder: str) -> str | None:
    """Return the cluster that a path's folders tell, in this version or the one before; "" for none, None: not told."""
    for part in reversed(Path(folder).parts):
        name, _, value = part.partition("=")
        if name == CLUSTER_KEY:
            return cluster_of(value)
        if name == OLD_CLUSTER_KEY and "=" in part:
            return "" if value == NO_CLUSTER else unquote(value)
    return None


def hour_folder(place: HourPartition) -> Path:
    """Return the folder of a cluster and hour, below the output's."""
    day, of_day = divmod(place[1], 24)
    return Path(f"{CLUSTER_KEY}={place[0]}", f"event_day={_civil(day)}", f"event_hour={of_day}")


def _civil(days: int) -> int:
    """Days since 1970 as a number, YYYYMMDD."""
    year, month, day = str(np.datetime64(days, "D")).rsplit("-", 2)
    if int(year) < 1:
        return _BEFORE
    return min(int(f"{year}{month}{day}"), _BEHIND)
